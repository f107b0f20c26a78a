#include "plugins/lib/nn/depthwise_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace fathom::nn {
namespace {

// Sums live in registers only when the loops over them are unrolled, which -O2 alone does not do.
#define FATHOM_UNROLL _Pragma("GCC unroll 8")
#define FATHOM_INLINE __attribute__((always_inline)) static inline

// A vector of the instruction set's own width, so that the sums of a block stay in registers. aligned(): loads need
// only the element's alignment.
template <typename T, int Bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(Bytes), aligned(sizeof(T)), may_alias));
  static constexpr int64_t kLanes = Bytes / sizeof(T);
};
// Buffers are padded to the widest one's.
template <typename T>
constexpr int64_t kWidestLanes = 64 / sizeof(T);

// y[t0 .. t0 + N * lanes) = start + sum_k w[k] * x[off[k] + t]
template <typename T, int Bytes, int N>
FATHOM_INLINE void correlate_block(const T* x, const int64_t* off, const T* w, int64_t kernel, T start, T* y) {
  using V = typename VectorOf<T, Bytes>::type;
  constexpr int64_t kLanes = VectorOf<T, Bytes>::kLanes;
  V acc[N] = {};
  FATHOM_UNROLL for (int n = 0; n < N; ++n) acc[n] += start;
  for (int64_t k = 0; k < kernel; ++k) {
    const T weight = w[k];
    const T* p = x + off[k];
    FATHOM_UNROLL for (int n = 0; n < N; ++n) acc[n] += weight * *reinterpret_cast<const V*>(p + n * kLanes);
  }
  FATHOM_UNROLL for (int n = 0; n < N; ++n) * reinterpret_cast<V*>(y + n * kLanes) = acc[n];
}

// Writes exactly `count` values. x is read up to `count` rounded up to whole vectors beyond its largest offset.
template <typename T, int Bytes>
FATHOM_INLINE void correlate_body(const T* x, const int64_t* off, const T* w, int64_t kernel, T start, T* y,
                                  int64_t count) {
  constexpr int64_t kLanes = VectorOf<T, Bytes>::kLanes;
  int64_t left = count / kLanes;
  while (left > 0) {
    int64_t done;
    if (left >= 16 || left == 8) {
      correlate_block<T, Bytes, 8>(x, off, w, kernel, start, y);
      done = 8;
    } else if (left >= 12 || left == 6 || left == 7) {
      correlate_block<T, Bytes, 6>(x, off, w, kernel, start, y);
      done = 6;
    } else if (left >= 4) {
      correlate_block<T, Bytes, 4>(x, off, w, kernel, start, y);
      done = 4;
    } else if (left >= 2) {
      correlate_block<T, Bytes, 2>(x, off, w, kernel, start, y);
      done = 2;
    } else {
      correlate_block<T, Bytes, 1>(x, off, w, kernel, start, y);
      done = 1;
    }
    x += done * kLanes;
    y += done * kLanes;
    left -= done;
  }
  if (count % kLanes != 0) {
    T tail[kLanes];
    correlate_block<T, Bytes, 1>(x, off, w, kernel, start, tail);
    std::memcpy(y, tail, count % kLanes * sizeof(T));
  }
}

// acc[k] (kWidestLanes sums per tap) += dy[t] * x[off[k] + t], summed over t in steps of that many, by as many vectors
// a tap as they take: the sums do not depend on the instruction set. dy is zero beyond its end.
template <typename T, int Bytes, int N>
FATHOM_INLINE void taps_block(const T* x, const int64_t* off, const T* dy, int64_t count, T* acc_out) {
  using V = typename VectorOf<T, Bytes>::type;
  constexpr int64_t kLanes = VectorOf<T, Bytes>::kLanes;
  constexpr int kParts = kWidestLanes<T> / kLanes;
  V acc[N * kParts] = {};
  const T* p[N];
  FATHOM_UNROLL for (int n = 0; n < N; ++n) p[n] = x + off[n];
  FATHOM_UNROLL for (int n = 0; n < N * kParts; ++n) acc[n] = *reinterpret_cast<const V*>(acc_out + n * kLanes);
  for (int64_t i = 0; i < count; i += kWidestLanes<T>) {
    FATHOM_UNROLL for (int part = 0; part < kParts; ++part) {
      const V grad = *reinterpret_cast<const V*>(dy + i + part * kLanes);
      FATHOM_UNROLL for (int n = 0; n < N; ++n) {
        acc[n * kParts + part] += grad * *reinterpret_cast<const V*>(p[n] + i + part * kLanes);
      }
    }
  }
  FATHOM_UNROLL for (int n = 0; n < N * kParts; ++n) * reinterpret_cast<V*>(acc_out + n * kLanes) = acc[n];
}

template <typename T, int Bytes>
FATHOM_INLINE void taps_body(const T* x, const int64_t* off, const T* dy, int64_t count, int64_t kernel, T* acc) {
  constexpr int kTogether = 8 / (64 / Bytes);  // as many sums as stay in registers
  int64_t k = 0;
  for (; k + kTogether <= kernel; k += kTogether)
    taps_block<T, Bytes, kTogether>(x, off + k, dy, count, acc + k * kWidestLanes<T>);
  if constexpr (kTogether > 4) {
    for (; k + 4 <= kernel; k += 4) taps_block<T, Bytes, 4>(x, off + k, dy, count, acc + k * kWidestLanes<T>);
  }
  if constexpr (kTogether > 2) {
    for (; k + 2 <= kernel; k += 2) taps_block<T, Bytes, 2>(x, off + k, dy, count, acc + k * kWidestLanes<T>);
  }
  for (; k < kernel; ++k) taps_block<T, Bytes, 1>(x, off + k, dy, count, acc + k * kWidestLanes<T>);
}

// The two loops for one instruction set.
template <typename T>
struct Loops {
  void (*correlate)(const T* x, const int64_t* off, const T* w, int64_t kernel, T start, T* y, int64_t count);
  void (*taps)(const T* x, const int64_t* off, const T* dy, int64_t count, int64_t kernel, T* acc);
};

#define FATHOM_LOOPS(NAME, BYTES, TARGET)                                                                         \
  template <typename T>                                                                                           \
  struct NAME {                                                                                                   \
    TARGET static void correlate(const T* x, const int64_t* off, const T* w, int64_t kernel, T start, T* y,       \
                                 int64_t count) {                                                                 \
      correlate_body<T, BYTES>(x, off, w, kernel, start, y, count);                                               \
    }                                                                                                             \
    TARGET static void taps(const T* x, const int64_t* off, const T* dy, int64_t count, int64_t kernel, T* acc) { \
      taps_body<T, BYTES>(x, off, dy, count, kernel, acc);                                                        \
    }                                                                                                             \
  };
FATHOM_LOOPS(Plain, 16, )
#if defined(__x86_64__)
FATHOM_LOOPS(Avx2, 32, __attribute__((target("arch=x86-64-v3"))))
FATHOM_LOOPS(Avx512, 64, __attribute__((target("arch=x86-64-v4"))))
#endif
#undef FATHOM_LOOPS

template <typename T>
const Loops<T>& loops() {
  static const Loops<T> best = [] {
#if defined(__x86_64__)
    // Zen 4 halves its 64-byte vectors, and nearly every load of one that is not aligned touches two cache lines: with
    // 32 bytes half of them do.
    const bool halves = __builtin_cpu_is("amdfam19h");
    if (!halves && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512cd")) {
      return Loops<T>{Avx512<T>::correlate, Avx512<T>::taps};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2")) {
      return Loops<T>{Avx2<T>::correlate, Avx2<T>::taps};
    }
#endif
    return Loops<T>{Plain<T>::correlate, Plain<T>::taps};
  }();
  return best;
}

// Asks for the cache lines of a row that is wanted soon. Rows lie in memory whose first touch costs more than their
// sums.
template <typename T>
FATHOM_INLINE void prefetch_row(const T* row, int64_t length) {
  for (int64_t i = 0; i < length; i += 64 / sizeof(T)) __builtin_prefetch(row + i);
}

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t valid(const int64_t* lengths, int64_t item, int64_t limit) {
  return lengths == nullptr ? limit : std::clamp<int64_t>(lengths[item], 0, limit);
}

}  // namespace

template <typename T>
DepthwiseRows<T>::DepthwiseRows(const DepthwiseShape& shape)
    : shape_(shape), off_(shape.kernel), phase_taps_(shape.stride), phase_off_(shape.stride) {
  const DepthwiseShape& s = shape_;
  constexpr int64_t kLanes = kWidestLanes<T>;
  const int64_t t_vectors = round_up(s.t_out, kLanes);
  const int64_t reach = (s.kernel - 1) * s.dilation / s.stride;  // samples a tap may look ahead within its phase
  phase_size_ = round_up(t_vectors + reach, kLanes);
  front_ = round_up(reach, kLanes);
  phase_vectors_ = round_up((s.t_in + s.pad_left + s.stride - 1) / s.stride, kLanes);
  grad_size_ = front_ + std::max(phase_vectors_, t_vectors) + kLanes;
  // Padded sample t * stride + k * dilation is number t + j of phase p, where k * dilation = j * stride + p. Turned
  // round, phase p of dx at i is the sum over its taps of w[k] * dy[i - j], dy having `front` zeros before it.
  for (int64_t k = 0; k < s.kernel; ++k) {
    const int64_t at = k * s.dilation, phase = at % s.stride, ahead = at / s.stride;
    off_[k] = phase * phase_size_ + ahead;
    phase_taps_[phase].push_back(k);
    phase_off_[phase].push_back(front_ - ahead);
  }
}

template <typename T>
typename DepthwiseRows<T>::Scratch DepthwiseRows<T>::scratch() const {
  return {std::vector<T>(phase_size_ * shape_.stride),
          std::vector<T>(grad_size_, T(0)),
          std::vector<T>(phase_vectors_),
          std::vector<T>(shape_.kernel),
          {}};
}

template <typename T>
int64_t DepthwiseRows<T>::sums_size() const {
  return shape_.kernel * kWidestLanes<T>;
}

template <typename T>
T* DepthwiseRows<T>::row_room(Scratch& scratch) const {
  if (shape_.stride == 1 && shape_.pad_left + shape_.t_in <= phase_size_) return scratch.row.data() + shape_.pad_left;
  scratch.outside.resize(shape_.t_in);
  return scratch.outside.data();
}

template <typename T>
T* DepthwiseRows<T>::grad_room(Scratch& scratch) const {
  return scratch.grad.data() + front_;
}

template <typename T>
void DepthwiseRows<T>::load(const T* row, int64_t length, Scratch& scratch) const {
  const DepthwiseShape& s = shape_;
  T* buffer = scratch.row.data();
  if (s.stride == 1) {
    const int64_t begin = std::min(s.pad_left, phase_size_);
    const int64_t count = std::clamp<int64_t>(length, 0, phase_size_ - begin);
    std::fill(buffer, buffer + begin, T(0));
    if (count > 0 && row != buffer + begin) std::memcpy(buffer + begin, row, count * sizeof(T));
    std::fill(buffer + begin + count, buffer + phase_size_, T(0));
    return;
  }
  for (int64_t p = 0; p < s.stride; ++p) {
    T* phase = buffer + p * phase_size_;
    for (int64_t j = 0; j < phase_size_; ++j) {
      const int64_t t = j * s.stride + p - s.pad_left;
      phase[j] = t >= 0 && t < length ? row[t] : T(0);
    }
  }
}

template <typename T>
void DepthwiseRows<T>::forward(const T* w, T bias, const Scratch& scratch, T* y, int64_t out_length) const {
  loops<T>().correlate(scratch.row.data(), off_.data(), w, shape_.kernel, bias, y, out_length);
  std::fill(y + out_length, y + shape_.t_out, T(0));
}

template <typename T>
void DepthwiseRows<T>::load_grad(const T* dy, int64_t out_length, Scratch& scratch) const {
  if (dy != scratch.grad.data() + front_) std::memcpy(scratch.grad.data() + front_, dy, out_length * sizeof(T));
  std::fill(scratch.grad.begin() + front_ + out_length, scratch.grad.end(), T(0));
}

template <typename T>
void DepthwiseRows<T>::add_taps(const Scratch& scratch, int64_t out_length, T* sums) const {
  loops<T>().taps(scratch.row.data(), off_.data(), scratch.grad.data() + front_, out_length, shape_.kernel, sums);
}

template <typename T>
void DepthwiseRows<T>::backward(const T* w, Scratch& scratch, T* dx, int64_t length) const {
  const DepthwiseShape& s = shape_;
  for (int64_t p = 0; p < s.stride; ++p) {
    const auto count = static_cast<int64_t>(phase_taps_[p].size());
    for (int64_t k = 0; k < count; ++k) scratch.picked[k] = w[phase_taps_[p][k]];
    // Sample t of the row is number j of phase p: t + pad_left = j * stride + p.
    const int64_t samples = (length + s.pad_left - p + s.stride - 1) / s.stride;
    if (samples <= 0) continue;
    const T* grad = scratch.grad.data();
    if (s.stride == 1) {  // the one phase is the row itself, behind its padding
      loops<T>().correlate(grad + s.pad_left, phase_off_[p].data(), scratch.picked.data(), count, T(0), dx, length);
      continue;
    }
    loops<T>().correlate(grad, phase_off_[p].data(), scratch.picked.data(), count, T(0), scratch.phase.data(), samples);
    for (int64_t j = 0; j < samples; ++j) {
      const int64_t t = j * s.stride + p - s.pad_left;
      if (t >= 0 && t < length) dx[t] = scratch.phase[j];
    }
  }
  std::fill(dx + length, dx + s.t_in, T(0));
}

template <typename T>
void DepthwiseRows<T>::finish_taps(const T* sums, T* dw) const {
  for (int64_t k = 0; k < shape_.kernel; ++k) {
    double sum = 0;
    for (int64_t lane = 0; lane < kWidestLanes<T>; ++lane) sum += sums[k * kWidestLanes<T> + lane];
    dw[k] = static_cast<T>(sum);
  }
}

template <typename T>
void depthwise_forward(const DepthwiseShape& s, const T* x, const T* w, const T* bias, T* y) {
  const DepthwiseRows<T> rows(s);
  at::parallel_for(0, s.items * s.rows, 8, [&](int64_t begin, int64_t end) {
    auto scratch = rows.scratch();
    for (int64_t r = begin; r < end; ++r) {
      const int64_t item = r / s.rows, filter = r % s.rows % s.filters;
      rows.load(x + r * s.t_in, valid(s.lengths, item, s.t_in), scratch);
      if (r + 1 < end) {
        prefetch_row(x + (r + 1) * s.t_in, s.t_in);
        prefetch_row(y + (r + 1) * s.t_out, s.t_out);
      }
      rows.forward(w + filter * s.kernel, bias != nullptr ? bias[filter] : T(0), scratch, y + r * s.t_out,
                   valid(s.out_lengths, item, s.t_out));
    }
  });
}

template <typename T>
void depthwise_backward(const DepthwiseShape& s, const T* x, const T* w, const T* dy, T* dx, T* dw) {
  const DepthwiseRows<T> rows(s);
  // One filter is one thread's: items are added in order, so the sums do not depend on the number of threads. Several
  // filters take turns within an item because their rows are neighbours in memory.
  constexpr int64_t kTogether = 8;
  at::parallel_for(0, s.filters, kTogether, [&](int64_t begin, int64_t end) {
    auto scratch = rows.scratch();
    std::vector<T> acc(kTogether * rows.sums_size());
    for (int64_t first = begin; first < end; first += kTogether) {
      const int64_t last = std::min(first + kTogether, end);
      std::fill(acc.begin(), acc.end(), T(0));
      for (int64_t item = 0; item < s.items; ++item) {
        const int64_t length = valid(s.lengths, item, s.t_in), out_length = valid(s.out_lengths, item, s.t_out);
        for (int64_t base = 0; base < s.rows; base += s.filters) {
          for (int64_t f = first; f < last; ++f) {
            const int64_t r = item * s.rows + base + f;
            rows.load_grad(dy + r * s.t_out, out_length, scratch);
            if (dw != nullptr) {
              rows.load(x + r * s.t_in, length, scratch);
              rows.add_taps(scratch, out_length, acc.data() + (f - first) * rows.sums_size());
            }
            const int64_t next = f + 1 < last ? r + 1 : item + 1 < s.items ? (item + 1) * s.rows + first : -1;
            if (next >= 0) {
              prefetch_row(dy + next * s.t_out, s.t_out);
              if (dw != nullptr) prefetch_row(x + next * s.t_in, s.t_in);
              if (dx != nullptr) prefetch_row(dx + next * s.t_in, s.t_in);
            }
            if (dx != nullptr) rows.backward(w + f * s.kernel, scratch, dx + r * s.t_in, length);
          }
        }
      }
      for (int64_t f = first; f < last && dw != nullptr; ++f)
        rows.finish_taps(acc.data() + (f - first) * rows.sums_size(), dw + f * s.kernel);
    }
  });
}

template class DepthwiseRows<float>;
template class DepthwiseRows<double>;
template void depthwise_forward<float>(const DepthwiseShape&, const float*, const float*, const float*, float*);
template void depthwise_forward<double>(const DepthwiseShape&, const double*, const double*, const double*, double*);
template void depthwise_backward<float>(const DepthwiseShape&, const float*, const float*, const float*, float*,
                                        float*);
template void depthwise_backward<double>(const DepthwiseShape&, const double*, const double*, const double*, double*,
                                         double*);

}  // namespace fathom::nn
