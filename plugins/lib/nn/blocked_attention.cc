#include "plugins/lib/nn/blocked_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

int64_t in_steps(int64_t n) { return (n + kPanelStep - 1) / kPanelStep * kPanelStep; }

FATHOM_CLONES void add_rows(const float* x, const float* bias, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = bias != nullptr ? x[i] + bias[i] : x[i];
}
FATHOM_CLONES void add_to(const float* x, int64_t n, float* sum) {
  for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

// What products of T read and in which layout.
template <typename T>
struct Operand;
template <>
struct Operand<float> {
  static constexpr int64_t kRows = 1;  // of b, side by side
  static void turn(const float* x, int64_t rows, int64_t columns, int64_t ldx, float* out) {
    transpose(x, rows, columns, ldx, out);
  }
};
template <>
struct Operand<c10::BFloat16> {
  static constexpr int64_t kRows = 2;
  static void turn(const c10::BFloat16* x, int64_t rows, int64_t columns, int64_t ldx, c10::BFloat16* out) {
    transpose_pairs(x, rows, columns, ldx, out);
  }
};

template <typename T>
void copy_row(const float* x, int64_t n, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(x[i]);
}
FATHOM_CLONES void to_half(const float* x, int64_t n, c10::BFloat16* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = c10::BFloat16(x[i]);
}
template <>
void copy_row<c10::BFloat16>(const float* x, int64_t n, c10::BFloat16* out) {
  to_half(x, n, out);
}

// c (m, n) = a (m, k) b (k, n): columns in panels, so that few kernels are made. b holds Operand::kRows rows in turns.
template <typename T>
void product_by_panels(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, float* c,
                       int64_t ldc) {
  for (int64_t first = 0; first < n; first += kPanelFrames) {
    const int64_t width = std::min(kPanelFrames, n - first);
    product({m, width, k, lda, ldb, ldc}, a, b + first * Operand<T>::kRows, c + first, false);
  }
}

template <typename T>
class Blocks {
 public:
  Blocks(const AttentionHeads& x, const AttentionMask& mask)
      : x_(x),
        heads_(x.heads),
        width_(x.queries.size(2) / x.heads),
        queries_(x.queries.size(1)),
        keys_(x.keys.size(1)),
        padded_(in_steps(keys_)),
        columns_(in_steps(2 * keys_ - 1 + kProductRows + kPanelStep)),
        ld_(x.queries.size(2)) {
    if (x.positions.defined()) turn_positions();
    if (mask.scores.defined()) {
      scores_ = mask.scores.expand({x.queries.size(0), queries_, keys_});
      if (scores_.stride(2) != 1) scores_ = scores_.contiguous();
    }
  }

  void run(at::Tensor& out) const {
    const int64_t tasks = x_.queries.size(0) * heads_;
    at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad;
      Scratch scratch = make_scratch();
      for (int64_t task = begin; task < end; ++task) one_head(task / heads_, task % heads_, scratch, out);
    });
  }

 private:
  struct Scratch {
    std::vector<T> keys, values, queries, weights;  // keys turned over
    std::vector<float> plain, by_position;
    at::Tensor scores;
  };
  Scratch make_scratch() const {
    Scratch s;
    s.keys.resize(static_cast<size_t>(width_ * padded_));
    s.values.resize(static_cast<size_t>(width_ * padded_));
    s.queries.resize(static_cast<size_t>(width_ * kProductRows));
    s.weights.resize(static_cast<size_t>(padded_ * kProductRows));
    s.plain.resize(static_cast<size_t>(width_ * std::max(padded_, kProductRows)));
    s.by_position.resize(static_cast<size_t>(kProductRows * in_steps(padded_ + kProductRows)));
    s.scores = at::empty({kProductRows, padded_}, at::kFloat);
    return s;
  }

  // (rows, width of a head) out of rows of all heads, as T, with rows of zeros up to `padded`.
  void take(const float* from, int64_t rows, int64_t padded, std::vector<T>& out) const {
    for (int64_t r = 0; r < rows; ++r) copy_row(from + r * ld_, width_, out.data() + r * width_);
    std::fill(out.data() + rows * width_, out.data() + padded * width_, T{});
  }

  // (D / H, columns) a head, with columns of zeros at the end.
  void turn_positions() {
    const float* from = x_.positions.template const_data_ptr<float>();
    turned_.resize(static_cast<size_t>(heads_ * width_ * columns_));
    at::parallel_for(0, heads_, 1, [&](int64_t begin, int64_t end) {
      std::vector<T> rows(static_cast<size_t>(columns_ * width_));
      for (int64_t h = begin; h < end; ++h) {
        take(from + h * width_, 2 * keys_ - 1, columns_, rows);
        Operand<T>::turn(rows.data(), columns_, width_, width_, turned_.data() + h * width_ * columns_);
      }
    });
  }

  // Queries, with a bias, as the products read them.
  void take_queries(const float* from, int64_t count, const at::Tensor& bias, int64_t head, Scratch& s) const {
    const float* own = bias.defined() ? bias.const_data_ptr<float>() + head * width_ : nullptr;
    for (int64_t r = 0; r < count; ++r) {
      add_rows(from + r * ld_, own, width_, s.plain.data());
      copy_row(s.plain.data(), width_, s.queries.data() + r * width_);
    }
  }

  void one_head(int64_t item, int64_t head, Scratch& s, at::Tensor& out) const {
    const auto rows_of = [&](const at::Tensor& x) {
      return x.const_data_ptr<float>() + (item * x.size(1)) * ld_ + head * width_;
    };
    std::vector<T>& rows = s.values;  // until the values need it
    take(rows_of(x_.keys), keys_, padded_, rows);
    Operand<T>::turn(rows.data(), padded_, width_, width_, s.keys.data());
    take(rows_of(x_.values), keys_, padded_, s.values);
    if constexpr (Operand<T>::kRows == 2) {
      std::vector<T> pairs(s.values.size());
      interleave_rows(s.values.data(), padded_, width_, width_, pairs.data());
      s.values.swap(pairs);
    }
    float* to = out.mutable_data_ptr<float>() + (item * queries_) * ld_ + head * width_;
    for (int64_t first = 0; first < queries_; first += kProductRows) {
      const int64_t count = std::min(kProductRows, queries_ - first);
      const float* queries = rows_of(x_.queries) + first * ld_;
      float* scores = s.scores.template mutable_data_ptr<float>();
      take_queries(queries, count, x_.bias_u, head, s);
      product_by_panels<T>(count, padded_, width_, s.queries.data(), width_, s.keys.data(), padded_, scores, padded_);
      if (!turned_.empty()) add_positions(queries, first, count, head, s, scores);
      for (int64_t r = 0; r < count; ++r) {
        float* row = scores + r * padded_;
        if (scores_.defined()) {
          add_to(scores_.const_data_ptr<float>() + item * scores_.stride(0) + (first + r) * scores_.stride(1), keys_,
                 row);
        }
        std::fill(row + keys_, row + padded_, -std::numeric_limits<float>::infinity());
      }
      const at::Tensor weights = at::softmax(s.scores.slice(0, 0, count), -1);
      const float* w = weights.template const_data_ptr<float>();
      if constexpr (Operand<T>::kRows == 2) {
        copy_row(w, count * padded_, s.weights.data());
        product_by_panels<T>(count, width_, padded_, s.weights.data(), padded_, s.values.data(), width_,
                             to + first * ld_, ld_);
      } else {
        product_by_panels<T>(count, width_, padded_, w, padded_, s.values.data(), width_, to + first * ld_, ld_);
      }
    }
  }

  // Query i meets key j at column K - 1 - (i + K - Q) + j = Q - 1 - i + j: those of a block lie side by side.
  void add_positions(const float* queries, int64_t first, int64_t count, int64_t head, Scratch& s,
                     float* scores) const {
    take_queries(queries, count, x_.bias_v, head, s);
    const int64_t start = queries_ - first - count, width = in_steps(keys_ + count - 1);
    // Columns to the right of the last are zeros (turn_positions).
    product_by_panels<T>(count, width, width_, s.queries.data(), width_,
                         turned_.data() + head * width_ * columns_ + start * Operand<T>::kRows, columns_,
                         s.by_position.data(), width);
    for (int64_t r = 0; r < count; ++r)
      add_to(s.by_position.data() + r * width + (count - 1 - r), keys_, scores + r * padded_);
  }

  const AttentionHeads& x_;
  const int64_t heads_, width_, queries_, keys_, padded_, columns_, ld_;
  std::vector<T> turned_;  // positions
  at::Tensor scores_;      // (B, Q, K), of the mask
};

}  // namespace

bool prefers_blocks(const AttentionHeads& x, bool half) {
  const auto wants_gradient = [](const at::Tensor& t) { return t.defined() && t.requires_grad(); };
  const bool graph =
      c10::GradMode::is_enabled() && (wants_gradient(x.queries) || wants_gradient(x.keys) || wants_gradient(x.values) ||
                                      wants_gradient(x.positions) || wants_gradient(x.bias_u));
  return !graph && x.queries.scalar_type() == at::kFloat && x.values.scalar_type() == at::kFloat &&
         x.queries.size(2) % (2 * x.heads) == 0 && x.queries.size(1) > 0 && own_kernels_apply(x.queries, x.values) &&
         (half ? pairs_supported() : faster_than_blas());
}

at::Tensor blocked_attention(const AttentionHeads& given, const AttentionMask& mask, bool half) {
  AttentionHeads x = given;
  for (at::Tensor* t : {&x.queries, &x.keys, &x.values, &x.positions, &x.bias_u, &x.bias_v}) {
    if (t->defined()) *t = t->contiguous();
  }
  at::Tensor out = at::empty_like(x.queries);
  if (half)
    Blocks<c10::BFloat16>(x, mask).run(out);
  else
    Blocks<float>(x, mask).run(out);
  return mask.blind.defined() ? out.masked_fill_(mask.blind.unsqueeze(-1), 0) : out;
}

}  // namespace fathom::nn
