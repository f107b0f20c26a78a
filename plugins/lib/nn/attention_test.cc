// Attention against the formulas written out, and what masks hide.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/nn/multi_head_attention.h"
#include "plugins/lib/nn/positional_encoding.h"

namespace fathom::nn {
namespace {

using Style = AttentionContext::Style;

std::string rows_of(const AttentionContext& context, int64_t length) {
  const at::Tensor seen = visible_keys(context, length, at::kCPU);
  std::string out;
  for (int64_t i = 0; i < length; ++i) {
    for (int64_t j = 0; j < length; ++j) out += seen[i][j].item<bool>() ? 'x' : '.';
    out += ' ';
  }
  return out;
}

TEST(AttentionMask, Contexts) {
  EXPECT_FALSE(visible_keys({}, 5, at::kCPU).defined());
  EXPECT_EQ(rows_of({Style::kRegular, 1, 2}, 5), "xxx.. xxxx. .xxxx ..xxx ...xx ");
  EXPECT_EQ(rows_of({Style::kRegular, -1, 0}, 3), "x.. xx. xxx ");
  EXPECT_EQ(rows_of({Style::kChunked, 2, 1}, 6), "xx.... xx.... xxxx.. xxxx.. ..xxxx ..xxxx ");
  EXPECT_EQ(rows_of({Style::kChunked, -1, 1}, 4), "xx.. xx.. xxxx xxxx ");
  EXPECT_EQ(rows_of({Style::kChunked, 1, -1}, 3), "xxx xxx .xx ");
  EXPECT_EQ(rows_of({Style::kChunkedWithRight, 1, 1, 2}, 5), "xxx.. xxx.. .xxxx .xxxx ...xx ");
  EXPECT_FALSE(visible_keys({Style::kChunkedWithRight, -1, -1, -1}, 5, at::kCPU).defined());
  EXPECT_THROW(visible_keys({Style::kChunkedWithRight, 2, 2, 0}, 5, at::kCPU), Error);
}

TEST(AttentionMask, PaddingNeitherSeesNorIsSeen) {
  EXPECT_FALSE(make_attention_mask({}, {}, at::kFloat).scores.defined());
  const at::Tensor valid = LengthMask(at::tensor({3, 2}, at::kLong)).valid(3).squeeze(1);
  const AttentionMask mask = make_attention_mask({}, valid, at::kFloat);
  EXPECT_EQ(mask.scores.sizes(), (at::IntArrayRef{2, 1, 3}));
  EXPECT_TRUE(at::equal(mask.scores.flatten(), at::tensor({0, 0, 0, 0, 0, -10000}).to(at::kFloat)));
  EXPECT_TRUE(at::equal(mask.blind, valid.logical_not()));
  // Two cached frames, of which the item filled one.
  const at::Tensor back_one = visible_keys({Style::kRegular, 1, 0}, 4, at::kCPU);
  const AttentionMask streamed =
      make_attention_mask(back_one, at::tensor({0, 1, 1, 1}).ne(0).unsqueeze(0), at::kFloat, 2);
  EXPECT_TRUE(at::equal(streamed.scores.ne(0).to(at::kLong), at::tensor({1, 0, 0, 1, 1, 1, 0, 0}).view({1, 2, 4})));
}

TEST(PositionalEncoding, Values) {
  const at::Tensor x = sinusoids(2, -1, 4, 6);
  EXPECT_NEAR(x[0][0].item<double>(), std::sin(2.0), 1e-6);
  EXPECT_NEAR(x[3][1].item<double>(), std::cos(-1.0), 1e-6);
  EXPECT_NEAR(x[0][3].item<double>(), std::cos(2 * std::pow(10000.0, -2.0 / 6)), 1e-6);
  EXPECT_THROW(sinusoids(0, 1, 3, 5), Error);
}

TEST(PositionalEncoding, ATableDoesNotDependOnItsSize) {
  const auto options = at::TensorOptions(at::kFloat);
  PositionTable small(PositionTable::Kind::kRelative, 8, 4), large(PositionTable::Kind::kRelative, 8, 1000);
  large.rows(700, options);
  for (const int64_t length : {1, 3, 4, 9}) {
    EXPECT_TRUE(at::equal(small.rows(length, options), large.rows(length, options)));
    EXPECT_TRUE(at::equal(small.rows(length, options)[0][length - 1], sinusoids(0, 1, 1, 8)[0]));
  }
  PositionTable absolute(PositionTable::Kind::kAbsolute, 8, 16);
  EXPECT_TRUE(at::equal(absolute.rows(5, options)[0], sinusoids(0, 1, 5, 8)));
  EXPECT_EQ(absolute.rows(5, options.dtype(at::kBFloat16)).scalar_type(), at::kBFloat16);
}

TEST(RelativeShift, ColumnsBecomeKeys) {
  for (const auto& [queries, keys] : {std::pair<int64_t, int64_t>{4, 4}, {2, 5}, {1, 1}, {1, 3}}) {
    const at::Tensor x = at::randn({2, 3, queries, 2 * keys - 1});
    const at::Tensor shifted = relative_shift(x, keys);
    ASSERT_EQ(shifted.sizes(), (at::IntArrayRef{2, 3, queries, keys}));
    EXPECT_EQ(shifted.storage().data(), x.storage().data()) << "copied";
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = 0; j < keys; ++j) {
        const int64_t distance = keys - queries + i - j;  // from the key to the query
        EXPECT_TRUE(at::equal(shifted.select(2, i).select(2, j), x.select(2, i).select(2, keys - 1 - distance)));
      }
    }
  }
}

// Every weight and bias away from its first value.
void randomize(torch::nn::Module& module) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) parameter.normal_(0, 0.3);
}

at::Tensor linear_of(const torch::nn::Module& module, const std::string& name, const at::Tensor& x) {
  const auto parameters = module.named_parameters();
  const at::Tensor* bias = parameters.find(name + ".bias");
  return at::linear(x, parameters[name + ".weight"], bias == nullptr ? std::nullopt : std::optional(*bias));
}

// Attention of one item with relative positions, frame by frame in doubles. seen(i, j): whether i sees j.
template <typename Seen>
at::Tensor written_out(const torch::nn::Module& module, const at::Tensor& x, int64_t heads, Seen seen) {
  const int64_t frames = x.size(0), width = x.size(1), size = width / heads;
  const at::Tensor q = linear_of(module, "linear_q", x), k = linear_of(module, "linear_k", x);
  const at::Tensor v = linear_of(module, "linear_v", x);
  const at::Tensor p = linear_of(module, "linear_pos", sinusoids(frames - 1, -1, 2 * frames - 1, width).to(x.dtype()));
  const auto parameters = module.named_parameters();
  at::Tensor out = at::zeros_like(x);
  for (int64_t h = 0; h < heads; ++h) {
    const auto head = [&](const at::Tensor& y, int64_t row) { return y[row].slice(0, h * size, (h + 1) * size); };
    for (int64_t i = 0; i < frames; ++i) {
      at::Tensor scores = at::full({frames}, -INFINITY, x.options());
      for (int64_t j = 0; j < frames; ++j) {
        if (!seen(i, j)) continue;
        const at::Tensor content = (head(q, i) + parameters["pos_bias_u"][h]).dot(head(k, j));
        const at::Tensor position = (head(q, i) + parameters["pos_bias_v"][h]).dot(head(p, frames - 1 - (i - j)));
        scores[j] = (content + position) / std::sqrt(static_cast<double>(size));
      }
      const at::Tensor weights = at::softmax(scores, 0);
      for (int64_t j = 0; j < frames; ++j) out[i].slice(0, h * size, (h + 1) * size) += weights[j] * head(v, j);
    }
  }
  return linear_of(module, "linear_out", out);
}

AttentionOptions options_of(int64_t width, int64_t heads, bool sdpa = false) {
  AttentionOptions o;
  o.width = width;
  o.heads = heads;
  o.sdpa = sdpa;
  return o;
}

TEST(MultiHeadAttention, RelativePositionsAreTheFormula) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  const at::Tensor x = at::randn({2, 7, 12}, at::kDouble);
  const at::Tensor visible = visible_keys({Style::kRegular, 3, 1}, 7, at::kCPU);
  const at::Tensor valid = LengthMask(at::tensor({7, 5}, at::kLong)).valid(7).squeeze(1);
  const at::Tensor positions = sinusoids(6, -1, 13, 12).to(at::kDouble).unsqueeze(0);
  for (const bool sdpa : {false, true}) {
    RelPositionMultiHeadAttention attention(options_of(12, 3, sdpa), {}, {});
    attention.to(at::kDouble);
    randomize(attention);
    const at::Tensor full = attention.forward(x, x, positions, {});
    const at::Tensor masked = attention.forward(x, x, positions, make_attention_mask(visible, valid, at::kDouble));
    for (int64_t item = 0; item < 2; ++item) {
      const auto all = [](int64_t, int64_t) { return true; };
      EXPECT_TRUE(at::allclose(full[item], written_out(attention, x[item], 3, all), 1e-10, 1e-10)) << sdpa;
      const int64_t length = item == 0 ? 7 : 5;
      const auto near = [&](int64_t i, int64_t j) { return j >= i - 3 && j <= i + 1; };
      const at::Tensor alone = written_out(attention, x[item].slice(0, 0, length), 3, near);
      EXPECT_TRUE(at::allclose(masked[item].slice(0, 0, length), alone, 1e-10, 1e-10)) << sdpa;
    }
    // Of what sees nothing only the output's bias is left.
    EXPECT_TRUE(at::allclose(masked[1][6], attention.named_parameters()["linear_out.bias"]));
  }
}

TEST(MultiHeadAttention, AWindowIsABand) {
  at::manual_seed(5);
  for (const int64_t left : {2, 20}) {
    const int64_t right = left;
    RelPositionMultiHeadAttention full(options_of(8, 2), {}, {});
    LocalRelPositionMultiHeadAttention local(options_of(8, 2), {left, right});
    full.to(at::kDouble);
    local.to(at::kDouble);
    randomize(full);
    {
      const at::NoGradGuard no_grad;
      for (auto& item : local.named_parameters()) item.value().copy_(full.named_parameters()[item.key()]);
    }
    const at::Tensor x = at::randn({2, 11, 8}, at::kDouble).requires_grad_();
    const at::Tensor twin = x.detach().clone().requires_grad_();
    const at::Tensor valid = LengthMask(at::tensor({11, 6}, at::kLong)).valid(11).squeeze(1);
    const AttentionMask mask =
        make_attention_mask(visible_keys({Style::kRegular, left, right}, 11, at::kCPU), valid, at::kDouble);
    const at::Tensor expected = full.forward(twin, twin, sinusoids(10, -1, 21, 8).to(at::kDouble).unsqueeze(0), mask);
    const at::Tensor got =
        local.forward(x, sinusoids(left, -1, left + right + 1, 8).to(at::kDouble).unsqueeze(0), valid);
    EXPECT_TRUE(at::allclose(got, expected, 1e-10, 1e-10)) << left << "," << right;
    const at::Tensor dy = at::randn_like(got);
    got.backward(dy);
    expected.backward(dy);
    EXPECT_TRUE(at::allclose(x.grad(), twin.grad(), 1e-9, 1e-10)) << left << "," << right;
    for (auto& item : local.named_parameters())
      EXPECT_TRUE(at::allclose(item.value().grad(), full.named_parameters()[item.key()].grad(), 1e-9, 1e-10))
          << item.key();
  }
  EXPECT_THROW(LocalRelPositionMultiHeadAttention(options_of(8, 2), {0, 0}), Error);
}

// Recorded from NeMo 3.0: with sides that differ, positions land at other offsets than their own.
TEST(MultiHeadAttention, AWindowWithUnequalSidesIsNemos) {
  struct Recorded {
    int64_t left, right;
    std::vector<double> output;
  };
  const Recorded recorded[] = {
      {3, 1, {-1.119139693, -4.646548433, -3.010474190, 2.207103088,  -1.786610148, -1.511139876, 0.594978626,
              2.450124035,  -0.370942777, -3.577952477, -2.757361065, 1.375682569,  -2.362336672, -3.218352713,
              -0.429010202, 3.197825198,  1.469519155,  -1.170004919, -2.341495847, -0.642585414}},
      {1, 2, {0.007242247,  -3.563740941, -3.122229406, 1.019577233,  -2.121062392, -1.899579025, 0.565450436,
              2.810894285,  0.795881021,  -1.953366616, -2.401893743, 0.084181442,  -1.987951980, -2.642494631,
              -0.263796670, 2.776777704,  1.447379686,  -0.788459809, -1.961835889, -0.668376484}}};
  for (const Recorded& r : recorded) {
    LocalRelPositionMultiHeadAttention local(options_of(4, 2), {r.left, r.right});
    local.to(at::kDouble);
    const at::NoGradGuard no_grad;
    for (auto& item : local.named_parameters()) {
      const at::Tensor count = at::arange(item.value().numel(), at::kDouble);
      item.value().copy_(at::sin(count * 1.3 + static_cast<double>(item.key().size())).view(item.value().sizes()));
    }
    const at::Tensor x = at::cos(at::arange(20, at::kDouble) * 0.7).view({1, 5, 4});
    const at::Tensor positions = sinusoids(r.left, -1, r.left + r.right + 1, 4).to(at::kDouble).unsqueeze(0);
    const at::Tensor got = local.forward(x, positions, at::ones({1, 5}, at::kBool)).flatten();
    EXPECT_TRUE(at::allclose(got, at::tensor(r.output, at::kDouble), 1e-6, 1e-6)) << got;
  }
}

TEST(MultiHeadAttention, DropoutOnlyInTraining) {
  AttentionOptions options = options_of(8, 2);
  options.dropout = 0.5;
  MultiHeadAttention attention(options);
  const at::Tensor x = at::randn({1, 9, 8});
  attention.eval();
  EXPECT_TRUE(at::equal(attention.forward(x, x, {}), attention.forward(x, x, {})));
  attention.train();
  EXPECT_FALSE(at::equal(attention.forward(x, x, {}), attention.forward(x, x, {})));
  EXPECT_THROW(MultiHeadAttention(options_of(9, 2)), Error);
}

}  // namespace
}  // namespace fathom::nn
