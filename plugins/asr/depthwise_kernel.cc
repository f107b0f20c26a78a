#include "depthwise_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace fathom::asr {
namespace {

// One machine function per instruction set, chosen at load time. The bodies are templates that are inlined into them.
#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define FATHOM_INLINE __attribute__((always_inline)) static inline

// 64 bytes: one register with AVX-512, two or four with less. aligned(): loads need only the element's alignment.
typedef float Floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef double Doubles __attribute__((vector_size(64), aligned(8), may_alias));
template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = Floats;
  static constexpr int64_t kLanes = 16;
};
template <>
struct VectorOf<double> {
  using type = Doubles;
  static constexpr int64_t kLanes = 8;
};

// y[t0 .. t0 + N * lanes) = start + sum_k w[k] * x[off[k] + t]
template <typename T, int N>
FATHOM_INLINE void correlate_block(const T* x, const int64_t* off, const T* w, int64_t kernel, T start, T* y) {
  using V = typename VectorOf<T>::type;
  constexpr int64_t kLanes = VectorOf<T>::kLanes;
  V acc[N] = {};
  for (int n = 0; n < N; ++n) acc[n] += start;
  for (int64_t k = 0; k < kernel; ++k) {
    const T weight = w[k];
    const T* p = x + off[k];
    for (int n = 0; n < N; ++n) acc[n] += weight * *reinterpret_cast<const V*>(p + n * kLanes);
  }
  for (int n = 0; n < N; ++n) *reinterpret_cast<V*>(y + n * kLanes) = acc[n];
}

// Writes exactly `count` values. x is read up to `count` rounded up to whole vectors beyond its largest offset.
template <typename T>
FATHOM_INLINE void correlate_body(const T* x, const int64_t* off, const T* w, int64_t kernel, T start, T* y,
                                  int64_t count) {
  constexpr int64_t kLanes = VectorOf<T>::kLanes;
  int64_t left = count / kLanes;
  while (left > 0) {
    int64_t done;
    if (left >= 16 || left == 8) {
      correlate_block<T, 8>(x, off, w, kernel, start, y);
      done = 8;
    } else if (left >= 12 || left == 6 || left == 7) {
      correlate_block<T, 6>(x, off, w, kernel, start, y);
      done = 6;
    } else if (left >= 4) {
      correlate_block<T, 4>(x, off, w, kernel, start, y);
      done = 4;
    } else if (left >= 2) {
      correlate_block<T, 2>(x, off, w, kernel, start, y);
      done = 2;
    } else {
      correlate_block<T, 1>(x, off, w, kernel, start, y);
      done = 1;
    }
    x += done * kLanes;
    y += done * kLanes;
    left -= done;
  }
  if (count % kLanes != 0) {
    T tail[kLanes];
    correlate_block<T, 1>(x, off, w, kernel, start, tail);
    std::memcpy(y, tail, count % kLanes * sizeof(T));
  }
}

// acc[k] (one vector per tap) += dy[t] * x[off[k] + t], summed over t in steps of a vector. dy is zero beyond its end.
template <typename T, int N>
FATHOM_INLINE void taps_block(const T* x, const int64_t* off, const T* dy, int64_t vectors, T* acc_out) {
  using V = typename VectorOf<T>::type;
  constexpr int64_t kLanes = VectorOf<T>::kLanes;
  V acc[N] = {};
  const T* p[N];
  for (int n = 0; n < N; ++n) {
    acc[n] = *reinterpret_cast<const V*>(acc_out + n * kLanes);
    p[n] = x + off[n];
  }
  for (int64_t i = 0; i < vectors; ++i) {
    const V grad = *reinterpret_cast<const V*>(dy + i * kLanes);
    for (int n = 0; n < N; ++n) acc[n] += grad * *reinterpret_cast<const V*>(p[n] + i * kLanes);
  }
  for (int n = 0; n < N; ++n) *reinterpret_cast<V*>(acc_out + n * kLanes) = acc[n];
}

template <typename T>
FATHOM_INLINE void taps_body(const T* x, const int64_t* off, const T* dy, int64_t vectors, int64_t kernel, T* acc) {
  constexpr int64_t kLanes = VectorOf<T>::kLanes;
  int64_t k = 0;
  for (; k + 8 <= kernel; k += 8) taps_block<T, 8>(x, off + k, dy, vectors, acc + k * kLanes);
  off += k;
  acc += k * kLanes;
  switch (kernel - k) {
    case 7: return taps_block<T, 7>(x, off, dy, vectors, acc);
    case 6: return taps_block<T, 6>(x, off, dy, vectors, acc);
    case 5: return taps_block<T, 5>(x, off, dy, vectors, acc);
    case 4: return taps_block<T, 4>(x, off, dy, vectors, acc);
    case 3: return taps_block<T, 3>(x, off, dy, vectors, acc);
    case 2: return taps_block<T, 2>(x, off, dy, vectors, acc);
    case 1: return taps_block<T, 1>(x, off, dy, vectors, acc);
    default: return;
  }
}

FATHOM_CLONES void correlate_f32(const float* x, const int64_t* off, const float* w, int64_t kernel, float start,
                                 float* y, int64_t count) {
  correlate_body(x, off, w, kernel, start, y, count);
}
FATHOM_CLONES void correlate_f64(const double* x, const int64_t* off, const double* w, int64_t kernel, double start,
                                 double* y, int64_t count) {
  correlate_body(x, off, w, kernel, start, y, count);
}
FATHOM_CLONES void taps_f32(const float* x, const int64_t* off, const float* dy, int64_t vectors, int64_t kernel,
                            float* acc) {
  taps_body(x, off, dy, vectors, kernel, acc);
}
FATHOM_CLONES void taps_f64(const double* x, const int64_t* off, const double* dy, int64_t vectors, int64_t kernel,
                            double* acc) {
  taps_body(x, off, dy, vectors, kernel, acc);
}
void correlate(const float* x, const int64_t* off, const float* w, int64_t kernel, float start, float* y,
               int64_t count) {
  correlate_f32(x, off, w, kernel, start, y, count);
}
void correlate(const double* x, const int64_t* off, const double* w, int64_t kernel, double start, double* y,
               int64_t count) {
  correlate_f64(x, off, w, kernel, start, y, count);
}
void taps(const float* x, const int64_t* off, const float* dy, int64_t vectors, int64_t kernel, float* acc) {
  taps_f32(x, off, dy, vectors, kernel, acc);
}
void taps(const double* x, const int64_t* off, const double* dy, int64_t vectors, int64_t kernel, double* acc) {
  taps_f64(x, off, dy, vectors, kernel, acc);
}

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t valid(const int64_t* lengths, int64_t item, int64_t limit) {
  return lengths == nullptr ? limit : std::clamp<int64_t>(lengths[item], 0, limit);
}

// Where tap k finds its samples. A row of x is split into `stride` phases (phase p holds padded samples p, p + stride,
// …), so that every tap reads consecutive samples: padded sample t * stride + k * dilation is number t + j of phase p,
// where k * dilation = j * stride + p.
template <typename T>
struct Layout {
  explicit Layout(const DepthwiseShape& s) : off(s.kernel) {
    lanes = VectorOf<T>::kLanes;
    t_vectors = round_up(s.t_out, lanes);
    const int64_t reach = (s.kernel - 1) * s.dilation / s.stride;  // samples a tap may look ahead within its phase
    phase_size = round_up(t_vectors + reach, lanes);
    for (int64_t k = 0; k < s.kernel; ++k) {
      const int64_t at = k * s.dilation;
      off[k] = at % s.stride * phase_size + at / s.stride;
    }
    buffer_size = phase_size * s.stride;
  }
  int64_t lanes, t_vectors, phase_size, buffer_size;
  std::vector<int64_t> off;
};

// Fills `buffer` with the phases of one row; everything outside the row is 0.
template <typename T>
void load_row(const DepthwiseShape& s, const Layout<T>& layout, const T* row, int64_t length, T* buffer) {
  if (s.stride == 1) {
    const int64_t begin = std::min(s.pad_left, layout.phase_size);
    const int64_t count = std::clamp<int64_t>(length, 0, layout.phase_size - begin);
    std::fill(buffer, buffer + begin, T(0));
    if (count > 0) std::memcpy(buffer + begin, row, count * sizeof(T));
    std::fill(buffer + begin + count, buffer + layout.phase_size, T(0));
    return;
  }
  for (int64_t p = 0; p < s.stride; ++p) {
    T* phase = buffer + p * layout.phase_size;
    for (int64_t j = 0; j < layout.phase_size; ++j) {
      const int64_t t = j * s.stride + p - s.pad_left;
      phase[j] = t >= 0 && t < length ? row[t] : T(0);
    }
  }
}

}  // namespace

template <typename T>
void depthwise_forward(const DepthwiseShape& s, const T* x, const T* w, const T* bias, T* y) {
  const Layout<T> layout(s);
  at::parallel_for(0, s.items * s.rows, 8, [&](int64_t begin, int64_t end) {
    std::vector<T> buffer(layout.buffer_size);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t item = r / s.rows, filter = r % s.rows % s.filters;
      const int64_t out_length = valid(s.out_lengths, item, s.t_out);
      load_row(s, layout, x + r * s.t_in, valid(s.lengths, item, s.t_in), buffer.data());
      T* out = y + r * s.t_out;
      correlate(buffer.data(), layout.off.data(), w + filter * s.kernel, s.kernel,
                bias != nullptr ? bias[filter] : T(0), out, out_length);
      std::fill(out + out_length, out + s.t_out, T(0));
    }
  });
}

template <typename T>
void depthwise_backward(const DepthwiseShape& s, const T* x, const T* w, const T* dy, T* dx, T* dw) {
  const Layout<T> layout(s);
  const int64_t lanes = layout.lanes;

  // dx, phase by phase: phase p at i is the sum over its taps of w[k] * dy[i - off_k], a correlation of dy (with
  // `front` zeros before it) with the taps' offsets turned round.
  const int64_t front = round_up((s.kernel - 1) * s.dilation / s.stride, lanes);
  const int64_t phase_vectors = round_up((s.t_in + s.pad_left + s.stride - 1) / s.stride, lanes);
  const int64_t grad_size = front + std::max(phase_vectors, layout.t_vectors) + lanes;
  std::vector<std::vector<int64_t>> phase_taps(s.stride), phase_off(s.stride);
  for (int64_t k = 0; k < s.kernel; ++k) {
    const int64_t at = k * s.dilation;
    phase_taps[at % s.stride].push_back(k);
    phase_off[at % s.stride].push_back(front - at / s.stride);
  }

  // One filter is one thread's: items are added in order, so the sums do not depend on the number of threads.
  at::parallel_for(0, s.filters, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> buffer(layout.buffer_size), grad(grad_size, T(0)), phase(phase_vectors), acc(s.kernel * lanes),
        picked(s.kernel);
    for (int64_t f = begin; f < end; ++f) {
      std::fill(acc.begin(), acc.end(), T(0));
      const T* weights = w + f * s.kernel;
      for (int64_t item = 0; item < s.items; ++item) {
        const int64_t length = valid(s.lengths, item, s.t_in), out_length = valid(s.out_lengths, item, s.t_out);
        for (int64_t row = f; row < s.rows; row += s.filters) {
          const int64_t r = item * s.rows + row;
          std::memcpy(grad.data() + front, dy + r * s.t_out, out_length * sizeof(T));
          std::fill(grad.begin() + front + out_length, grad.end(), T(0));
          if (dw != nullptr) {
            load_row(s, layout, x + r * s.t_in, length, buffer.data());
            taps(buffer.data(), layout.off.data(), grad.data() + front, round_up(out_length, lanes) / lanes, s.kernel,
                 acc.data());
          }
          if (dx == nullptr) continue;
          T* out = dx + r * s.t_in;
          for (int64_t p = 0; p < s.stride; ++p) {
            const int64_t count = static_cast<int64_t>(phase_taps[p].size());
            for (int64_t k = 0; k < count; ++k) picked[k] = weights[phase_taps[p][k]];
            // Sample t of the row is number j of phase p: t + pad_left = j * stride + p.
            const int64_t samples = (length + s.pad_left - p + s.stride - 1) / s.stride;
            if (samples <= 0) continue;
            if (s.stride == 1) {  // the one phase is the row itself, behind its padding
              correlate(grad.data() + s.pad_left, phase_off[p].data(), picked.data(), count, T(0), out, length);
              continue;
            }
            correlate(grad.data(), phase_off[p].data(), picked.data(), count, T(0), phase.data(), samples);
            for (int64_t j = 0; j < samples; ++j) {
              const int64_t t = j * s.stride + p - s.pad_left;
              if (t >= 0 && t < length) out[t] = phase[j];
            }
          }
          std::fill(out + length, out + s.t_in, T(0));
        }
      }
      if (dw == nullptr) continue;
      for (int64_t k = 0; k < s.kernel; ++k) {
        double sum = 0;
        for (int64_t lane = 0; lane < lanes; ++lane) sum += acc[k * lanes + lane];
        dw[f * s.kernel + k] = static_cast<T>(sum);
      }
    }
  });
}

template void depthwise_forward<float>(const DepthwiseShape&, const float*, const float*, const float*, float*);
template void depthwise_forward<double>(const DepthwiseShape&, const double*, const double*, const double*, double*);
template void depthwise_backward<float>(const DepthwiseShape&, const float*, const float*, const float*, float*,
                                        float*);
template void depthwise_backward<double>(const DepthwiseShape&, const double*, const double*, const double*, double*,
                                         double*);

}  // namespace fathom::asr
