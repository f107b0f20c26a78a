#include "plugins/lib/audio/manifest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "fathom/error.h"
#include "plugins/lib/text/latin_text.h"

namespace fathom::audio {
namespace {

constexpr size_t kPiece = 1 << 20;     // bytes read at once
constexpr size_t kMostOpenFiles = 64;  // further ones are opened for each line, so that shards do not use up a limit
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // editors of Windows put it before UTF-8
constexpr uint32_t kMost32 = std::numeric_limits<uint32_t>::max();

// Tells that a line is no longer the one that was checked. Not against malice.
uint32_t checksum_of(std::string_view text) {
  uint64_t sum = text.size();
  const auto mix = [&](uint64_t word) {
    sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 32;
  };
  for (; text.size() >= 8; text.remove_prefix(8)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    mix(word);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, text.data(), text.size());
  mix(rest);
  return static_cast<uint32_t>(sum >> 16);
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

[[noreturn]] void fail_to_copy(const std::string& path, const std::string& folder) {
  throw Error(Code::kIo, std::string("manifest that is a pipe could not be kept: ") + std::strerror(errno))
      .at(path)
      .seen("a temporary file in " + folder)
      .next("make room there, set TMPDIR, or write the manifest to a file first");
}

// A pipe gives its bytes once, and lines are read again later: they are kept in a file without a name, which goes away
// with its descriptor.
int copy_of_pipe(int pipe, const std::string& path) {
  const char* const given = std::getenv("TMPDIR");
  const std::string folder = given != nullptr && *given != '\0' ? given : "/tmp";
  std::string name = folder + "/fathom_manifest_XXXXXX";
  Descriptor copy(::mkostemp(name.data(), O_CLOEXEC));
  if (copy.get() < 0) fail_to_copy(path, folder);
  ::unlink(name.c_str());
  std::string piece(kPiece, '\0');
  while (true) {
    const ssize_t got = ::read(pipe, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Code::kIo, std::string("manifest cannot be read: ") + std::strerror(errno)).at(path);
    if (got == 0) return copy.release();
    for (ssize_t done = 0; done < got;) {
      const ssize_t count = ::write(copy.get(), piece.data() + done, static_cast<size_t>(got - done));
      if (count < 0 && errno != EINTR) fail_to_copy(path, folder);
      done += std::max<ssize_t>(count, 0);
    }
  }
}

// What lies at `start`, as much as there is of `size` bytes.
size_t read_at(int descriptor, const std::string& path, int64_t start, char* out, size_t size) {
  size_t got = 0;
  while (got < size) {
    const ssize_t count =
        ::pread(descriptor, out + got, size - got, static_cast<off_t>(start + static_cast<int64_t>(got)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(Code::kIo, std::string("manifest cannot be read: ") + std::strerror(errno)).at(path);
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  return got;
}

// The lines of a file, from its beginning to the end that it had when it was opened, as Python divides a text: they end
// with LF, CR LF or CR.
class Lines {
 public:
  // `size`: of the file, in bytes.
  Lines(int descriptor, int64_t size, std::string path)
      : descriptor_(descriptor), path_(std::move(path)), left_(size) {}
  // Without its line break. Valid until the next call.
  bool next(std::string_view& line, int64_t& start) {
    while (true) {
      if (after_return_ && at_ == filled_ && left_ > 0) read_more();
      if (after_return_ && at_ != filled_ && buffer_[at_] == '\n') ++at_;
      after_return_ = false;
      const size_t feed = feeds_.find(buffer_, at_, filled_), carriage = returns_.find(buffer_, at_, filled_);
      const size_t end = std::min(feed, carriage);
      if (end == filled_ && left_ > 0) {
        read_more();
        continue;
      }
      if (end == filled_ && at_ == filled_) return false;
      line = std::string_view(buffer_).substr(at_, end - at_);
      start = begin_ + static_cast<int64_t>(at_);
      after_return_ = end == carriage && end != filled_;
      at_ = std::min(end + 1, filled_);
      return true;
    }
  }

 private:
  // Where a character comes next. Remembers it, as one kind of line break may be far behind many of the other.
  class Next {
   public:
    explicit Next(char wanted) : wanted_(wanted) {}
    size_t find(const std::string& buffer, size_t at, size_t filled) {
      if (place_ >= at && place_ < searched_) return place_;
      const size_t from = std::max(at, searched_);
      const void* const found = filled > from ? std::memchr(&buffer[from], wanted_, filled - from) : nullptr;
      place_ = found == nullptr ? filled : static_cast<size_t>(static_cast<const char*>(found) - buffer.data());
      searched_ = std::min(place_ + 1, filled);
      return place_;
    }
    // The buffer's first bytes go.
    void drop(size_t count) {
      searched_ -= std::min(count, searched_);
      place_ = searched_;
    }

   private:
    const char wanted_;
    size_t place_ = 0, searched_ = 0;  // found below searched_ if below it
  };
  // Keeps what has not been given out, and reads on behind it.
  void read_more() {
    std::memmove(buffer_.data(), buffer_.data() + at_, filled_ - at_);
    begin_ += static_cast<int64_t>(at_);
    filled_ -= at_;
    feeds_.drop(at_);
    returns_.drop(at_);
    at_ = 0;
    if (buffer_.size() - filled_ < kPiece / 2) buffer_.resize(std::max(kPiece, 2 * buffer_.size()));
    const auto wanted = static_cast<size_t>(std::min<int64_t>(left_, static_cast<int64_t>(buffer_.size() - filled_)));
    const size_t got = read_at(descriptor_, path_, begin_ + static_cast<int64_t>(filled_), &buffer_[filled_], wanted);
    if (got < wanted) throw Error(Code::kIo, "manifest could not be read to its end").at(path_).seen(path_);
    filled_ += got;
    left_ -= static_cast<int64_t>(got);
  }

  const int descriptor_;
  const std::string path_;
  std::string buffer_;
  Next feeds_{'\n'}, returns_{'\r'};
  bool after_return_ = false;   // a line feed that comes now belongs to the line before
  size_t at_ = 0, filled_ = 0;  // in the buffer: what comes next, and its end
  int64_t begin_ = 0;           // of the buffer, in the file
  int64_t left_ = 0;            // bytes of the file behind the buffer
};

}  // namespace

struct Manifest::OpenFile {
  explicit OpenFile(const std::string& path) {
    Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    const auto refuse = [&](const std::string& why) {
      throw Error(Code::kNoInput, "manifest cannot be read: " + why).at(path).seen(path);
    };
    if (opened.get() < 0 || ::fstat(opened.get(), &info) != 0) refuse(std::strerror(errno));
    if (S_ISFIFO(info.st_mode)) {
      Descriptor copy(copy_of_pipe(opened.get(), path));
      if (::fstat(copy.get(), &info) != 0) refuse(std::strerror(errno));
      is_copy = true;
      descriptor = copy.release();
    } else {
      if (!S_ISREG(info.st_mode)) refuse(S_ISDIR(info.st_mode) ? "it is a folder" : "it is neither file nor pipe");
      descriptor = opened.release();
    }
    size = info.st_size;
  }
  ~OpenFile() { ::close(descriptor); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor = -1;
  int64_t size = 0;
  bool is_copy = false;  // of what cannot be opened again
};

class Manifest::File {
 public:
  File(std::string path, std::shared_ptr<const OpenFile> open) : path_(std::move(path)), open_(std::move(open)) {}
  const std::string& path() const { return path_; }

  std::string read(const Line& line) const {
    const std::shared_ptr<const OpenFile> open = open_ ? open_ : std::make_shared<const OpenFile>(path_);
    std::string text(line.length, '\0');
    const bool whole = read_at(open->descriptor, path_, line.start, text.data(), text.size()) == text.size();
    if (!whole || checksum_of(text) != line.checksum) {
      throw Error(whole ? Code::kBadData : Code::kIo, whole ? "manifest line has changed since the manifest was opened"
                                                            : "manifest was cut off after it was opened")
          .at(path_, line.number)
          .seen(whole ? text.substr(0, 120) : "a file that ends before this line does")
          .next("leave a manifest alone while a run reads it; write a new one under another name");
    }
    return text;
  }

 private:
  std::string path_;
  std::shared_ptr<const OpenFile> open_;  // null: opened for each line
};

Manifest::Manifest(std::vector<ManifestEntry> entries) : entries_(std::move(entries)) {
  for (const auto& entry : entries_)
    lines_.push_back({static_cast<int64_t>(lines_.size()), entry.duration, 0, 0, 0, kMost32});
}

Manifest Manifest::open(const std::vector<std::string>& files, const ManifestFilter& filter) {
  Manifest manifest;
  for (const auto& file : files) manifest.add_file(file, filter);
  manifest.lines_.shrink_to_fit();
  return manifest;
}

void Manifest::add_file(const std::string& path, const ManifestFilter& filter) {
  const auto open = std::make_shared<const OpenFile>(path);
  Lines lines(open->descriptor, open->size, path);
  const auto file = static_cast<uint32_t>(files_.size());
  const bool stays_open = open->is_copy || files_.size() < kMostOpenFiles;
  files_.push_back(std::make_shared<const File>(path, stays_open ? open : nullptr));

  int64_t number = 0, entries = 0, start = 0;
  for (std::string_view whole; lines.next(whole, start);) {
    ++number;
    if (number == 1 && whole.starts_with(kByteOrderMark)) {
      whole.remove_prefix(kByteOrderMark.size());
      start += static_cast<int64_t>(kByteOrderMark.size());
    }
    const std::string_view text = text::strip_white_space(whole);
    if (text.empty()) continue;
    ++entries;
    std::optional<ManifestLine> line = scan_manifest_line(text);
    ManifestEntry entry;
    if (!line || (line->duration < 0 && filter.needs_duration)) {
      entry = parse_manifest_line(text, path, number, filter.needs_duration);
      line = ManifestLine{entry.duration, entry.text, {}, 0, {}, {}};
      if (entry.label) line->label = *entry.label;
      line->audio = entry.named_as;
    }
    line->file = path;
    line->line = number;
    const double seconds = line->duration;
    if (seconds >= 0 && ((filter.min_duration && seconds < *filter.min_duration) ||
                         (filter.max_duration && seconds > *filter.max_duration))) {
      ++dropped_.count;
      dropped_.seconds += seconds;
      if (filter.dropped) filter.dropped(*line);
      continue;
    }
    if (filter.most > 0 && size() >= filter.most) continue;
    if (filter.keep && !filter.keep(*line)) continue;
    if (number > kMost32 || text.size() > kMost32) {
      throw Error(Code::kBadData, "manifest has too many lines, or too long a one")
          .at(path, number)
          .expected("at most 2^32 - 1 lines, and as many bytes a line");
    }
    lines_.push_back({start + (text.data() - whole.data()), seconds, static_cast<uint32_t>(text.size()),
                      checksum_of(text), static_cast<uint32_t>(number), file});
  }
  if (entries == 0) throw Error(Code::kBadData, "manifest has no entries").at(path).expected("one JSON object a line");
}

ManifestEntry Manifest::entry(int64_t index) const {
  const Line& at = line(index);
  if (at.file == kMost32) return entries_[static_cast<size_t>(at.start)];
  const std::string& path = files_[at.file]->path();
  ManifestEntry entry = parse_manifest_line(files_[at.file]->read(at), path, at.number, false);
  entry.audio_file = resolve_manifest_path(entry.audio_file, path);
  return entry;
}

std::vector<std::string> split_manifest_paths(const std::string& value) {
  std::vector<std::string> out;
  for (size_t start = 0; start <= value.size();) {
    const size_t end = std::min(value.find(',', start), value.size());
    const std::string_view path = text::strip_white_space(std::string_view(value).substr(start, end - start));
    if (!path.empty()) out.emplace_back(path);
    start = end + 1;
  }
  return out;
}

std::vector<std::string> manifest_paths(const Json& value, const std::string& path) {
  std::vector<std::string> out;
  if (value.is_string()) {
    out = split_manifest_paths(value.get<std::string>());
  } else if (value.is_array()) {
    for (const auto& item : value) {
      const auto inner = manifest_paths(item, path);
      out.insert(out.end(), inner.begin(), inner.end());
    }
  } else {
    throw Error(Code::kFailed, "manifest_filepath must be a path or a list of paths").at(path).seen(json_text(value));
  }
  if (out.empty()) throw Error(Code::kFailed, "manifest_filepath names no file").at(path).seen(json_text(value));
  return out;
}

}  // namespace fathom::audio
