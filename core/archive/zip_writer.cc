#include "core/archive/zip_writer.h"

#include <cstring>

#include "core/archive/crc32.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

constexpr uint64_t kLocalHeaderSize = 30, kExtraHeaderSize = 4, kZip64ExtraSize = 16;
constexpr uint32_t kInZip64 = 0xffffffff;
constexpr uint16_t kZip64Id = 1;
constexpr uint16_t kPaddingId = 0x4246;  // "FB", the field torch.save pads with
constexpr uint16_t kUtf8Name = 1 << 11;
constexpr uint16_t kDosDate = 0x21;  // 1980-01-01: equal content gives equal files

template <typename T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

bool needs_zip64(uint64_t value) { return value >= kInZip64; }
uint32_t low(uint64_t value) { return needs_zip64(value) ? kInZip64 : static_cast<uint32_t>(value); }

}  // namespace

void ZipWriter::add(std::string name, std::string_view bytes, std::shared_ptr<const void> owner) {
  if (name.size() > 0x7fff) throw Error(Code::kUsage, "a zip member's name is too long").seen(name.substr(0, 80));
  uint64_t header =
      kLocalHeaderSize + name.size() + (needs_zip64(bytes.size()) ? kExtraHeaderSize + kZip64ExtraSize : 0);
  header += kExtraHeaderSize;
  header += (kAlignment - (end_ + header) % kAlignment) % kAlignment;
  members_.push_back({std::move(name), bytes, std::move(owner), crc32(bytes), end_, header});
  end_ += header + bytes.size();
}

void ZipWriter::add_copy(std::string name, std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  add(std::move(name), view, std::move(owner));
}

std::vector<uint32_t> ZipWriter::checksums() const {
  std::vector<uint32_t> out;
  for (const auto& member : members_) out.push_back(member.crc);
  return out;
}

std::string ZipWriter::local_header(const Member& member) const {
  const bool zip64 = needs_zip64(member.bytes.size());
  std::string out;
  put<uint32_t>(out, 0x04034b50);
  put<uint16_t>(out, zip64 ? 45 : 20);
  put<uint16_t>(out, kUtf8Name);
  put<uint16_t>(out, 0);  // stored
  put<uint16_t>(out, 0);
  put<uint16_t>(out, kDosDate);
  put<uint32_t>(out, member.crc);
  put<uint32_t>(out, low(member.bytes.size()));
  put<uint32_t>(out, low(member.bytes.size()));
  put<uint16_t>(out, static_cast<uint16_t>(member.name.size()));
  put<uint16_t>(out, static_cast<uint16_t>(member.header_size - kLocalHeaderSize - member.name.size()));
  out += member.name;
  if (zip64) {
    put<uint16_t>(out, kZip64Id);
    put<uint16_t>(out, kZip64ExtraSize);
    put<uint64_t>(out, member.bytes.size());
    put<uint64_t>(out, member.bytes.size());
  }
  put<uint16_t>(out, kPaddingId);
  const uint64_t padding = member.header_size - out.size() - 2;
  put<uint16_t>(out, static_cast<uint16_t>(padding));
  out.append(padding, 'Z');
  return out;
}

std::string ZipWriter::directory() const {
  std::string out;
  for (const auto& member : members_) {
    std::string extra;
    if (needs_zip64(member.bytes.size())) {
      put<uint64_t>(extra, member.bytes.size());
      put<uint64_t>(extra, member.bytes.size());
    }
    if (needs_zip64(member.header_offset)) put<uint64_t>(extra, member.header_offset);
    put<uint32_t>(out, 0x02014b50);
    put<uint16_t>(out, extra.empty() ? 20 : 45);
    put<uint16_t>(out, extra.empty() ? 20 : 45);
    put<uint16_t>(out, kUtf8Name);
    put<uint16_t>(out, 0);
    put<uint16_t>(out, 0);
    put<uint16_t>(out, kDosDate);
    put<uint32_t>(out, member.crc);
    put<uint32_t>(out, low(member.bytes.size()));
    put<uint32_t>(out, low(member.bytes.size()));
    put<uint16_t>(out, static_cast<uint16_t>(member.name.size()));
    put<uint16_t>(out, static_cast<uint16_t>(extra.empty() ? 0 : kExtraHeaderSize + extra.size()));
    put<uint16_t>(out, 0);  // comment
    put<uint16_t>(out, 0);  // disk
    put<uint16_t>(out, 0);  // internal attributes
    put<uint32_t>(out, 0);  // external attributes
    put<uint32_t>(out, low(member.header_offset));
    out += member.name;
    if (!extra.empty()) {
      put<uint16_t>(out, kZip64Id);
      put<uint16_t>(out, static_cast<uint16_t>(extra.size()));
      out += extra;
    }
  }
  const uint64_t directory_size = out.size();
  const uint64_t count = members_.size();
  if (count >= 0xffff || needs_zip64(end_) || needs_zip64(directory_size)) {
    put<uint32_t>(out, 0x06064b50);
    put<uint64_t>(out, 44);  // bytes of this record that follow
    put<uint16_t>(out, 45);
    put<uint16_t>(out, 45);
    put<uint32_t>(out, 0);
    put<uint32_t>(out, 0);
    put<uint64_t>(out, count);
    put<uint64_t>(out, count);
    put<uint64_t>(out, directory_size);
    put<uint64_t>(out, end_);
    put<uint32_t>(out, 0x07064b50);
    put<uint32_t>(out, 0);
    put<uint64_t>(out, end_ + directory_size);
    put<uint32_t>(out, 1);
  }
  const auto short_count = static_cast<uint16_t>(count >= 0xffff ? 0xffff : count);
  put<uint32_t>(out, 0x06054b50);
  put<uint16_t>(out, 0);
  put<uint16_t>(out, 0);
  put<uint16_t>(out, short_count);
  put<uint16_t>(out, short_count);
  put<uint32_t>(out, low(directory_size));
  put<uint32_t>(out, low(end_));
  put<uint16_t>(out, 0);
  return out;
}

uint64_t ZipWriter::size() const { return end_ + directory().size(); }

void ZipWriter::write(FileWriter& writer) const {
  for (const auto& member : members_) {
    writer.write(local_header(member));
    writer.write(member.bytes);
  }
  writer.write(directory());
}

}  // namespace fathom::checkpoint
