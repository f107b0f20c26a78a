// What the commands before a training share: all clips on all threads, moments of what is found, files.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "fathom/command.h"

namespace fathom::tts {

// Of a clip's frames, or of many clips' (Chan, Golub, LeVeque, "Updating formulae …", 1979). In double.
struct Moments {
  double count = 0, mean = 0, squares = 0, min = 0, max = 0;

  // Of `values` (T) where `mask` (T, bool) is set; everywhere without one.
  static Moments of(const at::Tensor& values, const at::Tensor& mask);
  void add(const Moments& other);
  double deviation() const;  // a sample's (n - 1); not a number below two frames
};

// Whole or not at all; makes the folder.
void write_file(const std::string& path, const std::string& text);

// Runs item(0) to item(size - 1) on io.threads() threads, each of them on its own. The first error ends it; so does the
// user (kInterrupted).
void for_all(const CommandIo& io, const char* what, int64_t size, const std::function<void(int64_t)>& item);

}  // namespace fathom::tts
