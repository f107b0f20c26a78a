#include "core/archive/zip_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/archive/crc32.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

// APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14-16 (its end).
constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kDirectoryEnd = 0x06054b50;
constexpr uint32_t kZip64DirectoryEnd = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr uint64_t kLocalHeaderSize = 30, kDirectoryEntrySize = 46, kDirectoryEndSize = 22, kZip64EndSize = 56;
constexpr uint64_t kLocatorSize = 20, kLongestComment = 0xffff;
constexpr uint32_t kInZip64 = 0xffffffff;
constexpr uint16_t kEncrypted = 1, kStored = 0, kDeflated = 8;

template <typename T>
T load(std::string_view bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

bool fits(uint64_t offset, uint64_t size, uint64_t total) { return offset <= total && size <= total - offset; }

// Feeds a deflate stream to libarchive as if it were a gzip file.
struct GzipPieces {
  std::array<std::string_view, 3> pieces;
  size_t next = 0;
};

la_ssize_t next_piece(archive*, void* data, const void** buffer) {
  auto* state = static_cast<GzipPieces*>(data);
  if (state->next == state->pieces.size()) return 0;
  const std::string_view piece = state->pieces[state->next++];
  *buffer = piece.data();
  return static_cast<la_ssize_t>(piece.size());
}

// Up to limit + 1 bytes; nullopt when the stream is damaged.
std::optional<std::string> inflate(std::string_view packed, uint32_t crc, uint64_t size) {
  std::string trailer(8, '\0');
  const auto low_size = static_cast<uint32_t>(size);
  std::memcpy(trailer.data(), &crc, 4);
  std::memcpy(trailer.data() + 4, &low_size, 4);
  static constexpr char kHeader[] = "\x1f\x8b\x08\0\0\0\0\0\0\xff";
  GzipPieces state{{std::string_view(kHeader, 10), packed, trailer}};
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  archive_entry* entry = nullptr;
  if (archive_read_support_filter_gzip(reader.get()) != ARCHIVE_OK ||
      archive_read_support_format_raw(reader.get()) != ARCHIVE_OK ||
      archive_read_open(reader.get(), &state, nullptr, next_piece, nullptr) != ARCHIVE_OK ||
      archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
    return std::nullopt;
  }
  std::string out;
  std::array<char, 1 << 16> chunk;
  while (out.size() <= size) {
    const la_ssize_t count = archive_read_data(reader.get(), chunk.data(), chunk.size());
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    out.append(chunk.data(), static_cast<size_t>(count));
  }
  return out;
}

}  // namespace

bool ZipReader::looks_like_zip(std::string_view bytes) {
  return bytes.size() >= 4 && (load<uint32_t>(bytes, 0) == kLocalHeader || load<uint32_t>(bytes, 0) == kDirectoryEnd);
}

void ZipReader::fail(const std::string& what, const std::string& seen) const {
  throw Error(Code::kBadData, "not a readable zip archive: " + what)
      .at(source_)
      .seen(seen)
      .next("the file is damaged or was not copied completely; take another copy of it");
}

ZipReader::ZipReader(std::string_view archive, std::string source) : archive_(archive), source_(std::move(source)) {
  if (!looks_like_zip(archive_)) fail("it does not start like one");
  const uint64_t size = archive_.size();
  uint64_t end = 0;
  bool found = false;
  for (uint64_t tail = kDirectoryEndSize; tail <= std::min(size, kDirectoryEndSize + kLongestComment); ++tail) {
    end = size - tail;
    if (load<uint32_t>(archive_, end) == kDirectoryEnd &&
        load<uint16_t>(archive_, end + 20) == tail - kDirectoryEndSize) {
      found = true;
      break;
    }
  }
  if (!found) fail("its end is missing");
  uint64_t count = load<uint16_t>(archive_, end + 10);
  uint64_t directory_size = load<uint32_t>(archive_, end + 12);
  uint64_t directory = load<uint32_t>(archive_, end + 16);
  if (load<uint16_t>(archive_, end + 4) != load<uint16_t>(archive_, end + 6)) fail("it is one part of several");
  if (end >= kLocatorSize && load<uint32_t>(archive_, end - kLocatorSize) == kZip64Locator) {
    const uint64_t end64 = load<uint64_t>(archive_, end - kLocatorSize + 8);
    if (!fits(end64, kZip64EndSize, end - kLocatorSize) || load<uint32_t>(archive_, end64) != kZip64DirectoryEnd) {
      fail("its zip64 end is damaged");
    }
    count = load<uint64_t>(archive_, end64 + 32);
    directory_size = load<uint64_t>(archive_, end64 + 40);
    directory = load<uint64_t>(archive_, end64 + 48);
  }
  if (!fits(directory, directory_size, end)) fail("its directory lies outside the file");
  read_directory(directory, directory_size, count);
}

void ZipReader::read_directory(uint64_t offset, uint64_t size, uint64_t count) {
  if (count > size / kDirectoryEntrySize) fail("its directory is shorter than its members", std::to_string(count));
  const uint64_t end = offset + size;
  const uint64_t directory = offset;
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  members_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    if (!fits(offset, kDirectoryEntrySize, end) || load<uint32_t>(archive_, offset) != kDirectoryEntry) {
      fail("an entry of its directory is damaged", std::to_string(i));
    }
    const auto flags = load<uint16_t>(archive_, offset + 8);
    const auto method = load<uint16_t>(archive_, offset + 10);
    const auto name_size = load<uint16_t>(archive_, offset + 28);
    const auto extra_size = load<uint16_t>(archive_, offset + 30);
    const auto comment_size = load<uint16_t>(archive_, offset + 32);
    const uint64_t entry_size = kDirectoryEntrySize + name_size + extra_size + comment_size;
    if (!fits(offset, entry_size, end)) fail("an entry of its directory is damaged", std::to_string(i));
    ZipMember member;
    member.name = archive_.substr(offset + kDirectoryEntrySize, name_size);
    member.crc = load<uint32_t>(archive_, offset + 16);
    member.packed_size = load<uint32_t>(archive_, offset + 20);
    member.size = load<uint32_t>(archive_, offset + 24);
    uint64_t header = load<uint32_t>(archive_, offset + 42);
    const std::string_view extra = archive_.substr(offset + kDirectoryEntrySize + name_size, extra_size);
    for (uint64_t at = 0; fits(at, 4, extra.size());) {
      const auto id = load<uint16_t>(extra, at);
      const uint64_t field = load<uint16_t>(extra, at + 2);
      if (!fits(at + 4, field, extra.size())) break;
      if (id == 1) {  // zip64: only those of the four values that did not fit, in this order
        uint64_t from = at + 4;
        for (uint64_t* value : {&member.size, &member.packed_size, &header}) {
          if (*value != kInZip64) continue;
          if (from + 8 > at + 4 + field) fail("a zip64 entry is damaged", member.name);
          *value = load<uint64_t>(extra, from);
          from += 8;
        }
      }
      at += 4 + field;
    }
    if (flags & kEncrypted) fail("a member is encrypted", member.name);
    if (method != kStored && method != kDeflated)
      fail("a member is compressed in an unknown way", std::to_string(method));
    member.deflated = method == kDeflated;
    if (!member.deflated && member.size != member.packed_size) fail("a stored member has two sizes", member.name);
    if (header > directory) fail("a member lies behind the directory", member.name);
    member.offset = data_offset(member, header);
    if (!fits(member.offset, member.packed_size, directory)) fail("a member lies outside the file", member.name);
    spans.emplace_back(header, member.offset + member.packed_size);
    members_.push_back(std::move(member));
    offset += entry_size;
  }
  for (size_t i = 0; i < members_.size(); ++i) {
    if (!by_name_.emplace(members_[i].name, i).second) fail("two members have one name", members_[i].name);
  }
  // Members that share bytes would let a small file unpack to any size.
  std::sort(spans.begin(), spans.end());
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].first < spans[i - 1].second) fail("two members overlap");
  }
}

uint64_t ZipReader::data_offset(const ZipMember& member, uint64_t header) const {
  if (!fits(header, kLocalHeaderSize, archive_.size()) || load<uint32_t>(archive_, header) != kLocalHeader) {
    fail("a member has no header", member.name);
  }
  const auto name_size = load<uint16_t>(archive_, header + 26);
  const auto extra_size = load<uint16_t>(archive_, header + 28);
  if (!fits(header + kLocalHeaderSize, uint64_t{name_size} + extra_size, archive_.size()) ||
      archive_.substr(header + kLocalHeaderSize, name_size) != member.name) {
    fail("a member's header and directory entry disagree", member.name);
  }
  if (load<uint16_t>(archive_, header + 8) != (member.deflated ? kDeflated : kStored)) {
    fail("a member's header and directory entry disagree", member.name);
  }
  return header + kLocalHeaderSize + name_size + extra_size;
}

const ZipMember* ZipReader::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &members_[it->second];
}

ZipContent ZipReader::read(const ZipMember& member, bool verify) const {
  const std::string_view packed = archive_.substr(member.offset, member.packed_size);
  ZipContent content{packed, nullptr};
  if (member.deflated) {
    auto unpacked = inflate(packed, member.crc, member.size);
    if (!unpacked || unpacked->size() != member.size) fail("a deflated member is damaged", member.name);
    content.owner = std::make_shared<const std::string>(*std::move(unpacked));
    content.bytes = *content.owner;
  }
  if (verify) {
    if (const uint32_t crc = crc32(content.bytes); crc != member.crc) {
      fail(fmt::format("the checksum of '{}' is wrong", member.name),
           fmt::format("{:08x}, not {:08x}", crc, member.crc));
    }
  }
  return content;
}

}  // namespace fathom::checkpoint
