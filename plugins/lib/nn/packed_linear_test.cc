#include "plugins/lib/nn/packed_linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "fathom/error.h"
#include "plugins/lib/nn/linear.h"
#include "plugins/lib/nn/multi_head_attention.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

double error_of(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

TEST(PackedLinear, IsTheLayerInItsPrecision) {
  const at::NoGradGuard no_grad;
  const std::pair<Compute, double> kinds[] = {
      {Compute::kFloat32, 1e-6}, {Compute::kBFloat16, 5e-3}, {Compute::kInt8, 2e-2}};
  for (const auto& [compute, tolerance] : kinds) {
    for (const int64_t out : {5, 512, 1030}) {
      at::manual_seed(out);
      at::Tensor weight = at::randn({out, 300}), bias = at::randn({out});
      if (!PackedLinear::can_pack(weight, compute)) GTEST_SKIP() << "this processor has no such products";
      // Rows of different sizes, one of zeros, one without a negative number.
      at::Tensor x = at::randn({3, 50, 300}) * at::exp(at::randn({3, 50, 1}));
      x[0][0].zero_();
      x[0][1].abs_();
      const at::Tensor expected = at::linear(x, weight, bias), without = at::linear(x, weight);
      at::Tensor packed = weight.clone();
      pack_weight(packed, compute);
      ASSERT_NE(packed_of(packed), nullptr);
      EXPECT_EQ(packed.numel(), 0);
      const at::Tensor got = linear(x, packed, bias);
      EXPECT_LT(error_of(got, expected), tolerance);
      EXPECT_LT(error_of(linear(x, packed, at::Tensor()), without), tolerance);
      EXPECT_TRUE(at::allclose(got[0][0], bias));
      // A row depends on nothing but itself.
      EXPECT_TRUE(at::equal(linear(x[2].slice(0, 7, 9), packed, bias), got[2].slice(0, 7, 9)));
      pack_weight(packed, compute);  // once more changes nothing
      EXPECT_TRUE(at::equal(linear(x, packed, bias), got));
    }
  }
}

TEST(PackedLinear, SaysWhatItCannotDo) {
  if (!PackedLinear::can_pack(at::ones({4, 8}), Compute::kFloat32)) GTEST_SKIP() << "nothing is packed here";
  at::Tensor weight = at::randn({4, 8});
  pack_weight(weight, Compute::kFloat32);
  EXPECT_THROW(linear(at::randn({2, 7}), weight, at::Tensor()), Error);
  EXPECT_THROW(linear(at::randn({2, 8}, at::kDouble), weight, at::Tensor()), Error);
  EXPECT_THROW(linear(at::randn({2, 8}).requires_grad_(), weight, at::Tensor()), Error);
  EXPECT_THROW(parse_compute("int4"), Error);
  at::Tensor doubles = at::randn({4, 8}, at::kDouble);
  pack_weight(doubles, Compute::kFloat32);
  EXPECT_EQ(doubles.numel(), 32);
}

// Blocks give what the whole matrices give: lengths around the blocks' and the panels' bounds, a cache before the
// queries, limited contexts and padding.
TEST(BlockedAttention, IsTheAttention) {
  for (const int64_t keys : {1, 5, 64, 65, 150, 530}) {
    for (const int64_t cached : {int64_t{0}, std::min<int64_t>(keys - 1, 40)}) {
      const int64_t queries = keys - cached, width = 48;
      at::manual_seed(keys + cached);
      AttentionOptions options;
      options.width = width;
      options.heads = 3;
      RelPositionMultiHeadAttention relative(options, {}, {});
      MultiHeadAttention plain(options);
      {
        const at::NoGradGuard no_grad;
        for (at::Tensor& p : relative.parameters()) p.copy_(0.3 * at::randn_like(p));
        for (at::Tensor& p : plain.parameters()) p.copy_(0.3 * at::randn_like(p));
      }
      const at::Tensor source = at::randn({2, keys, width}), query = source.slice(1, cached);
      const at::Tensor positions = at::randn({1, 2 * keys - 1, width});
      const at::Tensor valid = LengthMask(at::tensor({keys, (keys + 1) / 2}, at::kLong)).valid(keys).squeeze(1);
      const at::Tensor visible = visible_keys({AttentionContext::Style::kRegular, 20, 3}, keys, at::kCPU);
      for (const AttentionMask& mask : {AttentionMask{}, make_attention_mask(visible, valid, at::kFloat, cached),
                                        make_attention_mask({}, valid, at::kFloat, cached)}) {
        // Where a gradient is wanted the matrices are whole.
        const at::Tensor whole = relative.forward(query, source, positions, mask).detach();
        const at::Tensor whole_plain = plain.forward(query, source, mask).detach();
        const at::NoGradGuard no_grad;
        const at::Tensor blocks = relative.forward(query, source, positions, mask);
        EXPECT_LT(error_of(blocks, whole), 2e-6) << keys << ", " << cached;
        EXPECT_LT(error_of(plain.forward(query, source, mask), whole_plain), 2e-6) << keys << ", " << cached;
        // An item alone.
        AttentionMask first = mask;
        if (first.scores.defined()) first.scores = first.scores.slice(0, 0, 1);
        if (first.blind.defined()) first.blind = first.blind.slice(0, 0, 1);
        EXPECT_TRUE(at::allclose(relative.forward(query.slice(0, 0, 1), source.slice(0, 0, 1), positions, first)[0],
                                 blocks[0], 1e-5, 1e-5));
      }
      if (!pairs_supported()) continue;
      const at::NoGradGuard no_grad;
      const at::Tensor exact = relative.forward(query, source, positions, {});
      relative.prepare_inference(Compute::kBFloat16);
      EXPECT_LT(error_of(relative.forward(query, source, positions, {}), exact), 2e-2) << keys << ", " << cached;
    }
  }
}

}  // namespace
}  // namespace fathom::nn
