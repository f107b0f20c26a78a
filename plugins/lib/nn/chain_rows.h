// What happens to the rows of a chain of convolutions (conv_chain.h) between its products: loops over one row of one
// channel that stays in the first-level cache. S is how rows are kept: float, or bfloat16, whose rounding follows every
// operation that autocast would end in bfloat16; all arithmetic is float32. Sums come in 16 lanes in a fixed order. No
// fast-math: NaN passes as through the separate operators.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace fathom::nn {

// mean and the sum of squares around it, of `count` values; merge() joins two sets (Chan, Golub, LeVeque, 1979).
struct Moments {
  double count = 0, mean = 0, squares = 0;
  void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count, distance = other.mean - mean;
    mean += distance * other.count / total;
    squares += other.squares + distance * distance * count * other.count / total;
    count = total;
  }
};

// x * scale + shift
struct Affine {
  float scale = 1, shift = 0;
};

template <typename S>
struct ChainRows {
  static void load(const S* x, int64_t n, float* out);
  // out = relu(x * scale + shift)
  static void load_normed(const S* x, Affine norm, int64_t n, float* out);
  static void store(const float* x, int64_t n, S* out);
  static Moments moments(const S* x, int64_t n);
  // y = [relu](norm(x) + extra_norm(extra)); extra may be null.
  static void finish(const S* x, Affine norm, const S* extra, Affine extra_norm, bool relu, int64_t n, S* y);
  // g = dy where y let it pass. Adds the sums of g, of g (x - mean) and of g (extra - extra_mean).
  static void outer_grad(const S* y, const S* dy, const S* x, float mean, const S* extra, float extra_mean, bool relu,
                         int64_t n, S* g, double sums[3]);
  // The same inside of a chain, where y = relu(norm(x)) is not kept.
  static void inner_grad(const float* dy, const S* x, Affine norm, float mean, int64_t n, S* g, double sums[3]);
  // dx = a g + b (x - mean) + d. dx may be g.
  static void norm_grad(const S* g, const S* x, float mean, float a, float b, float d, int64_t n, S* dx);
};

extern template struct ChainRows<float>;
extern template struct ChainRows<c10::BFloat16>;

}  // namespace fathom::nn
