#include "plugins/lib/audio/tar_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "fathom/error.h"

namespace fathom::audio {
namespace {

constexpr int64_t kBlock = 512, kLongestName = 1 << 16;

// POSIX.1-1988, ustar.
struct TarHeader {
  char name[100], mode[8], uid[8], gid[8], size[12], time[12], checksum[8], type, link[100], magic[6], version[2];
  char user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
static_assert(sizeof(TarHeader) == kBlock);

template <size_t kSize>
std::string_view field(const char (&text)[kSize]) {
  return {text, strnlen(text, kSize)};
}

// Octal digits among blanks, or a binary number, which a first byte of 0x80 announces.
template <size_t kSize>
std::optional<int64_t> tar_number(const char (&text)[kSize]) {
  if ((static_cast<unsigned char>(text[0]) & 0x80) != 0) {
    uint64_t value = static_cast<unsigned char>(text[0]) & 0x7f;
    for (size_t i = 1; i < kSize; ++i) {
      if (value >> 54 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(text[i]);
    }
    return static_cast<int64_t>(value);
  }
  std::string_view digits = field(text);
  while (digits.starts_with(' ')) digits.remove_prefix(1);
  while (digits.ends_with(' ')) digits.remove_suffix(1);
  int64_t value = 0;
  if (digits.empty()) return value;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

bool checksum_holds(const TarHeader& header) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  constexpr size_t kFrom = offsetof(TarHeader, checksum), kTo = kFrom + sizeof(header.checksum);
  int64_t sum = 0;
  for (size_t i = 0; i < sizeof(TarHeader); ++i) sum += i >= kFrom && i < kTo ? ' ' : bytes[i];
  return tar_number(header.checksum) == sum;
}

class TarFile {
 public:
  explicit TarFile(const std::string& path) : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    const auto refuse = [&](const std::string& why) {
      throw Error(Code::kNoInput, "tar file cannot be read: " + why).at(path_).seen(path_);
    };
    if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) {
      const std::string why = std::strerror(errno);
      close();
      refuse(why);
    }
    if (!S_ISREG(info.st_mode)) {
      close();
      refuse(S_ISDIR(info.st_mode) ? "it is a folder" : "it is no file whose parts can be read in any order");
    }
    size_ = info.st_size;
  }
  ~TarFile() { close(); }
  TarFile(const TarFile&) = delete;
  TarFile& operator=(const TarFile&) = delete;

  int64_t size() const { return size_; }
  // Whether all of it was there.
  bool read(int64_t from, void* to, int64_t count) const {
    for (int64_t done = 0; done < count;) {
      const ssize_t got =
          ::pread(descriptor_, static_cast<char*>(to) + done, static_cast<size_t>(count - done), from + done);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      done += got;
    }
    return true;
  }

 private:
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  const std::string& path_;
  int descriptor_;
  int64_t size_ = 0;
};

// What records of pax say: "LENGTH KEY=VALUE\n" each, where the length counts itself.
struct PaxRecords {
  std::optional<std::string> path;
  std::optional<int64_t> size;
  static std::optional<PaxRecords> read(std::string_view text) {
    PaxRecords out;
    while (!text.empty()) {
      size_t length = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
      const auto head = static_cast<size_t>(end - text.data());
      if (error != std::errc() || length > text.size() || head + 2 > length || text[head] != ' ') return std::nullopt;
      const std::string_view record = text.substr(head + 1, length - head - 2);
      const size_t equals = record.find('=');
      if (equals == std::string_view::npos) return std::nullopt;
      const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
      if (key == "path") out.path = std::string(value);
      if (key == "size") {
        int64_t bytes = 0;
        const auto number = std::from_chars(value.data(), value.data() + value.size(), bytes);
        if (number.ec != std::errc() || bytes < 0) return std::nullopt;
        out.size = bytes;
      }
      text.remove_prefix(length);
    }
    return out;
  }
};

class TarReader {
 public:
  explicit TarReader(const std::string& path) : path_(path), file_(path) {}

  std::vector<TarMember> all() {
    std::vector<TarMember> out;
    for (int64_t at = 0; at < file_.size();) {
      TarHeader header;
      if (!file_.read(at, &header, kBlock)) {
        refuse("it ends inside of a header",
               std::to_string(out.size()) + " members" + (out.empty() ? "" : ", the last is " + out.back().name));
      }
      if (is_empty(header)) return out;  // the end is marked by such blocks
      at = member(header, at + kBlock, out);
    }
    // Programs that stop before they mark the end leave whole members behind.
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& seen) const {
    throw Error(Code::kBadData, "not a tar file that can be read: " + what)
        .at(path_)
        .seen(seen)
        .next("the file is damaged or was not copied completely; take another copy of it");
  }
  static bool is_empty(const TarHeader& header) {
    const auto* bytes = reinterpret_cast<const char*>(&header);
    return std::all_of(bytes, bytes + sizeof(header), [](char c) { return c == 0; });
  }
  void check(const TarHeader& header, int64_t at) const {
    if (checksum_holds(header)) return;
    const std::string_view begin(reinterpret_cast<const char*>(&header), 4);
    if (at == kBlock &&
        (begin.starts_with("\x1f\x8b") || begin.starts_with("BZh") || begin.starts_with("\x28\xb5\x2f\xfd") ||
         begin.starts_with("\xfd"
                           "7zX"))) {
      throw Error(Code::kBadData, "a compressed tar file cannot be read in any order")
          .at(path_)
          .next("decompress it: audio is compressed already, as flac or ogg");
    }
    refuse("a header's checksum does not hold", "at byte " + std::to_string(at - kBlock));
  }

  // Reads what begins with `header`; its content begins at `begin`. Returns where the next one begins.
  int64_t member(const TarHeader& header, int64_t begin, std::vector<TarMember>& out) {
    check(header, begin);
    const auto stated = tar_number(header.size);
    if (!stated) refuse("a header states no size", "at byte " + std::to_string(begin - kBlock));
    const bool describes = header.type == 'L' || header.type == 'K' || header.type == 'x' || header.type == 'g';
    const int64_t size = describes ? *stated : pax_.size.value_or(*stated);
    const int64_t blocks = size / kBlock + (size % kBlock != 0 ? 1 : 0);
    if (blocks > (file_.size() - begin) / kBlock) {
      refuse("it ends before a member does", name_of(header) + ", " + std::to_string(file_.size() - begin) + " of " +
                                                 std::to_string(size) + " bytes and what fills its last block");
    }
    if (describes) {
      describe(header.type, begin, size);
    } else {
      const bool is_file = header.type == '0' || header.type == '\0' || header.type == '7';
      std::string name = name_of(header);
      if (is_file && !name.ends_with('/')) out.push_back({std::move(name), begin, size});
      long_name_.reset();
      pax_ = {};
    }
    return begin + blocks * kBlock;
  }

  void describe(char type, int64_t begin, int64_t size) {
    if (type == 'K' || type == 'g') return;  // a link's target; what holds for all members, where names do not
    if (size > kLongestName) refuse("a name is longer than names are", std::to_string(size) + " bytes");
    std::string text(static_cast<size_t>(size), '\0');
    file_.read(begin, text.data(), size);
    if (type == 'L') {
      long_name_ = text.c_str();
      return;
    }
    const auto records = PaxRecords::read(text);
    if (!records) refuse("a pax header is not understood", "at byte " + std::to_string(begin));
    pax_ = *records;
  }

  std::string name_of(const TarHeader& header) const {
    if (pax_.path) return *pax_.path;
    if (long_name_) return *long_name_;
    std::string name(field(header.name));
    const bool is_posix = std::string_view(header.magic, 6) == std::string_view("ustar\0", 6);
    if (is_posix && header.prefix[0] != '\0') name = std::string(field(header.prefix)) + "/" + name;
    return name;
  }

  const std::string& path_;
  TarFile file_;
  std::optional<std::string> long_name_;
  PaxRecords pax_;
};

}  // namespace

std::vector<TarMember> tar_members(const std::string& path) { return TarReader(path).all(); }

}  // namespace fathom::audio
