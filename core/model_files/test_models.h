// Small model files for the tests of this room.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/archive/nemo_archive.h"
#include "core/archive/pickle_file.h"
#include "core/archive/pickle_value.h"
#include "core/base/file.h"
#include "tests/support/folder_test.h"

namespace fathom::model_files {

// A dense tensor of any element type.
template <typename T>
checkpoint::PickleTensor tensor_of(checkpoint::TensorDtype dtype, std::vector<int64_t> sizes,
                                   const std::vector<T>& values) {
  auto bytes = std::make_shared<std::string>(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes->data(), values.data(), bytes->size());
  checkpoint::PickleTensor out;
  out.dtype = dtype;
  out.sizes = sizes;
  out.strides.assign(sizes.size(), 1);
  for (size_t d = sizes.size(); d-- > 1;) out.strides[d - 1] = out.strides[d] * sizes[d];
  out.storage = std::make_shared<checkpoint::PickleStorage>();
  out.storage->dtype = dtype;
  out.storage->bytes = *bytes;
  out.storage->size = bytes->size();
  out.storage->owner = bytes;
  return out;
}
inline checkpoint::PickleTensor floats(std::vector<int64_t> sizes, const std::vector<float>& values) {
  return tensor_of(checkpoint::TensorDtype::kFloat32, std::move(sizes), values);
}

using TestState = std::vector<std::pair<std::string, checkpoint::PickleTensor>>;

inline checkpoint::PickleValue test_state(const TestState& state) {
  checkpoint::PickleValue out = checkpoint::PickleValue::ordered_dict();
  for (const auto& [name, tensor] : state) out.mutable_dict().set(name, tensor);
  return out;
}

inline void write_test_nemo(const std::string& path, const std::string& config, const TestState& state,
                            const std::vector<std::pair<std::string, std::string>>& artifacts = {}) {
  const checkpoint::PickleFileWriter weights(test_state(state), "model_weights");
  std::vector<checkpoint::NemoMember> members = {
      checkpoint::NemoMember::of_text("model_config.yaml", config),
      {"model_weights.ckpt", weights.size(), [&](FileWriter& writer) { weights.write(writer); }}};
  for (const auto& [name, text] : artifacts) members.push_back(checkpoint::NemoMember::of_text(name, text));
  checkpoint::write_nemo_archive(path, members);
}

inline void write_test_pickle(const std::string& path, const checkpoint::PickleValue& value) {
  const checkpoint::PickleFileWriter file(value);
  write_file_atomically(path, [&](FileWriter& writer) { file.write(writer); });
}

class ModelFilesTest : public FolderTest {
 protected:
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    write_file_atomically(at(name), text);
  }
};

}  // namespace fathom::model_files
