#include "plugins/lib/nn/norm_kernel.h"

#include <ATen/Parallel.h>

namespace fathom::nn {
namespace {

#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define FATHOM_INLINE __attribute__((always_inline)) static inline
constexpr int kLanes = 16;  // independent sums: fixed, so that results do not depend on the instruction set's width

template <typename T>
FATHOM_INLINE double row_sum(const T* x, int64_t n) {
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += x[i + j];
  }
  double sum = 0;
  for (; i < n; ++i) sum += x[i];
  for (const T lane : lanes) sum += lane;
  return sum;
}

template <typename T>
FATHOM_INLINE double row_squares(const T* x, T mean, int64_t n) {
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += (x[i + j] - mean) * (x[i + j] - mean);
  }
  double sum = 0;
  for (; i < n; ++i) sum += (x[i] - mean) * (x[i] - mean);
  for (const T lane : lanes) sum += lane;
  return sum;
}

template <typename T>
FATHOM_INLINE void forward_row(const T* x, T scale, T shift, const T* residual, bool relu, const uint16_t* bits,
                               uint16_t threshold, T keep, T* y, int64_t n) {
  // One simple loop after another over a row that stays in the first-level cache.
  if (residual != nullptr) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale + shift + residual[i];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale + shift;
  }
  if (relu) {
    for (int64_t i = 0; i < n; ++i) y[i] = y[i] < T(0) ? T(0) : y[i];  // NaN stays NaN
  }
  if (bits != nullptr) {
    for (int64_t i = 0; i < n; ++i) y[i] = bits[i] >= threshold ? y[i] * keep : T(0);
  }
}

template <typename T>
FATHOM_INLINE void backward_row(const T* x, const T* y, const T* dy, T mean, bool relu, const uint16_t* bits,
                                uint16_t threshold, T keep, T* dz, int64_t n, double* sum, double* sum_centred) {
  if (relu) {
    // Dropped elements are 0 as well; what was kept and positive is positive still.
    for (int64_t i = 0; i < n; ++i) dz[i] = y[i] <= T(0) ? T(0) : dy[i] * keep;
  } else if (bits != nullptr) {
    for (int64_t i = 0; i < n; ++i) dz[i] = bits[i] >= threshold ? dy[i] * keep : T(0);
  } else {
    for (int64_t i = 0; i < n; ++i) dz[i] = dy[i];
  }
  T a[kLanes] = {}, b[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) a[j] += dz[i + j];
    for (int j = 0; j < kLanes; ++j) b[j] += dz[i + j] * (x[i + j] - mean);
  }
  for (; i < n; ++i) {
    *sum += dz[i];
    *sum_centred += dz[i] * (x[i] - mean);
  }
  for (int j = 0; j < kLanes; ++j) {
    *sum += a[j];
    *sum_centred += b[j];
  }
}

template <typename T>
FATHOM_INLINE void input_row(const T* x, const T* dz, T mean, T a, T b, T d, T* dx, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dx[i] = a * dz[i] + b * (x[i] - mean) + d;
}

#define FATHOM_ROWS(T, SUFFIX)                                                                                       \
  FATHOM_CLONES double sum_##SUFFIX(const T* x, int64_t n) { return row_sum(x, n); }                                 \
  FATHOM_CLONES double squares_##SUFFIX(const T* x, T mean, int64_t n) { return row_squares(x, mean, n); }           \
  FATHOM_CLONES void forward_##SUFFIX(const T* x, T scale, T shift, const T* residual, bool relu,                    \
                                      const uint16_t* bits, uint16_t threshold, T keep, T* y, int64_t n) {           \
    forward_row(x, scale, shift, residual, relu, bits, threshold, keep, y, n);                                       \
  }                                                                                                                  \
  FATHOM_CLONES void backward_##SUFFIX(const T* x, const T* y, const T* dy, T mean, bool relu, const uint16_t* bits, \
                                       uint16_t threshold, T keep, T* dz, int64_t n, double* sum,                    \
                                       double* sum_centred) {                                                        \
    backward_row(x, y, dy, mean, relu, bits, threshold, keep, dz, n, sum, sum_centred);                              \
  }                                                                                                                  \
  FATHOM_CLONES void input_##SUFFIX(const T* x, const T* dz, T mean, T a, T b, T d, T* dx, int64_t n) {              \
    input_row(x, dz, mean, a, b, d, dx, n);                                                                          \
  }                                                                                                                  \
  template <>                                                                                                        \
  struct Rows<T> {                                                                                                   \
    static constexpr auto sum = &sum_##SUFFIX;                                                                       \
    static constexpr auto squares = &squares_##SUFFIX;                                                               \
    static constexpr auto forward = &forward_##SUFFIX;                                                               \
    static constexpr auto backward = &backward_##SUFFIX;                                                             \
    static constexpr auto input = &input_##SUFFIX;                                                                   \
  };
template <typename T>
struct Rows;
FATHOM_ROWS(float, f32)
FATHOM_ROWS(double, f64)

// Calls body(channel, offset of its row) item by item, channels shared among threads.
template <typename Body>
void for_channels(const NormShape& s, const Body& body) {
  at::parallel_for(0, s.channels, 4, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t item = 0; item < s.items; ++item) body(c, (item * s.channels + c) * s.frames);
    }
  });
}

}  // namespace

template <typename T>
void channel_moments(const NormShape& s, const T* x, double* mean, double* variance) {
  const double count = static_cast<double>(s.items) * static_cast<double>(s.frames);
  at::parallel_for(0, s.channels, 4, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      double sum = 0, squares = 0;
      for (int64_t item = 0; item < s.items; ++item)
        sum += Rows<T>::sum(x + (item * s.channels + c) * s.frames, s.frames);
      mean[c] = sum / count;
      for (int64_t item = 0; item < s.items; ++item) {
        squares += Rows<T>::squares(x + (item * s.channels + c) * s.frames, static_cast<T>(mean[c]), s.frames);
      }
      variance[c] = squares / count;
    }
  });
}

template <typename T>
void norm_forward(const NormShape& s, const T* x, const double* scale, const double* shift, const T* residual,
                  bool relu, const DropoutBits& dropout, T* y) {
  for_channels(s, [&](int64_t c, int64_t at) {
    Rows<T>::forward(x + at, static_cast<T>(scale[c]), static_cast<T>(shift[c]),
                     residual != nullptr ? residual + at : nullptr, relu,
                     dropout.bits != nullptr ? dropout.bits + at : nullptr, dropout.threshold,
                     static_cast<T>(dropout.scale), y + at, s.frames);
  });
}

template <typename T>
void norm_backward_sums(const NormShape& s, const T* x, const T* y, const T* dy, const double* mean, bool relu,
                        const DropoutBits& dropout, T* dz, double* sum, double* sum_centred) {
  for (int64_t c = 0; c < s.channels; ++c) sum[c] = sum_centred[c] = 0;
  for_channels(s, [&](int64_t c, int64_t at) {
    Rows<T>::backward(x + at, y + at, dy + at, static_cast<T>(mean[c]), relu,
                      dropout.bits != nullptr ? dropout.bits + at : nullptr, dropout.threshold,
                      static_cast<T>(dropout.scale), dz + at, s.frames, sum + c, sum_centred + c);
  });
}

template <typename T>
void norm_backward_input(const NormShape& s, const T* x, const T* dz, const double* mean, const double* a,
                         const double* b, const double* d, T* dx) {
  for_channels(s, [&](int64_t c, int64_t at) {
    Rows<T>::input(x + at, dz + at, static_cast<T>(mean[c]), static_cast<T>(a[c]), static_cast<T>(b[c]),
                   static_cast<T>(d[c]), dx + at, s.frames);
  });
}

#define FATHOM_INSTANTIATE(T)                                                                              \
  template void channel_moments<T>(const NormShape&, const T*, double*, double*);                          \
  template void norm_forward<T>(const NormShape&, const T*, const double*, const double*, const T*, bool,  \
                                const DropoutBits&, T*);                                                   \
  template void norm_backward_sums<T>(const NormShape&, const T*, const T*, const T*, const double*, bool, \
                                      const DropoutBits&, T*, double*, double*);                           \
  template void norm_backward_input<T>(const NormShape&, const T*, const T*, const double*, const double*, \
                                       const double*, const double*, T*);
FATHOM_INSTANTIATE(float)
FATHOM_INSTANTIATE(double)

}  // namespace fathom::nn
