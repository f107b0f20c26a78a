#include <ATen/ATen.h>

#include <algorithm>

#include "fathom/error.h"
#include "plugins/lib/nn/multi_head_attention.h"

namespace fathom::nn {
namespace {

// As good as the lowest number of float32 and bfloat16: an item without a single frame gets the mean of all, not NaN.
constexpr double kLowestScore = -3e38;

// (…, C, b, n) with a column per offset of the window becomes (…, C, b, b - 1 + n) with a column per key of a block:
// row i moves i columns to the right; what no offset reaches is 0.
at::Tensor skew_right(const at::Tensor& x) {
  const int64_t rows = x.size(-2), columns = x.size(-1);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = columns + rows - 1;
  return at::constant_pad_nd(x, {0, rows}).flatten(-2).narrow(-1, 0, rows * (columns + rows - 1)).view(shape);
}

// A column of x for every offset -left … right of the window. NeMo adds the positions' scores to a window of w, the
// larger side, on both sides: the first `left` ones from its beginning on, the others so that they end where it ends.
// With sides that differ they land at other offsets, some at none; models were trained with that.
at::Tensor at_nemo_offsets(const at::Tensor& x, int64_t left, int64_t right) {
  if (left == right) return x;
  const int64_t w = std::max(left, right), nothing = left + right + 1;
  std::vector<int64_t> columns;
  for (int64_t offset = -left; offset <= right; ++offset) {
    if (offset + w < left)
      columns.push_back(offset + w);
    else
      columns.push_back(offset >= w - right ? left + right + offset - w : nothing);
  }
  return at::constant_pad_nd(x, {0, 1}).index_select(-1, at::tensor(columns, at::kLong).to(x.device()));
}

}  // namespace

LocalRelPositionMultiHeadAttention::LocalRelPositionMultiHeadAttention(const AttentionOptions& options,
                                                                       const WindowOptions& window)
    : RelPositionMultiHeadAttention(options, {}, {}), window_(window) {
  if (window.left < 0 || window.right < 0 || std::max(window.left, window.right) == 0) {
    throw Error(Code::kFailed, "local attention needs a window")
        .seen("[" + std::to_string(window.left) + ", " + std::to_string(window.right) + "]")
        .expected("two sizes from 0 on, not both 0");
  }
  if (options.sdpa) throw Error(Code::kFailed, "local attention has no fused form").next("use_pytorch_sdpa: false");
  if (window.global_attn_separate) {
    const auto make = [&](const char* name) {
      return register_module(
          name, torch::nn::Linear(torch::nn::LinearOptions(options.width, options.width).bias(options.bias)));
    };
    global_q_ = make("global_q");
    global_k_ = make("global_k");
    global_v_ = make("global_v");
  }
}

at::Tensor LocalRelPositionMultiHeadAttention::global_rows(const Heads& heads, const at::Tensor& valid) const {
  const int64_t h = options_.heads, batch = heads.k.size(1), width = heads.k.size(3), count = heads.q.size(2);
  // NeMo lays these queries out as (token, item, head) and reads them as (item, head, token): the same for one token,
  // and what models with more were trained with. In a batch of several items these then read one another's queries;
  // here each has its own, in the places that they have in a batch of one.
  const at::Tensor queries = heads.q.permute({1, 2, 0, 3}).reshape({batch * h, count, width});
  const auto by_item = [&](const at::Tensor& x) { return x.transpose(0, 1).reshape({batch * h, x.size(2), width}); };
  at::Tensor scores = at::bmm(queries, by_item(heads.k).transpose(1, 2));
  if (valid.defined()) {
    scores = scores.view({batch, h, count, heads.k.size(2)})
                 .masked_fill(valid.logical_not().unsqueeze(1).unsqueeze(1), kLowestScore)
                 .view(scores.sizes());
  }
  at::Tensor weights = at::softmax(scores, -1);
  if (dropout_now() > 0) weights = at::dropout(weights, dropout_now(), true);
  return at::bmm(weights, by_item(heads.v)).view({batch, h, count, width}).transpose(0, 1);
}

at::Tensor LocalRelPositionMultiHeadAttention::forward(const at::Tensor& x, const at::Tensor& positions,
                                                       const at::Tensor& valid) {
  const int64_t batch = x.size(0), frames = x.size(1), left = window_.left, right = window_.right;
  const int64_t block = std::max<int64_t>(1, std::min(frames, std::max(left, right)));
  const int64_t blocks = (frames + block - 1) / block, tail = blocks * block - frames;
  const int64_t reach = left + block + right;  // keys that a block's queries see together
  const int64_t heads = options_.heads, width = options_.width / heads;

  const at::Tensor q = split_heads(linear_q_(x)) * scale();
  const at::Tensor k = split_heads(linear_k_(x)), v = split_heads(linear_v_(x));
  // (H, B, C, reach, D / H): every block's keys, a view of the padded frames.
  const auto windows = [&](const at::Tensor& y) {
    return at::constant_pad_nd(y, {0, 0, left, right + tail}).unfold(2, reach, block).transpose(3, 4);
  };
  const auto in_blocks = [&](const at::Tensor& y) {
    return at::constant_pad_nd(y, {0, 0, 0, tail}).view({heads, batch, blocks, block, width});
  };
  const at::Tensor p =  // (H, D / H, left + right + 1)
      at_nemo_offsets(split_heads(linear_pos_(positions)).squeeze(1).transpose(1, 2), left, right);
  const auto biased = [&](const at::Tensor& bias) { return q + (bias * scale()).unsqueeze(1).unsqueeze(1); };
  const at::Tensor by_offset =
      at::bmm(biased(pos_bias_v_).reshape({heads, batch * frames, width}), p).view({heads, batch, frames, p.size(2)});
  const at::Tensor by_key =
      skew_right(at::constant_pad_nd(by_offset, {0, 0, 0, tail}).view({heads, batch, blocks, block, p.size(2)}));
  at::Tensor scores = at::matmul(in_blocks(biased(pos_bias_u_)), windows(k).transpose(3, 4)) + by_key;

  // Row i of block c is frame c block + i; column j is frame c block - left + j.
  const at::TensorOptions longs = at::TensorOptions(at::kLong).device(x.device());
  const at::Tensor row = at::arange(block, longs).unsqueeze(1), column = at::arange(reach, longs);
  const at::Tensor outside = (column < row).logical_or(column > row + (left + right));
  const at::Tensor frame = (at::arange(blocks, longs) * block - left).unsqueeze(1) + column;
  at::Tensor no_key = (frame < 0).logical_or(frame >= frames);  // (C, reach), or (B, C, reach)
  if (valid.defined()) {
    no_key = no_key.logical_or(
        valid.index_select(1, frame.clamp(0, frames - 1).flatten()).logical_not().view({batch, blocks, reach}));
  }
  // Scores beyond the window or the input do not exist; every real query sees itself. Queries of padding see nothing.
  const at::Tensor hidden = outside.logical_or(no_key.unsqueeze(-2));
  scores = scores.masked_fill(hidden, kHiddenScore);

  Heads global;
  at::Tensor tokens;
  const int64_t span = window_.global_tokens * window_.global_tokens_spacing;
  if (window_.global_tokens > 0) {
    tokens = at::arange(0, std::min(span, frames), window_.global_tokens_spacing, longs);
    const bool own = window_.global_attn_separate;
    const at::Tensor global_q = own ? split_heads(global_q_(x)) * scale() : q;
    global.k = own ? split_heads(global_k_(x)) : k;
    global.v = own ? split_heads(global_v_(x)) : v;
    global.q = global_q.index_select(2, tokens);
    const at::Tensor to_tokens = at::matmul(global_q, global.k.index_select(2, tokens).transpose(2, 3));
    scores = at::cat(
        {at::constant_pad_nd(to_tokens, {0, 0, 0, tail}).view({heads, batch, blocks, block, tokens.size(0)}), scores},
        -1);
  }
  at::Tensor weights = at::softmax(scores, -1);
  if (dropout_now() > 0) weights = at::dropout(weights, dropout_now(), true);
  const int64_t count = tokens.defined() ? tokens.size(0) : 0;
  at::Tensor out = at::matmul(weights.slice(-1, count), windows(v)).reshape({heads, batch, blocks * block, width});
  if (tokens.defined()) {
    out = out + at::matmul(weights.slice(-1, 0, count).reshape({heads, batch, blocks * block, count}),
                           v.index_select(2, tokens));
  }
  out = out.slice(2, 0, frames);
  if (valid.defined()) out = out.masked_fill(valid.logical_not().unsqueeze(-1), 0);
  if (tokens.defined()) out = out.index_copy(2, tokens, global_rows(global, valid));
  return linear_out_(join_heads(out));
}

}  // namespace fathom::nn
