// Sinusoidal positions (Vaswani et al. 2017, arXiv:1706.03762, section 3.5), absolute or relative.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace fathom::nn {

// (N, width) float32 on the CPU for positions first, first + step, …: columns 2i and 2i + 1 hold sin and cos of
// position / 10000^(2i / width). width is even.
at::Tensor sinusoids(int64_t first, int64_t step, int64_t count, int64_t width);

// A table that grows with what is asked for and is kept in the dtype and on the device asked for last. Its values do
// not depend on its size. Not for two threads at a time.
class PositionTable {
 public:
  // kAbsolute: rows for positions 0, 1, …; kRelative: rows for positions n - 1 down to -(n - 1).
  enum class Kind { kAbsolute, kRelative };
  // `capacity`: lengths up to this are prepared in growing steps, longer ones exactly.
  PositionTable(Kind kind, int64_t width, int64_t capacity) : kind_(kind), width_(width), capacity_(capacity) {}
  // (1, length, width), or (1, 2 length - 1, width) relative. options: dtype and device.
  at::Tensor rows(int64_t length, const at::TensorOptions& options);

 private:
  Kind kind_;
  int64_t width_, capacity_, length_ = 0;
  at::Tensor table_;
};

}  // namespace fathom::nn
