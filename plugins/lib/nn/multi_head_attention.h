// Multi-head attention: plain (Vaswani et al. 2017, arXiv:1706.03762), with relative positions (Dai et al. 2019,
// Transformer-XL, arXiv:1901.02860), and that within a window (after Beltagy et al. 2020, Longformer,
// arXiv:2004.05150). Parameters have NeMo's names.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include "plugins/lib/nn/attention_mask.h"
#include "plugins/lib/nn/blocked_attention.h"
#include "plugins/lib/nn/packed_linear.h"

namespace fathom::nn {

struct AttentionOptions {
  int64_t width = 0, heads = 1;  // heads divide width
  double dropout = 0;            // of the weights, in training
  bool bias = true;              // in the projections of queries, keys, values and output
  bool sdpa = false;             // the library's fused attention instead of the product, softmax and product
};

// out[b, h, i, j] = x[b, h, i, queries - 1 - i + j] for j < keys, without a copy: a row per query and a column per
// relative position, from keys - 1 down to 1 - keys, become a column per key. The queries are the last of the keys.
// x (…, queries, 2 keys - 1), contiguous -> (…, queries, keys), a view.
at::Tensor relative_shift(const at::Tensor& x, int64_t keys);

// Children: linear_q, linear_k, linear_v, linear_out.
class MultiHeadAttention : public torch::nn::Module {
 public:
  explicit MultiHeadAttention(const AttentionOptions& options);
  // query (B, Q, D), source (B, K, D) gives keys and values -> (B, Q, D). Hidden keys get the weight 0, blind queries
  // the output of an all-zero sum.
  at::Tensor forward(const at::Tensor& query, const at::Tensor& source, const AttentionMask& mask);
  // Packs the projections (packed_linear.h); with less than float32 the products of queries, keys, positions and values
  // are of bfloat16. No training after that.
  virtual void prepare_inference(Compute compute);

 protected:
  // (B, T, D) -> (H, B, T, D / H), a view. Heads come first so that what all items share (positions) needs no copy.
  at::Tensor split_heads(const at::Tensor& x) const;
  at::Tensor join_heads(const at::Tensor& x) const;
  // From scaled queries. scores: what is added to the products of queries and keys (H, B, Q, K), or undefined.
  at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                    const at::Tensor& scores, const AttentionMask& mask);
  double scale() const;
  // Whether nothing but the output is wanted, and blocked_attention.h can give it.
  bool by_blocks(const AttentionHeads& heads) const;
  // at::bmm of float32, by the chosen products.
  at::Tensor product(const at::Tensor& a, const at::Tensor& b) const;
  double dropout_now() const { return is_training() ? options_.dropout : 0; }

  AttentionOptions options_;
  torch::nn::Linear linear_q_, linear_k_, linear_v_, linear_out_;
  bool half_products_ = false;
};

// Besides: linear_pos (no bias), pos_bias_u and pos_bias_v (H, D / H).
class RelPositionMultiHeadAttention : public MultiHeadAttention {
 public:
  // Biases that several layers share, or undefined: own ones, zero at first.
  RelPositionMultiHeadAttention(const AttentionOptions& options, const at::Tensor& bias_u, const at::Tensor& bias_v);
  // source: K frames whose last Q are the query's. positions (1, 2 K - 1, D), as PositionTable::kRelative.
  at::Tensor forward(const at::Tensor& query, const at::Tensor& source, const at::Tensor& positions,
                     const AttentionMask& mask);
  void prepare_inference(Compute compute) override;

 protected:
  torch::nn::Linear linear_pos_;
  at::Tensor pos_bias_u_, pos_bias_v_;
};

struct WindowOptions {
  int64_t left = 0, right = 0;        // frames that each frame sees, not both 0
  int64_t global_tokens = 0;          // frames that see and are seen by all
  int64_t global_tokens_spacing = 1;  // frames 0, spacing, 2 spacing, …
  bool global_attn_separate = false;  // they have projections of their own: global_q, global_k, global_v
};

// Time and memory grow with frames times window.
class LocalRelPositionMultiHeadAttention : public RelPositionMultiHeadAttention {
 public:
  LocalRelPositionMultiHeadAttention(const AttentionOptions& options, const WindowOptions& window);
  // x (B, T, D); positions (1, left + right + 1, D) for left down to -right; valid (B, T) bool, or undefined: all is.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& positions, const at::Tensor& valid);

 private:
  struct Heads {
    at::Tensor q, k, v;  // (H, B, T, D / H)
  };
  at::Tensor global_rows(const Heads& heads, const at::Tensor& valid) const;

  WindowOptions window_;
  torch::nn::Linear global_q_{nullptr}, global_k_{nullptr}, global_v_{nullptr};
};

}  // namespace fathom::nn
