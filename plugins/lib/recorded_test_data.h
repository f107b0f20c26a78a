// Where the tests find data: the repository's own, and recordings of NeMo that lie beside the repository (or where
// FATHOM_SHARED says). Tests that need the latter skip where they are absent.
#pragma once

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom::test_data {

inline std::string digits(const std::string& name) {
  return std::string(FATHOM_SOURCE_DIR) + "/tests/data/digits/" + name;
}

inline std::string shared_path(const std::string& name) {
  const char* root = std::getenv("FATHOM_SHARED");
  return (root != nullptr ? std::string(root) : std::string(FATHOM_SOURCE_DIR) + "/../shared") + "/" + name;
}
inline bool exists(const std::string& path) { return std::ifstream(path).good(); }

// Python writes NaN and Infinity, which are no JSON: they arrive as texts.
inline nlohmann::json read_recording(const std::string& path) {
  std::ifstream in(path);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  for (const std::string word : {"-Infinity", "Infinity", "NaN"}) {
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size() + 2) {
      const size_t before = at == 0 ? std::string::npos : text.find_last_not_of(" \n", at - 1),
                   after = at + word.size();
      const bool is_value = before != std::string::npos && after < text.size() &&
                            std::string_view(":,[").find(text[before]) != std::string_view::npos &&
                            std::string_view(",]}\n").find(text[after]) != std::string_view::npos;
      if (!is_value) continue;
      text = text.substr(0, at) + '"' + word + '"' + text.substr(at + word.size());
    }
  }
  return nlohmann::json::parse(text);
}

// float32, int64 and int32 tensors of a safetensors file.
struct Recorded {
  std::vector<int64_t> shape;
  std::vector<float> real;
  std::vector<int64_t> integer;
};
inline std::map<std::string, Recorded> read_tensors(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  uint64_t length = 0;
  std::copy_n(bytes.data(), 8, reinterpret_cast<char*>(&length));
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::map<std::string, Recorded> out;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    Recorded& tensor = out[name];
    tensor.shape = entry["shape"].get<std::vector<int64_t>>();
    const size_t begin = 8 + length + entry["data_offsets"][0].get<size_t>(),
                 end = 8 + length + entry["data_offsets"][1].get<size_t>();
    const auto fill = [&](auto& values) {
      values.resize((end - begin) / sizeof(values[0]));
      std::copy_n(bytes.data() + begin, end - begin, reinterpret_cast<char*>(values.data()));
    };
    if (entry["dtype"] == "F32")
      fill(tensor.real);
    else if (entry["dtype"] == "I64")
      fill(tensor.integer);
    if (entry["dtype"] == "I32") {
      std::vector<int32_t> narrow;
      fill(narrow);
      tensor.integer.assign(narrow.begin(), narrow.end());
    }
  }
  return out;
}

}  // namespace fathom::test_data

#define NEEDS_RECORDING(path) \
  if (!::fathom::test_data::exists(path)) GTEST_SKIP() << "the recording " << (path) << " is not here"
