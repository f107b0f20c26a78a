// Writes the zip archive of torch.save: stored members, data aligned to 64 bytes, zip64 where needed. The whole layout
// is known before the first byte is written, so the archive can be streamed and its size told beforehand. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"

namespace fathom::checkpoint {

class ZipWriter {
 public:
  static constexpr uint64_t kAlignment = 64;

  // Appends a member. The bytes are read now (for the checksum) and again in write(); `owner` keeps them alive.
  void add(std::string name, std::string_view bytes, std::shared_ptr<const void> owner = nullptr);
  void add_copy(std::string name, std::string bytes);

  uint64_t size() const;                 // of the whole archive, in bytes
  void write(FileWriter& writer) const;  // any number of times

  // Checksums of the members so far, in order.
  std::vector<uint32_t> checksums() const;

 private:
  struct Member {
    std::string name;
    std::string_view bytes;
    std::shared_ptr<const void> owner;
    uint32_t crc;
    uint64_t header_offset;
    uint64_t header_size;  // local header with name and extra fields
  };
  std::string local_header(const Member& member) const;
  std::string directory() const;  // with its end records

  std::vector<Member> members_;
  uint64_t end_ = 0;  // where the next member starts
};

}  // namespace fathom::checkpoint
