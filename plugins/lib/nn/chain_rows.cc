#include "plugins/lib/nn/chain_rows.h"

#include <cstring>

namespace fathom::nn {
namespace {

#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define FATHOM_INLINE __attribute__((always_inline)) static inline
constexpr int kLanes = 16;  // independent sums: fixed, so that results do not depend on the instruction set's width

FATHOM_INLINE float widen(float x) { return x; }
FATHOM_INLINE float widen(uint16_t bits) {
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}
FATHOM_INLINE void narrow(float x, float& out) { out = x; }
// To the nearest, ties to even; NaN stays one.
FATHOM_INLINE void narrow(float x, uint16_t& out) {
  uint32_t word;
  std::memcpy(&word, &x, sizeof(word));
  const uint32_t rounded = (word + 0x7FFFU + (word >> 16 & 1U)) >> 16;
  out = static_cast<uint16_t>(x != x ? 0x7FC0U : rounded);
}
// As S would keep it.
FATHOM_INLINE float rounded(float x, const float* /*as*/) { return x; }
FATHOM_INLINE float rounded(float x, const uint16_t* /*as*/) {
  uint16_t bits;
  narrow(x, bits);
  return widen(bits);
}
FATHOM_INLINE float relu_of(float x) { return x < 0.0F ? 0.0F : x; }

template <typename S>
FATHOM_INLINE void load_row(const S* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = widen(x[i]);
}
template <typename S>
FATHOM_INLINE void load_normed_row(const S* x, float scale, float shift, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = relu_of(rounded(widen(x[i]) * scale + shift, x));
}
template <typename S>
FATHOM_INLINE void store_row(const float* x, int64_t n, S* out) {
  for (int64_t i = 0; i < n; ++i) narrow(x[i], out[i]);
}

template <typename S>
FATHOM_INLINE double row_sum(const S* x, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += widen(x[i + j]);
  }
  double sum = 0;
  for (; i < n; ++i) sum += widen(x[i]);
  for (const float lane : lanes) sum += lane;
  return sum;
}
template <typename S>
FATHOM_INLINE double row_squares(const S* x, float mean, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += (widen(x[i + j]) - mean) * (widen(x[i + j]) - mean);
  }
  double sum = 0;
  for (; i < n; ++i) sum += (widen(x[i]) - mean) * (widen(x[i]) - mean);
  for (const float lane : lanes) sum += lane;
  return sum;
}

template <typename S>
FATHOM_INLINE void finish_row(const S* x, float scale, float shift, const S* extra, float extra_scale,
                              float extra_shift, bool relu, int64_t n, S* y) {
  if (extra != nullptr) {
    for (int64_t i = 0; i < n; ++i) {
      const float sum =
          rounded(widen(x[i]) * scale + shift, x) + rounded(widen(extra[i]) * extra_scale + extra_shift, x);
      narrow(relu && sum < 0.0F ? 0.0F : sum, y[i]);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const float value = widen(x[i]) * scale + shift;
    narrow(relu && value < 0.0F ? 0.0F : value, y[i]);
  }
}

// Adds the sums of g and of g (x - mean) to sum and centred.
template <typename S>
FATHOM_INLINE void add_sums(const S* g, const S* x, float mean, int64_t n, double* sum, double* centred) {
  float a[kLanes] = {}, b[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) a[j] += widen(g[i + j]);
    for (int j = 0; j < kLanes; ++j) b[j] += widen(g[i + j]) * (widen(x[i + j]) - mean);
  }
  double first = 0, second = 0;
  for (; i < n; ++i) {
    first += widen(g[i]);
    second += widen(g[i]) * (widen(x[i]) - mean);
  }
  for (int j = 0; j < kLanes; ++j) {
    first += a[j];
    second += b[j];
  }
  if (sum != nullptr) *sum += first;
  *centred += second;
}

template <typename S>
FATHOM_INLINE void outer_grad_row(const S* y, const S* dy, const S* x, float mean, const S* extra, float extra_mean,
                                  bool relu, int64_t n, S* g, double* sums) {
  if (relu) {
    for (int64_t i = 0; i < n; ++i) g[i] = widen(y[i]) <= 0.0F ? S(0) : dy[i];
  } else {
    std::memcpy(g, dy, n * sizeof(S));
  }
  add_sums(g, x, mean, n, sums, sums + 1);
  if (extra != nullptr) add_sums(g, extra, extra_mean, n, nullptr, sums + 2);
}

template <typename S>
FATHOM_INLINE void inner_grad_row(const float* dy, const S* x, float scale, float shift, float mean, int64_t n, S* g,
                                  double* sums) {
  for (int64_t i = 0; i < n; ++i) narrow(rounded(widen(x[i]) * scale + shift, x) <= 0.0F ? 0.0F : dy[i], g[i]);
  add_sums(g, x, mean, n, sums, sums + 1);
}

template <typename S>
FATHOM_INLINE void norm_grad_row(const S* g, const S* x, float mean, float a, float b, float d, int64_t n, S* dx) {
  for (int64_t i = 0; i < n; ++i) narrow(a * widen(g[i]) + b * (widen(x[i]) - mean) + d, dx[i]);
}

#define FATHOM_ROWS(S, NAME)                                                                                          \
  FATHOM_CLONES void load_##NAME(const S* x, int64_t n, float* out) { load_row(x, n, out); }                          \
  FATHOM_CLONES void normed_##NAME(const S* x, float scale, float shift, int64_t n, float* out) {                     \
    load_normed_row(x, scale, shift, n, out);                                                                         \
  }                                                                                                                   \
  FATHOM_CLONES void store_##NAME(const float* x, int64_t n, S* out) { store_row(x, n, out); }                        \
  FATHOM_CLONES double sum_##NAME(const S* x, int64_t n) { return row_sum(x, n); }                                    \
  FATHOM_CLONES double squares_##NAME(const S* x, float mean, int64_t n) { return row_squares(x, mean, n); }          \
  FATHOM_CLONES void finish_##NAME(const S* x, float scale, float shift, const S* extra, float extra_scale,           \
                                   float extra_shift, bool relu, int64_t n, S* y) {                                   \
    finish_row(x, scale, shift, extra, extra_scale, extra_shift, relu, n, y);                                         \
  }                                                                                                                   \
  FATHOM_CLONES void outer_##NAME(const S* y, const S* dy, const S* x, float mean, const S* extra, float extra_mean,  \
                                  bool relu, int64_t n, S* g, double* sums) {                                         \
    outer_grad_row(y, dy, x, mean, extra, extra_mean, relu, n, g, sums);                                              \
  }                                                                                                                   \
  FATHOM_CLONES void inner_##NAME(const float* dy, const S* x, float scale, float shift, float mean, int64_t n, S* g, \
                                  double* sums) {                                                                     \
    inner_grad_row(dy, x, scale, shift, mean, n, g, sums);                                                            \
  }                                                                                                                   \
  FATHOM_CLONES void norm_##NAME(const S* g, const S* x, float mean, float a, float b, float d, int64_t n, S* dx) {   \
    norm_grad_row(g, x, mean, a, b, d, n, dx);                                                                        \
  }                                                                                                                   \
  template <>                                                                                                         \
  struct Loops<S> {                                                                                                   \
    static constexpr auto load = &load_##NAME;                                                                        \
    static constexpr auto normed = &normed_##NAME;                                                                    \
    static constexpr auto store = &store_##NAME;                                                                      \
    static constexpr auto sum = &sum_##NAME;                                                                          \
    static constexpr auto squares = &squares_##NAME;                                                                  \
    static constexpr auto finish = &finish_##NAME;                                                                    \
    static constexpr auto outer = &outer_##NAME;                                                                      \
    static constexpr auto inner = &inner_##NAME;                                                                      \
    static constexpr auto norm = &norm_##NAME;                                                                        \
  };
template <typename S>
struct Loops;
FATHOM_ROWS(float, chain_f32)
FATHOM_ROWS(uint16_t, chain_b16)
#undef FATHOM_ROWS

// The bits of a row.
const float* raw(const float* x) { return x; }
float* raw(float* x) { return x; }
const uint16_t* raw(const c10::BFloat16* x) { return reinterpret_cast<const uint16_t*>(x); }
uint16_t* raw(c10::BFloat16* x) { return reinterpret_cast<uint16_t*>(x); }
template <typename S>
using LoopsOf = Loops<std::remove_pointer_t<decltype(raw(static_cast<S*>(nullptr)))>>;

}  // namespace

template <typename S>
void ChainRows<S>::load(const S* x, int64_t n, float* out) {
  LoopsOf<S>::load(raw(x), n, out);
}
template <typename S>
void ChainRows<S>::load_normed(const S* x, Affine norm, int64_t n, float* out) {
  LoopsOf<S>::normed(raw(x), norm.scale, norm.shift, n, out);
}
template <typename S>
void ChainRows<S>::store(const float* x, int64_t n, S* out) {
  LoopsOf<S>::store(x, n, raw(out));
}
template <typename S>
Moments ChainRows<S>::moments(const S* x, int64_t n) {
  Moments out;
  out.count = static_cast<double>(n);
  out.mean = LoopsOf<S>::sum(raw(x), n) / out.count;
  // Around the mean as a float, then around the mean itself.
  const auto centre = static_cast<float>(out.mean);
  const double off = out.mean - static_cast<double>(centre);
  out.squares = LoopsOf<S>::squares(raw(x), centre, n) - off * off * out.count;
  return out;
}
template <typename S>
void ChainRows<S>::finish(const S* x, Affine norm, const S* extra, Affine extra_norm, bool relu, int64_t n, S* y) {
  LoopsOf<S>::finish(raw(x), norm.scale, norm.shift, raw(extra), extra_norm.scale, extra_norm.shift, relu, n, raw(y));
}
template <typename S>
void ChainRows<S>::outer_grad(const S* y, const S* dy, const S* x, float mean, const S* extra, float extra_mean,
                              bool relu, int64_t n, S* g, double sums[3]) {
  LoopsOf<S>::outer(raw(y), raw(dy), raw(x), mean, raw(extra), extra_mean, relu, n, raw(g), sums);
}
template <typename S>
void ChainRows<S>::inner_grad(const float* dy, const S* x, Affine norm, float mean, int64_t n, S* g, double sums[3]) {
  LoopsOf<S>::inner(dy, raw(x), norm.scale, norm.shift, mean, n, raw(g), sums);
}
template <typename S>
void ChainRows<S>::norm_grad(const S* g, const S* x, float mean, float a, float b, float d, int64_t n, S* dx) {
  LoopsOf<S>::norm(raw(g), raw(x), mean, a, b, d, n, raw(dx));
}

template struct ChainRows<float>;
template struct ChainRows<c10::BFloat16>;

}  // namespace fathom::nn
