// The frame of a fuzzer: FATHOM_FUZZ(function) hands it each input and accepts nothing but Errors from it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "fathom/error.h"

namespace fathom::fuzz {

// Stops the fuzzer: a property of the code under test does not hold.
inline void must_equal(const std::string& expected, const std::string& got, const char* what) {
  if (expected == got) return;
  std::fprintf(stderr, "%s\n--- expected\n%s\n--- got\n%s\n", what, expected.c_str(), got.c_str());
  std::abort();
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (true) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

// Files written to and removed from memory-backed storage.
inline const std::string& scratch_folder() {
  struct Folder {
    std::string name = "/dev/shm/fathom_fuzz_XXXXXX";
    Folder() {
      if (::mkdtemp(name.data()) == nullptr) std::abort();
    }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(name, ignored);
    }
  };
  static const Folder folder;
  return folder.name;
}

}  // namespace fathom::fuzz

#define FATHOM_FUZZ(function)                                                \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {  \
    try {                                                                    \
      function(std::string_view(reinterpret_cast<const char*>(data), size)); \
    } catch (const fathom::Error&) {                                         \
    }                                                                        \
    return 0;                                                                \
  }
