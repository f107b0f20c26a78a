#include "plugins/lib/nn/multi_head_attention.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/nn/linear.h"

namespace fathom::nn {
namespace {

torch::nn::Linear projection(int64_t width, bool bias) {
  return torch::nn::Linear(torch::nn::LinearOptions(width, width).bias(bias));
}

}  // namespace

at::Tensor relative_shift(const at::Tensor& x, int64_t keys) {
  const int64_t queries = x.size(-2), columns = x.size(-1);
  if (columns == 1) return x;
  // Row i starts at queries - 1 - i: in memory, one step less than a row after the start of row i - 1.
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = columns - 1;
  return x.flatten(-2).narrow(-1, queries - 1, queries * (columns - 1)).view(shape).narrow(-1, 0, keys);
}

MultiHeadAttention::MultiHeadAttention(const AttentionOptions& options)
    : options_(options),
      linear_q_(projection(options.width, options.bias)),
      linear_k_(projection(options.width, options.bias)),
      linear_v_(projection(options.width, options.bias)),
      linear_out_(projection(options.width, options.bias)) {
  if (options.heads < 1 || options.width % options.heads != 0) {
    throw Error(Code::kFailed, "the heads of an attention must divide its width")
        .seen(std::to_string(options.heads) + " heads, width " + std::to_string(options.width));
  }
  register_module("linear_q", linear_q_);
  register_module("linear_k", linear_k_);
  register_module("linear_v", linear_v_);
  register_module("linear_out", linear_out_);
}

void MultiHeadAttention::prepare_inference(Compute compute) {
  for (auto* layer : {&linear_q_, &linear_k_, &linear_v_, &linear_out_}) pack_weight((*layer)->weight, compute);
  half_products_ = compute != Compute::kFloat32;
}

at::Tensor MultiHeadAttention::product(const at::Tensor& a, const at::Tensor& b) const {
  if (!half_products_ || a.scalar_type() != at::kFloat) return at::bmm(a, b);
  return at::bmm(a.to(at::kBFloat16), b.to(at::kBFloat16)).to(at::kFloat);
}

double MultiHeadAttention::scale() const { return 1 / std::sqrt(static_cast<double>(options_.width / options_.heads)); }

at::Tensor MultiHeadAttention::split_heads(const at::Tensor& x) const {
  return x.view({x.size(0), x.size(1), options_.heads, options_.width / options_.heads}).permute({2, 0, 1, 3});
}

at::Tensor MultiHeadAttention::join_heads(const at::Tensor& x) const {
  return x.permute({1, 2, 0, 3}).reshape({x.size(1), x.size(2), options_.width});
}

at::Tensor MultiHeadAttention::attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                      const at::Tensor& added, const AttentionMask& mask) {
  const int64_t heads = queries.size(0), batch = queries.size(1), q = queries.size(2), k = keys.size(2);
  at::Tensor sum = added;  // what the products of queries and keys are added to
  if (mask.scores.defined()) sum = sum.defined() ? sum + mask.scores : mask.scores.expand({heads, batch, q, k});
  at::Tensor out;
  if (options_.sdpa) {
    const auto bias = sum.defined() ? std::optional(sum) : std::nullopt;
    out = at::scaled_dot_product_attention(queries, keys, values, bias, dropout_now(), false, /*scale=*/1.0);
  } else {
    const auto flat = [&](const at::Tensor& x) { return x.reshape({heads * batch, x.size(2), x.size(3)}); };
    const at::Tensor left = flat(queries), right = flat(keys).transpose(1, 2);
    const bool fresh = !half_products_ && added.defined() && mask.scores.defined() && !sum.requires_grad() &&
                       !left.requires_grad() && !right.requires_grad() && sum.scalar_type() == left.scalar_type() &&
                       left.scalar_type() == right.scalar_type();
    at::Tensor scores = half_products_  ? product(left, right)
                        : fresh         ? flat(sum).baddbmm_(left, right)
                        : sum.defined() ? at::baddbmm(flat(sum), left, right)
                                        : at::bmm(left, right);
    if (half_products_ && sum.defined()) scores += flat(sum);
    at::Tensor weights = at::softmax(scores, -1);
    if (dropout_now() > 0) weights = at::dropout(weights, dropout_now(), true);
    out = product(weights, flat(values)).view({heads, batch, q, values.size(3)});
  }
  if (mask.blind.defined()) out = out.masked_fill(mask.blind.unsqueeze(-1), 0);
  return linear(join_heads(out), linear_out_);
}

bool MultiHeadAttention::by_blocks(const AttentionHeads& heads) const {
  return !options_.sdpa && dropout_now() == 0 && prefers_blocks(heads, half_products_);
}

at::Tensor MultiHeadAttention::forward(const at::Tensor& query, const at::Tensor& source, const AttentionMask& mask) {
  const AttentionHeads whole{linear(query, linear_q_) * scale(),
                             linear(source, linear_k_),
                             linear(source, linear_v_),
                             {},
                             {},
                             {},
                             options_.heads};
  if (by_blocks(whole)) return linear(blocked_attention(whole, mask, half_products_), linear_out_);
  return attend(split_heads(whole.queries), split_heads(whole.keys), split_heads(whole.values), {}, mask);
}

RelPositionMultiHeadAttention::RelPositionMultiHeadAttention(const AttentionOptions& options, const at::Tensor& bias_u,
                                                             const at::Tensor& bias_v)
    : MultiHeadAttention(options), linear_pos_(projection(options.width, false)) {
  register_module("linear_pos", linear_pos_);
  const auto own = [&] { return at::zeros({options.heads, options.width / options.heads}); };
  pos_bias_u_ = register_parameter("pos_bias_u", bias_u.defined() ? bias_u : own());
  pos_bias_v_ = register_parameter("pos_bias_v", bias_v.defined() ? bias_v : own());
}

void RelPositionMultiHeadAttention::prepare_inference(Compute compute) {
  MultiHeadAttention::prepare_inference(compute);
  pack_weight(linear_pos_->weight, compute);
}

at::Tensor RelPositionMultiHeadAttention::forward(const at::Tensor& query, const at::Tensor& source,
                                                  const at::Tensor& positions, const AttentionMask& mask) {
  const int64_t batch = query.size(0), queries = query.size(1), keys = source.size(1), heads = options_.heads;
  if (positions.size(1) != 2 * keys - 1) {
    throw Error(Code::kInternal, "an attention got another number of relative positions than its keys have")
        .seen(std::to_string(positions.size(1)))
        .expected(std::to_string(2 * keys - 1));
  }
  const at::Tensor u = pos_bias_u_ * scale(), v = pos_bias_v_ * scale();
  const AttentionHeads whole{linear(query, linear_q_) * scale(),
                             linear(source, linear_k_),
                             linear(source, linear_v_),
                             linear(positions, linear_pos_).squeeze(0),
                             u.flatten(),
                             v.flatten(),
                             heads};
  if (by_blocks(whole)) return linear(blocked_attention(whole, mask, half_products_), linear_out_);
  const at::Tensor q = split_heads(whole.queries);
  // (H, D / H, 2 K - 1), and (H, B Q, D / H): one product a head for the whole batch.
  const at::Tensor p = split_heads(whole.positions.unsqueeze(0)).squeeze(1).transpose(1, 2);
  const at::Tensor bias_u = u.unsqueeze(1).unsqueeze(1), bias_v = v.unsqueeze(1).unsqueeze(1);
  const at::Tensor by_position =
      product((q + bias_v).reshape({heads, batch * queries, q.size(3)}), p).view({heads, batch, queries, p.size(2)});
  return attend(q + bias_u, split_heads(whole.keys), split_heads(whole.values), relative_shift(by_position, keys),
                mask);
}

}  // namespace fathom::nn
