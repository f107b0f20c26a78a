// .nemo archives: a tar (plain since NeMo 1.7, gzipped before) or a folder with model_config.yaml, model_weights.ckpt
// and artifacts. An archive is data: nothing is unpacked unless asked for, and never outside the folder given.
//
// Reading refuses, with Error(kBadData): names that are absolute or contain "..", links and devices, two members of one
// name, archives that are cut short, and gzip streams that unpack to more than kMaxUnpackRatio times the file's size.
// A NemoArchive is immutable and may be read from many threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/mapped_file.h"
#include "core/base/file.h"

namespace fathom::checkpoint {

inline constexpr std::string_view kNemoConfig = "model_config.yaml";
inline constexpr std::string_view kNemoWeights = "model_weights.ckpt";
inline constexpr uint64_t kMaxUnpackRatio = 200;

class NemoArchive {
 public:
  struct Member {
    std::string name;                         // without a leading "./"
    std::string_view bytes;                   // in memory that `owner` keeps
    std::shared_ptr<const MappedFile> owner;  // the mapped file, or the unpacked content
  };

  // Error(kNoInput) when there is nothing at `path`. A plain tar and a folder are mapped, not read.
  static NemoArchive open(const std::string& path);

  const std::string& path() const { return path_; }
  bool is_folder() const { return is_folder_; }
  bool is_compressed() const { return is_compressed_; }
  const std::vector<Member>& members() const { return members_; }  // files only, in the archive's order

  const Member* find(std::string_view name) const;  // with or without "./"; null when absent
  // Error(kBadData) with the near names when absent.
  const Member& at(std::string_view name) const;

  std::string config_text() const { return std::string(at(kNemoConfig).bytes); }

  // Writes one member below `folder` (made when missing) and returns its path.
  std::string extract(std::string_view name, const std::string& folder) const;
  // Every member but the weights, below `folder`.
  void extract_artifacts(const std::string& folder) const;

 private:
  void read_tar(std::shared_ptr<const MappedFile> owner, std::string_view file);
  void read_folder();
  void refuse_files_that_are_folders() const;
  void add(std::string name, std::string_view bytes, std::shared_ptr<const MappedFile> owner);

  std::string path_;
  bool is_folder_ = false, is_compressed_ = false;
  std::vector<Member> members_;
};

struct NemoMember {
  std::string name;  // "model_config.yaml"
  uint64_t size = 0;
  std::function<void(FileWriter&)> produce;  // writes exactly `size` bytes

  static NemoMember of_text(std::string name, std::string text);
  static NemoMember of_file(std::string name, std::string path);  // read when it is written
};

// Writes a plain tar, members as "./name" in the given order, in place of `path` in one step; missing parent folders
// are made. Equal members give equal bytes: no times, users or permissions of this machine are stored.
void write_nemo_archive(const std::string& path, const std::vector<NemoMember>& members);

}  // namespace fathom::checkpoint
