#include "plugins/lib/nn/product_kernel.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "plugins/lib/nn/linear.h"

namespace fathom::nn {
namespace {

TEST(ProductKernel, IsAMatrixProduct) {
  at::manual_seed(1);
  for (const int64_t k : {1, 30, 256, 300, 777}) {
    const at::Tensor a = at::randn({37, k}), b = at::randn({k, 48}), before = at::randn({37, 48});
    for (const bool add : {false, true}) {
      at::Tensor c = before.clone();
      product({37, 48, k, k, 48, 48}, a.const_data_ptr<float>(), b.const_data_ptr<float>(), c.mutable_data_ptr<float>(),
              add);
      const at::Tensor expected = at::mm(a, b) + (add ? before : at::zeros_like(before));
      EXPECT_TRUE(at::allclose(c, expected, 1e-4, 1e-4)) << k << add;
    }
  }
}

TEST(ProductKernel, OfPairsIsOneOfRoundedNumbers) {
  if (!pairs_supported()) GTEST_SKIP() << "this processor has no products of bfloat16";
  at::manual_seed(2);
  for (const int64_t k : {2, 34, 256, 514}) {
    const at::Tensor a = at::randn({40, k}).to(at::kBFloat16), b = at::randn({k, 32}).to(at::kBFloat16);
    at::Tensor pairs = at::empty_like(b), c = at::empty({40, 32});
    interleave_rows(b.const_data_ptr<c10::BFloat16>(), k, 32, 32, pairs.mutable_data_ptr<c10::BFloat16>());
    product({40, 32, k, k, 32, 32}, a.const_data_ptr<c10::BFloat16>(), pairs.const_data_ptr<c10::BFloat16>(),
            c.mutable_data_ptr<float>(), false);
    EXPECT_TRUE(at::allclose(c, at::mm(a.to(at::kFloat), b.to(at::kFloat)), 1e-4, 1e-4)) << k;
  }
}

TEST(ProductKernel, TransposesWholeBlocksAndTheirEnds) {
  at::manual_seed(3);
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{16, 16}, {48, 32}, {17, 48}, {32, 18}, {5, 6}, {64, 80}}) {
    const at::Tensor x = at::randn({rows, columns + 4});
    at::Tensor out = at::empty({columns, rows});
    transpose(x.const_data_ptr<float>(), rows, columns, columns + 4, out.mutable_data_ptr<float>());
    EXPECT_TRUE(at::equal(out, x.narrow(1, 0, columns).t())) << rows << " x " << columns;
    const at::Tensor half = x.to(at::kBFloat16);
    at::Tensor pairs = at::empty({columns / 2, rows, 2}, at::kBFloat16);
    transpose_pairs(half.const_data_ptr<c10::BFloat16>(), rows, columns, columns + 4,
                    pairs.mutable_data_ptr<c10::BFloat16>());
    EXPECT_TRUE(at::equal(pairs, half.narrow(1, 0, columns).reshape({rows, columns / 2, 2}).transpose(0, 1)));
  }
}

TEST(Linear, IsTorchs) {
  at::manual_seed(4);
  const at::NoGradGuard no_grad;
  for (const auto& [rows, in, out] :
       {std::array<int64_t, 3>{250, 44, 30}, {97, 300, 700}, {5, 8, 8}, {128, 16, 1030}}) {
    const at::Tensor x = at::randn({2, rows, in}), weight = at::randn({out, in}), bias = at::randn({out});
    for (const at::Tensor& offset : {bias, at::Tensor()}) {
      const at::Tensor expected = at::linear(x, weight, offset.defined() ? std::optional(offset) : std::nullopt);
      EXPECT_TRUE(at::allclose(linear(x, weight, offset), expected, 1e-4, 2e-4)) << rows << " " << in << " " << out;
    }
    const at::Tensor turned = at::randn({2, in, rows}).transpose(1, 2);
    EXPECT_TRUE(at::allclose(linear(turned, weight, bias), at::linear(turned, weight, bias), 1e-4, 2e-4));
  }
}

TEST(Linear, GradientsAreTorchs) {
  const at::Tensor x = at::randn({200, 8}), weight = at::randn({6, 8}).requires_grad_();
  EXPECT_TRUE(linear(x, weight, at::Tensor()).requires_grad());
}

}  // namespace
}  // namespace fathom::nn
