#include "plugins/lib/nn/packed_conv.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace fathom::nn {
namespace {

at::Tensor expected_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto offsets = bias.defined() ? std::optional(bias.to(at::kDouble)) : std::nullopt;
  return at::conv1d(x.transpose(1, 2).to(at::kDouble), weight.to(at::kDouble), offsets, 1, weight.size(2) / 2)
      .transpose(1, 2);
}

double difference_of(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).norm() / (expected.norm() + 1e-3)).item<double>();
}

TEST(PackedConv, IsTheConvolution) {
  const at::NoGradGuard no_grad;
  for (const auto& [in, out, kernel] :
       {std::array<int64_t, 3>{24, 40, 3}, {384, 1536, 3}, {1536, 384, 3}, {7, 5, 1}, {16, 33, 5}}) {
    for (const int64_t time : {1, 2, 64, 65, 200}) {
      at::manual_seed(in + time);
      const at::Tensor x = at::randn({2, time, in}), weight = at::randn({out, in, kernel}), bias = at::randn({out});
      if (!PackedConv::can_pack(weight)) GTEST_SKIP() << "nothing is packed on this processor";
      const PackedConv conv(weight);
      const at::Tensor expected = expected_of(x, weight, bias);
      EXPECT_LT(difference_of(conv(x, bias, false), expected), 1e-6)
          << in << " " << out << " " << kernel << " " << time;
      EXPECT_LT(difference_of(conv(x, bias, true), at::relu(expected)), 1e-6);
      EXPECT_LT(difference_of(conv(x, {}, false), expected_of(x, weight, {})), 1e-6);
      // An item depends on nothing but itself.
      EXPECT_TRUE(at::equal(conv(x.slice(0, 1), bias, false)[0], conv(x, bias, false)[1]));
    }
  }
}

TEST(RowConv, FollowsItsLayer) {
  torch::nn::Conv1d layer(torch::nn::Conv1dOptions(8, 12, 3).padding(1));
  layer->eval();
  RowConv rows;
  const at::Tensor x = at::randn({1, 9, 8});
  const auto same = [&](const at::Tensor& got) {
    const at::NoGradGuard no_grad;
    return at::allclose(got, layer(x.transpose(1, 2)).transpose(1, 2), 1e-5, 1e-6);
  };
  EXPECT_TRUE(rows(*layer, x, false).requires_grad());
  {
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(same(rows(*layer, x, false)));
    layer->weight.mul_(2);
    EXPECT_TRUE(same(rows(*layer, x, false)));
    layer->weight.set_data(at::randn_like(layer->weight));
    EXPECT_TRUE(same(rows(*layer, x, false)));
    EXPECT_TRUE(at::equal(rows(*layer, x, true), at::relu(rows(*layer, x, false))));
  }
  layer->to(at::kDouble);
  const at::NoGradGuard no_grad;
  EXPECT_EQ(rows(*layer, x.to(at::kDouble), false).scalar_type(), at::kDouble);
}

}  // namespace
}  // namespace fathom::nn
