#include "plugins/lib/nn/depthwise_conv.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "fathom/error.h"

namespace fathom::nn {
namespace {

using torch::autograd::grad;

// A random tensor that wants a gradient.
at::Tensor leaf(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  return at::randn(sizes, dtype).requires_grad_();
}

at::Tensor reference(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, const DepthwiseOptions& o) {
  at::Tensor in = o.mask ? o.mask->apply(x) : x;
  in = at::constant_pad_nd(in, {o.pad_left, o.pad_right});
  const int64_t filters = w.size(0), no_padding = 0;
  const at::Tensor folded = in.reshape({-1, filters, in.size(2)});
  const auto b = bias.defined() ? std::optional(bias) : std::nullopt;
  at::Tensor out = at::conv1d(folded, w, b, o.stride, no_padding, o.dilation, filters);
  out = out.reshape({x.size(0), x.size(1), out.size(2)});
  return o.out_mask ? o.out_mask->apply(out) : out;
}

struct Geometry {
  int64_t kernel, stride, dilation, left, right, frames;
};

void expect_same(const at::Tensor& got, const at::Tensor& expected, double abs, const std::string& what) {
  ASSERT_EQ(got.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(at::allclose(got, expected, 1e-5, abs, true))
      << what << ": " << (got - expected).abs().max().item<double>();
}

class Depthwise : public ::testing::TestWithParam<Geometry> {};

TEST_P(Depthwise, ValuesAndGradientsAreConv1ds) {
  const Geometry g = GetParam();
  at::manual_seed(1);
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const double abs = dtype == at::kFloat ? 1e-5 : 1e-12;
    for (const bool masked : {false, true}) {
      DepthwiseOptions o{g.stride, g.dilation, g.left, g.right, nullptr, nullptr};
      const int64_t out = (g.frames + g.left + g.right - g.dilation * (g.kernel - 1) - 1) / g.stride + 1;
      if (masked) {
        o.mask = std::make_shared<LengthMask>(at::tensor({g.frames, g.frames / 2, int64_t{0}}, at::kLong));
        o.out_mask = std::make_shared<LengthMask>(at::tensor({out, out / 2, int64_t{1}}, at::kLong));
      }
      for (const int64_t filters : {6, 3}) {  // one filter a channel; two channels a filter
        const at::Tensor x = leaf({3, 6, g.frames}, dtype), w = leaf({filters, 1, g.kernel}, dtype);
        const at::Tensor bias = filters == 3 ? leaf({filters}, dtype) : at::Tensor();
        const at::Tensor got = depthwise_conv1d(x, w, bias, o), expected = reference(x, w, bias, o);
        expect_same(got, expected, abs, "y");
        const at::Tensor dy = at::randn_like(got);
        std::vector<at::Tensor> wanted = {x, w};
        if (bias.defined()) wanted.push_back(bias);
        const auto a = grad({got}, wanted, {dy}), b = grad({expected}, wanted, {dy});
        for (size_t i = 0; i < a.size(); ++i) expect_same(a[i], b[i], abs * 10, "gradient " + std::to_string(i));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Geometries, Depthwise,
                         ::testing::Values(Geometry{1, 1, 1, 0, 0, 5}, Geometry{3, 1, 1, 1, 1, 1},
                                           Geometry{11, 1, 1, 5, 5, 61}, Geometry{33, 2, 1, 16, 16, 61},
                                           Geometry{5, 3, 2, 4, 4, 40}, Geometry{7, 1, 3, 9, 9, 130},
                                           Geometry{9, 1, 1, 8, 0, 33}, Geometry{5, 1, 1, 3, 1, 17},
                                           Geometry{75, 1, 1, 37, 37, 20}, Geometry{4, 2, 1, 0, 0, 16},
                                           Geometry{87, 1, 2, 86, 86, 200}, Geometry{3, 4, 1, 1, 1, 257}));

TEST(DepthwiseConv, NanAndInfinityReachTheirWindowOnly) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const double value : {nan, inf, -inf}) {
    at::Tensor x = at::randn({2, 4, 50});
    x[0][1][20] = value;
    DepthwiseOptions o{1, 1, 2, 2, nullptr, nullptr};
    const at::Tensor w = at::randn({4, 1, 5});
    const at::Tensor got = depthwise_conv1d(x, w, {}, o), expected = reference(x, w, {}, o);
    EXPECT_TRUE(at::equal(got.isnan(), expected.isnan()));
    EXPECT_TRUE(at::equal(got.isinf(), expected.isinf()));
    EXPECT_EQ(got.isfinite().logical_not().sum().item<int64_t>(), 5);
    // In the gradient of the output.
    at::Tensor clean = leaf({2, 4, 50}), weight = w.clone().requires_grad_();
    at::Tensor dy = at::randn({2, 4, 50});
    dy[1][2][0] = value;
    const auto a = grad({depthwise_conv1d(clean, weight, {}, o)}, {clean, weight}, {dy});
    const auto b = grad({reference(clean, weight, {}, o)}, {clean, weight}, {dy});
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(at::equal(a[i].isfinite(), b[i].isfinite())) << i;
  }
  at::Tensor w = at::randn({4, 1, 5});
  w[0][0][0] = inf;
  const at::Tensor x = at::randn({1, 4, 30});
  const DepthwiseOptions o{1, 1, 2, 2, nullptr, nullptr};
  EXPECT_TRUE(at::equal(depthwise_conv1d(x, w, {}, o).isfinite(),
                        at::conv1d(x, w, {}, int64_t{1}, int64_t{2}, int64_t{1}, 4).isfinite()));
}

TEST(DepthwiseConv, HigherDerivatives) {
  const at::Tensor x = leaf({2, 3, 20}, at::kDouble), w = leaf({3, 1, 5}, at::kDouble);
  DepthwiseOptions o{1, 1, 2, 2, std::make_shared<LengthMask>(at::tensor({20, 11}, at::kLong)), nullptr};
  const auto second = [&](const at::Tensor& y) {
    const auto first = grad({y.pow(3).sum()}, {x, w}, {}, true, true);
    return grad({first[0].pow(2).sum() + first[1].pow(2).sum()}, {x, w});
  };
  const auto a = second(depthwise_conv1d(x, w, {}, o)), b = second(reference(x, w, {}, o));
  for (int i = 0; i < 2; ++i) expect_same(a[i], b[i], 1e-9, "second derivative");
}

TEST(DepthwiseConv, AFreedGraphIsAnError) {
  const at::Tensor x = leaf({1, 2, 9}), w = leaf({2, 1, 3});
  const at::Tensor loss = depthwise_conv1d(x, w, {}, {1, 1, 1, 1, nullptr, nullptr}).sum();
  loss.backward({}, /*retain_graph=*/true);
  const at::Tensor once = x.grad().clone();
  loss.backward();
  EXPECT_TRUE(at::allclose(x.grad(), once * 2));
  EXPECT_THROW(loss.backward(), c10::Error);
}

TEST(DepthwiseConv, WindowLongerThanInput) {
  EXPECT_THROW(depthwise_conv1d(at::randn({1, 2, 3}), at::randn({2, 1, 5}), {}, {}), Error);
}

}  // namespace
}  // namespace fathom::nn
