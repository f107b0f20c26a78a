// CPU kernels of the depthwise 1-d convolution: every channel has a filter of its own. Torch-free interface.
//
// Why own kernels: on CPU at::conv1d with groups == channels runs at a tenth of the speed of these loops.
//
// Shapes (row-major, contiguous): x (items, rows, t_in), w (filters, kernel), y and dy (items, rows, t_out), where row
// r of an item uses filter r % filters (rows == filters for a plain depthwise convolution, a multiple of it with shared
// heads).
//   y[t] = bias + sum_k w[k] * x[t * stride + k * dilation - pad_left],     x taken as 0 outside [0, min(t_in, length))
// and y[t] is 0 for t >= its item's out_length, when lengths are given.
//
// Sums run in a fixed order whatever the number of threads. Nothing is reassociated beyond that order and no fast-math
// is used: NaN and infinities in x and dy reach exactly the outputs whose window holds them. An infinite or NaN
// *weight* also reaches the outputs whose window only overlaps the padding; callers that must not see this test the
// weights.
//
// Threads: work is split with at::parallel_for over channels; the functions hold no state.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::nn {

struct DepthwiseShape {
  int64_t items = 0;
  int64_t rows = 0;     // channels of one item
  int64_t filters = 0;  // channels that have a filter of their own; divides rows
  int64_t t_in = 0, t_out = 0;
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t pad_left = 0;                  // >= 0; what is read to the right of x follows from t_out
  const int64_t* lengths = nullptr;      // (items) valid samples of x, or null: all
  const int64_t* out_lengths = nullptr;  // (items) valid samples of y, or null: all
};

// The same row by row, for callers that make the rows as they go. Holds no state but the shape (whose lengths are the
// caller's business here); each thread has a Scratch of its own. A row of x is kept in `stride` phases (phase p holds
// padded samples p, p + stride, ...), so that every tap reads consecutive samples.
template <typename T>
class DepthwiseRows {
 public:
  explicit DepthwiseRows(const DepthwiseShape& shape);

  struct Scratch {
    std::vector<T> row, grad, phase, picked, outside;
  };
  Scratch scratch() const;

  // Where a row of x (t_in) or of dy (t_out) may be written that is loaded next: from there loading copies nothing, or
  // less.
  T* row_room(Scratch& scratch) const;
  T* grad_room(Scratch& scratch) const;

  // A row of x, of which `length` samples count. The next functions work on it.
  void load(const T* row, int64_t length, Scratch& scratch) const;
  // y (t_out): `out_length` results, then zeros.
  void forward(const T* w, T bias, const Scratch& scratch, T* y, int64_t out_length) const;

  // The gradient of a row of y, of which `out_length` samples count.
  void load_grad(const T* dy, int64_t out_length, Scratch& scratch) const;
  // Adds to `sums` (sums_size() values, zero at first) what the loaded rows give to the gradient of w; finish_taps
  // makes dw (kernel) of it.
  void add_taps(const Scratch& scratch, int64_t out_length, T* sums) const;
  int64_t sums_size() const;
  void finish_taps(const T* sums, T* dw) const;
  // dx (t_in): `length` results, then zeros.
  void backward(const T* w, Scratch& scratch, T* dx, int64_t length) const;

 private:
  DepthwiseShape shape_;
  int64_t phase_size_ = 0, phase_vectors_ = 0, front_ = 0, grad_size_ = 0;
  std::vector<int64_t> off_;                                  // where tap k begins in the phases
  std::vector<std::vector<int64_t>> phase_taps_, phase_off_;  // of dx: the taps of a phase and where they begin
};

// Every dimension is at least 1 but t_in, which may be 0.
template <typename T>
void depthwise_forward(const DepthwiseShape& shape, const T* x, const T* w, const T* bias, T* y);

// dx (items, rows, t_in) and dw (filters, kernel) are overwritten; either may be null. x may be null when dw is.
template <typename T>
void depthwise_backward(const DepthwiseShape& shape, const T* x, const T* w, const T* dy, T* dx, T* dw);

extern template class DepthwiseRows<float>;
extern template class DepthwiseRows<double>;
extern template void depthwise_forward<float>(const DepthwiseShape&, const float*, const float*, const float*, float*);
extern template void depthwise_forward<double>(const DepthwiseShape&, const double*, const double*, const double*,
                                               double*);
extern template void depthwise_backward<float>(const DepthwiseShape&, const float*, const float*, const float*, float*,
                                               float*);
extern template void depthwise_backward<double>(const DepthwiseShape&, const double*, const double*, const double*,
                                                double*, double*);

}  // namespace fathom::nn
