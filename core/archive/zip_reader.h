// Reads zip archives from memory: stored and deflated members, zip64. Built for the archives of torch.save, whose
// members are stored, so that a member is a view into the mapped file.
//
// Refused with Error(kBadData): damaged or cut archives, members that overlap or reach outside the file, two members of
// one name, encryption, other compression. Thread-safe once constructed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fathom::checkpoint {

struct ZipMember {
  std::string name;
  uint64_t size = 0;         // unpacked
  uint64_t packed_size = 0;  // in the file
  uint64_t offset = 0;       // of the data, from the start of the archive
  uint32_t crc = 0;
  bool deflated = false;
};

// The bytes of a member; `owner` is set when they had to be unpacked, otherwise they lie in the archive.
struct ZipContent {
  std::string_view bytes;
  std::shared_ptr<const std::string> owner;
};

class ZipReader {
 public:
  // `archive` must outlive the reader and what read() returns. `source` names it in errors.
  ZipReader(std::string_view archive, std::string source);

  static bool looks_like_zip(std::string_view bytes);

  const std::vector<ZipMember>& members() const { return members_; }
  const ZipMember* find(std::string_view name) const;  // null when absent

  // Checks the CRC-32 unless told not to. A deflated member never unpacks to more than its stated size.
  ZipContent read(const ZipMember& member, bool verify = true) const;

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& seen = {}) const;
  void read_directory(uint64_t offset, uint64_t size, uint64_t count);
  uint64_t data_offset(const ZipMember& member, uint64_t header) const;

  std::string_view archive_;
  std::string source_;
  std::vector<ZipMember> members_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

}  // namespace fathom::checkpoint
