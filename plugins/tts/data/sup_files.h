// Files of what is computed of clips once and kept: {folder}/{clip}.safetensors, one tensor each. Those that NeMo left
// there ({clip}.pt) are read too, and .npy. Thread-safe; several processes may share a folder.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom::tts {

class SupFolder {
 public:
  SupFolder() = default;  // keeps nothing
  // Makes the folder. `settings`: how its files are computed. They are written beside the files (settings.json) where
  // the folder is empty, and compared with what stands there: a difference is kBadData, naming both values. A folder
  // without settings.json is NeMo's: taken as it is.
  SupFolder(std::string path, const Json& settings);

  bool keeps() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  bool has(const std::string& clip) const { return !find(clip).empty(); }
  // float32, of any shape; nothing where there is no file. A file that cannot be read or holds anything but one tensor
  // of numbers is kBadData.
  std::optional<at::Tensor> load(const std::string& clip) const;
  void save(const std::string& clip, const at::Tensor& values) const;
  // As {clip}.npy, float32 or bool, which NeMo reads; folders in the clip's name are made. Whole or not at all.
  void save_npy(const std::string& clip, const at::Tensor& values) const;
  // Where the clip's file lies or would lie, for messages.
  std::string file(const std::string& clip) const;

 private:
  std::string find(const std::string& clip) const;
  std::string path_;
};

// The one tensor of a file, as float32: .pt, .npy or .safetensors, told apart by content. Errors as above.
at::Tensor load_one_tensor(const std::string& path);

// What a clip's files are called, as NeMo has it: the path from `base` to the audio, without ending, with _ for /.
std::string clip_name(const std::string& audio_path, const std::string& base);
// The folder that all of the paths have in common, as NeMo's get_base_dir.
std::string common_folder(const std::vector<std::string>& audio_paths);

}  // namespace fathom::tts
