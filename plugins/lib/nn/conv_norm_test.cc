#include "plugins/lib/nn/conv_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "fathom/error.h"

namespace fathom::nn {
namespace {

using torch::autograd::grad;

// A random tensor that wants a gradient.
at::Tensor norm_leaf(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  return at::randn(sizes, dtype).requires_grad_();
}

std::shared_ptr<torch::nn::BatchNorm1dImpl> random_norm(int64_t channels, at::ScalarType dtype) {
  auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm1dImpl>(make_norm("batch", channels, -1));
  const at::NoGradGuard no_grad;
  norm->weight.normal_();
  norm->bias.normal_();
  norm->running_mean.normal_();
  norm->running_var.uniform_(0.5, 2);
  norm->to(dtype);
  return norm;
}

TEST(ConvNorm, BatchNormIsTorchs) {
  at::manual_seed(3);
  const Activation relu = Activation::kReLU;
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    for (const bool training : {true, false}) {
      for (int mode = 0; mode < 4; ++mode) {
        const auto norm = random_norm(5, dtype);
        norm->train(training);
        const auto twin = std::dynamic_pointer_cast<torch::nn::BatchNorm1dImpl>(norm->clone());
        const at::Tensor x = norm_leaf({4, 5, 37}, dtype), residual = norm_leaf({4, 5, 37}, dtype);
        NormTail tail;
        if (mode & 1) tail.residual = &residual;
        if (mode & 2) tail.activation = &relu;
        const at::Tensor got = apply_norm(*norm, x, tail);
        at::Tensor expected = twin->forward(x);
        if (mode & 1) expected = expected + residual;
        if (mode & 2) expected = at::relu(expected);
        const double abs = dtype == at::kFloat ? 2e-5 : 1e-10;
        EXPECT_TRUE(at::allclose(got, expected, 1e-5, abs)) << training << mode;
        EXPECT_TRUE(at::allclose(norm->running_mean, twin->running_mean, 1e-5, abs));
        EXPECT_TRUE(at::allclose(norm->running_var, twin->running_var, 1e-5, abs));
        EXPECT_TRUE(at::equal(norm->num_batches_tracked, twin->num_batches_tracked));
        const at::Tensor dy = at::randn_like(got);
        std::vector<at::Tensor> own = {x, norm->weight, norm->bias}, theirs = {x, twin->weight, twin->bias};
        if (mode & 1) own.push_back(residual), theirs.push_back(residual);
        const auto a = grad({got}, own, {dy}), b = grad({expected}, theirs, {dy});
        for (size_t i = 0; i < a.size(); ++i) {
          EXPECT_TRUE(at::allclose(a[i], b[i], 1e-4, abs * 5))
              << "gradient " << i << " training " << training << " mode " << mode;
        }
      }
    }
  }
}

TEST(ConvNorm, HigherDerivatives) {
  const auto norm = random_norm(3, at::kDouble);
  const auto twin = std::dynamic_pointer_cast<torch::nn::BatchNorm1dImpl>(norm->clone());
  const at::Tensor x = norm_leaf({2, 3, 11}, at::kDouble);
  const auto second = [&](const at::Tensor& y) {
    return grad({grad({y.pow(3).sum()}, {x}, {}, true, true)[0].pow(2).sum()}, {x})[0];
  };
  EXPECT_TRUE(at::allclose(second(apply_norm(*norm, x)), second(twin->forward(x)), 1e-6, 1e-8));
}

TEST(ConvNorm, DropoutKeepsTheMeanAndItsGradient) {
  const Activation relu = Activation::kReLU;
  for (const Activation* activation : {static_cast<const Activation*>(nullptr), &relu}) {
    const auto norm = random_norm(8, at::kFloat);
    norm->eval();
    const at::Tensor x = norm_leaf({16, 8, 500});
    const at::Tensor plain = apply_norm(*norm, x, {nullptr, activation, 0});
    at::manual_seed(11);
    const at::Tensor dropped = apply_norm(*norm, x, {nullptr, activation, 0.25});
    at::manual_seed(11);
    const at::Tensor again = apply_norm(*norm, x, {nullptr, activation, 0.25});
    EXPECT_TRUE(at::equal(dropped, again));
    const at::Tensor kept = dropped.ne(0), shown = plain.ne(0);
    EXPECT_NEAR(kept.sum().item<double>() / shown.sum().item<double>(), 0.75, 0.01);
    EXPECT_TRUE(at::allclose(dropped.masked_select(kept), plain.masked_select(kept) / 0.75, 1e-5, 1e-6));
    const at::Tensor dy = at::randn_like(x);
    const at::Tensor a = grad({dropped}, {x}, {dy})[0];
    const at::Tensor b = grad({plain}, {x}, {dy * kept.to(at::kFloat) / 0.75})[0];
    EXPECT_TRUE(at::allclose(a, b, 1e-4, 1e-5));
  }
}

TEST(ConvNorm, OtherNormsAndErrors) {
  const at::Tensor x = at::randn({2, 6, 9});
  EXPECT_TRUE(at::allclose(apply_norm(*make_norm("instance", 6, 1), x), at::group_norm(x, 6), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(apply_norm(*make_norm("layer", 6, 1), x), at::group_norm(x, 1), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(apply_norm(*make_norm("group", 6, 3), x), at::group_norm(x, 3), 1e-5, 1e-5));
  EXPECT_THROW(make_norm("group", 6, 4), Error);
  EXPECT_THROW(make_norm("spectral", 6, 1), Error);
}

}  // namespace
}  // namespace fathom::nn
