// A .safetensors file, and the same written again.
#include "core/archive/safetensors.h"
#include "core/base/file.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

std::string text_of(const checkpoint::SafetensorsFile& file) {
  std::string text;
  for (const auto& [key, value] : file.metadata) text += key + "=" + value + "\n";
  std::vector<std::string> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    std::string line = name + " " + std::string(checkpoint::info_of(tensor.dtype).name);
    for (const int64_t size : tensor.sizes) line += " " + std::to_string(size);
    tensors.push_back(line + ": " + std::string(tensor.storage->bytes) + "\n");
  }
  std::sort(tensors.begin(), tensors.end());
  for (const auto& line : tensors) text += line;
  return text;
}

void one_input(std::string_view bytes) {
  const std::string path = fuzz::scratch_folder() + "/fuzz.safetensors", again = path + ".again";
  write_file_atomically(path, bytes);
  const auto file = checkpoint::read_safetensors(path);
  checkpoint::write_safetensors(again, file);
  fuzz::must_equal(text_of(file), text_of(checkpoint::read_safetensors(again)), "written again");
}

}  // namespace

FATHOM_FUZZ(one_input)
