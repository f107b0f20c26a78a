// CPU kernels of batch normalisation with what follows it in a convolutional block, in one pass over memory:
//   y = dropout(relu(x * scale[c] + shift[c] + residual)),   residual, relu and dropout each optional.
// Torch-free interface. Shapes (row-major, contiguous): x, residual, y, dy (items, channels, frames).
//
// Why own kernels: batch norm, add, ReLU and dropout as separate operators read and write the activations eight times a
// step and draw one random number at a time; together they take longer than the convolutions.
//
// Sums run in a fixed order whatever the number of threads; work is split with at::parallel_for over channels. No
// fast-math: NaN and infinities propagate as through the separate operators.
#pragma once

#include <cstdint>

namespace fathom::nn {

struct NormShape {
  int64_t items = 0, channels = 0, frames = 0;
};

// Dropout from 16 random bits an element: an element is kept when its bits are >= threshold, then multiplied by
// `scale`. bits may be null: nothing is dropped.
struct DropoutBits {
  const uint16_t* bits = nullptr;
  uint16_t threshold = 0;
  double scale = 1;
};

// mean and (biased) variance of every channel over items and frames, summed in double.
template <typename T>
void channel_moments(const NormShape& shape, const T* x, double* mean, double* variance);

template <typename T>
void norm_forward(const NormShape& shape, const T* x, const double* scale, const double* shift, const T* residual,
                  bool relu, const DropoutBits& dropout, T* y);

// dz = the gradient of x * scale + shift + residual, from dy and, for relu and dropout, y: where y is not positive
// nothing passes; NaN in y passes on. Dropout without relu reads its bits again. Writes dz and, per channel, the sums
// of dz and of dz * (x - mean).
template <typename T>
void norm_backward_sums(const NormShape& shape, const T* x, const T* y, const T* dy, const double* mean, bool relu,
                        const DropoutBits& dropout, T* dz, double* sum, double* sum_centred);

// dx = a[c] * dz + b[c] * (x - mean[c]) + d[c]. dx may be dz.
template <typename T>
void norm_backward_input(const NormShape& shape, const T* x, const T* dz, const double* mean, const double* a,
                         const double* b, const double* d, T* dx);

}  // namespace fathom::nn
