#include "plugins/lib/nn/conv_chain.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "plugins/lib/nn/conv_norm.h"
#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

using torch::autograd::grad;

struct Layer {
  int64_t in, out, kernel, stride = 1, dilation = 1;  // kernel 0: no depthwise convolution
};

// Stages with random parameters, as conv_chain takes them and as layers one by one in double.
class RandomChain {
 public:
  RandomChain(const std::vector<Layer>& layers, bool residual, const at::Tensor& lengths, bool training) {
    LengthMaskPtr mask = lengths.defined() ? std::make_shared<LengthMask>(lengths) : nullptr;
    const LengthMaskPtr first = mask;
    for (const Layer& layer : layers) stages.push_back(stage(layer, mask, training));
    if (!residual) return;
    LengthMaskPtr unchanged = first;
    extra = stage({layers[0].in, layers.back().out, 0}, unchanged, training);
  }

  std::vector<at::Tensor> parameters() const {
    std::vector<at::Tensor> out;
    const auto add = [&](const ChainStage& s) {
      if (s.depthwise.defined()) out.push_back(s.depthwise);
      out.insert(out.end(), {s.pointwise, s.norm->weight, s.norm->bias});
    };
    for (const auto& s : stages) add(s);
    if (extra) add(*extra);
    return out;
  }

  // In double, on aten's operators; the norms' statistics are updated in twins. parameters: what to differentiate by.
  at::Tensor reference(const at::Tensor& x, const std::vector<at::Tensor>& parameters, bool relu) {
    size_t next = 0;
    const int64_t none = 0;  // padding
    const auto run = [&](const ChainStage& s, at::Tensor y) {
      if (s.mask) y = s.mask->apply(y);
      if (s.depthwise.defined()) {
        y = at::constant_pad_nd(y, {s.pad_left, s.pad_right});
        y = at::conv1d(y, parameters[next++], std::optional<at::Tensor>(), s.stride, none, s.dilation,
                       s.depthwise.size(0));
        if (s.out_mask) y = s.out_mask->apply(y);
      }
      y = at::conv1d(y, parameters[next++]);
      const auto twin = std::dynamic_pointer_cast<torch::nn::BatchNorm1dImpl>(s.norm->clone());
      twin->to(x.scalar_type());
      twins.push_back(twin);
      next += 2;
      return at::batch_norm(y, parameters[next - 2], parameters[next - 1], twin->running_mean, twin->running_var,
                            s.norm->is_training(), *s.norm->options.momentum(), s.norm->options.eps(), false);
    };
    at::Tensor y = x;
    for (size_t i = 0; i < stages.size(); ++i) y = run(stages[i], i > 0 ? at::relu(y) : y);
    if (extra) y = y + run(*extra, x);
    return relu ? at::relu(y) : y;
  }

  std::vector<ChainStage> stages;
  std::optional<ChainStage> extra;
  std::vector<std::shared_ptr<torch::nn::BatchNorm1dImpl>> twins;

 private:
  ChainStage stage(const Layer& layer, LengthMaskPtr& mask, bool training) {
    ChainStage s;
    s.mask = mask;
    if (layer.kernel > 0) {
      s.depthwise = (at::randn({layer.in, 1, layer.kernel}) * 0.3).requires_grad_();
      s.stride = layer.stride;
      s.dilation = layer.dilation;
      s.pad_left = s.pad_right = layer.dilation * (layer.kernel - 1) / 2;
      if (mask) mask = std::make_shared<LengthMask>(at::div(mask->lengths() - 1, layer.stride, "trunc") + 1);
      s.out_mask = mask;
    }
    s.pointwise = (at::randn({layer.out, layer.in, 1}) / std::sqrt(static_cast<double>(layer.in))).requires_grad_();
    auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm1dImpl>(make_norm("batch", layer.out, -1));
    {
      const at::NoGradGuard no_grad;
      norm->weight.uniform_(0.5, 1.5);
      norm->bias.normal_(0, 0.5);
      norm->running_mean.normal_(0, 0.2);
      norm->running_var.uniform_(0.5, 2);
    }
    norm->train(training);
    norms_.push_back(norm);
    s.norm = norm.get();
    return s;
  }
  std::vector<std::shared_ptr<torch::nn::BatchNorm1dImpl>> norms_;
};

double worst(const at::Tensor& got, const at::Tensor& expected) {
  return ((got.to(at::kDouble) - expected).abs().max() / (expected.abs().max() + 1e-3)).item<double>();
}

struct Case {
  const char* name;
  std::vector<Layer> layers;
  bool residual;
  int64_t items, frames;
  bool masked;
};
const std::vector<Case> kCases = {
    {"a block of five", {{32, 48, 11}, {48, 48, 11}, {48, 48, 11}, {48, 48, 11}, {48, 48, 11}}, true, 3, 61, true},
    {"stride", {{64, 32, 33, 2}}, false, 2, 101, true},
    {"dilation, no mask", {{34, 66, 7, 1, 2}}, false, 2, 50, false},
    {"pointwise only", {{16, 130, 0}}, false, 3, 17, true},
    {"pointwise after depthwise, one frame", {{16, 24, 3}, {24, 8, 0}}, true, 4, 1, false},
    {"more frames than a panel", {{18, 20, 5}, {20, 22, 9}}, true, 2, 1100, true},
    {"one item", {{256, 256, 15}, {256, 256, 15}}, true, 1, 48, true},
};

at::Tensor lengths_of(const Case& c) {
  if (!c.masked) return {};
  at::Tensor lengths = at::full({c.items}, c.frames, at::kLong);
  for (int64_t i = 1; i < c.items; ++i) lengths[i] = std::max<int64_t>(1, c.frames * (c.items - i) / c.items);
  return lengths;
}

TEST(ConvChain, IsTheLayersOneByOne) {
  for (const Case& c : kCases) {
    for (const bool training : {true, false}) {
      for (const bool relu : {true, false}) {
        SCOPED_TRACE(std::string(c.name) + (training ? ", training" : "") + (relu ? ", relu" : ""));
        at::manual_seed(7);
        RandomChain chain(c.layers, c.residual, lengths_of(c), training);
        const at::Tensor x = at::randn({c.items, c.layers[0].in, c.frames}).requires_grad_();
        std::vector<at::Tensor> inputs = chain.parameters(), doubles = {x.detach().to(at::kDouble).requires_grad_()};
        for (const auto& p : inputs) doubles.push_back(p.detach().to(at::kDouble).requires_grad_());
        inputs.insert(inputs.begin(), x);
        const at::Tensor expected = chain.reference(doubles[0], {doubles.begin() + 1, doubles.end()}, relu);

        ASSERT_TRUE(conv_chain_applies(x, chain.stages, chain.extra));
        const at::Tensor got = conv_chain(x, chain.stages, chain.extra, relu);
        ASSERT_EQ(got.sizes(), expected.sizes());
        EXPECT_LT(worst(got, expected), 2e-5);
        for (size_t i = 0; i < chain.stages.size(); ++i) {
          EXPECT_LT(worst(chain.stages[i].norm->running_mean, chain.twins[i]->running_mean), 2e-5);
          EXPECT_LT(worst(chain.stages[i].norm->running_var, chain.twins[i]->running_var), 2e-5);
          EXPECT_EQ(chain.stages[i].norm->num_batches_tracked.item<int64_t>(), training ? 1 : 0);
        }
        const at::Tensor dy = at::randn(got.sizes());
        const auto a = grad({got}, inputs, {dy}), b = grad({expected}, doubles, {dy.to(at::kDouble)});
        for (size_t i = 0; i < a.size(); ++i) EXPECT_LT(worst(a[i], b[i]), 2e-4) << "gradient " << i;
      }
    }
  }
}

TEST(ConvChain, WithoutAGraphAndWithOneTheSame) {
  at::manual_seed(8);
  RandomChain chain(kCases[0].layers, true, lengths_of(kCases[0]), false);
  const at::Tensor x = at::randn({3, 32, 61});
  const at::Tensor with = conv_chain(x, chain.stages, chain.extra, true);
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(with, conv_chain(x, chain.stages, chain.extra, true)));
}

TEST(ConvChain, FrozenWeightsHaveNoGradient) {
  at::manual_seed(12);
  RandomChain chain(kCases[0].layers, true, lengths_of(kCases[0]), true);
  const at::Tensor x = at::randn({3, 32, 61}).requires_grad_();
  const at::Tensor all = conv_chain(x, chain.stages, chain.extra, true);
  const at::Tensor expected = grad({all}, {x}, {at::ones_like(all)})[0];
  for (const at::Tensor& p : chain.parameters()) p.set_requires_grad(false);
  chain.stages[1].norm->bias.set_requires_grad(true);
  const at::Tensor y = conv_chain(x, chain.stages, chain.extra, true);
  y.backward(at::ones_like(y));
  EXPECT_TRUE(at::allclose(x.grad(), expected, 1e-5, 1e-5));
  EXPECT_TRUE(chain.stages[1].norm->bias.grad().defined());
  EXPECT_FALSE(chain.stages[0].pointwise.grad().defined());
}

TEST(ConvChain, HigherDerivatives) {
  at::manual_seed(9);
  RandomChain chain({{8, 10, 5}, {10, 12, 3}}, true, at::tensor({20, 13}, at::kLong), true);
  const at::Tensor x = at::randn({2, 8, 20}).requires_grad_();
  std::vector<at::Tensor> inputs = chain.parameters(), doubles = {x.detach().to(at::kDouble).requires_grad_()};
  for (const auto& p : inputs) doubles.push_back(p.detach().to(at::kDouble).requires_grad_());
  const at::Tensor expected = chain.reference(doubles[0], {doubles.begin() + 1, doubles.end()}, false);
  const at::Tensor got = conv_chain(x, chain.stages, chain.extra, false);
  const auto penalty = [](const at::Tensor& y, const at::Tensor& in) {
    return grad({y.square().sum()}, {in}, {}, true, true)[0].square().sum();
  };
  const auto a = grad({penalty(got, x)}, inputs, {}, std::nullopt, false, true);
  const auto b =
      grad({penalty(expected, doubles[0])}, {doubles.begin() + 1, doubles.end()}, {}, std::nullopt, false, true);
  double largest = 0;
  for (const auto& g : b) largest = std::max(largest, g.defined() ? g.abs().max().item<double>() : 0);
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].defined(), b[i].defined()) << i;
    if (!a[i].defined()) continue;
    // A bias of a norm that trains changes nothing here but by rounding.
    EXPECT_LT((a[i].to(at::kDouble) - b[i]).abs().max().item<double>(), 1e-4 * largest) << "derivative " << i;
  }
}

TEST(ConvChain, SumsDoNotDependOnThreads) {
  const int threads = at::get_num_threads();
  std::vector<at::Tensor> first;
  for (const int n : {1, 3}) {
    at::set_num_threads(n);
    at::manual_seed(10);
    RandomChain chain(kCases[0].layers, true, lengths_of(kCases[0]), true);
    const at::Tensor x = at::randn({3, 32, 61}).requires_grad_();
    auto inputs = chain.parameters();
    inputs.push_back(x);
    const at::Tensor y = conv_chain(x, chain.stages, chain.extra, true);
    auto found = grad({y}, inputs, {at::ones_like(y)});
    found.push_back(y.detach());
    if (first.empty()) first = found;
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(at::equal(found[i], first[i])) << i;
  }
  at::set_num_threads(threads);
}

// Autocast to bfloat16: as close to the exact values as aten's own layers under autocast are.
TEST(ConvChain, AutocastToBfloat16) {
  if (!pairs_supported()) GTEST_SKIP() << "this processor has no products of bfloat16";
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    at::manual_seed(11);
    RandomChain chain(c.layers, c.residual, lengths_of(c), true);
    const at::Tensor x = at::randn({c.items, c.layers[0].in, c.frames}).requires_grad_();
    std::vector<at::Tensor> inputs = chain.parameters(), doubles = {x.detach().to(at::kDouble).requires_grad_()};
    for (const auto& p : inputs) doubles.push_back(p.detach().to(at::kDouble).requires_grad_());
    inputs.insert(inputs.begin(), x);
    const at::Tensor expected = chain.reference(doubles[0], {doubles.begin() + 1, doubles.end()}, true);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    const bool applies = conv_chain_applies(x, chain.stages, chain.extra);
    const at::Tensor got = applies ? conv_chain(x, chain.stages, chain.extra, true) : at::Tensor();
    const at::Tensor theirs = chain.reference(inputs[0], {inputs.begin() + 1, inputs.end()}, true);
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    ASSERT_TRUE(applies);
    EXPECT_EQ(got.scalar_type(), at::kBFloat16);
    EXPECT_LT(worst(got, expected), 1.5 * worst(theirs, expected) + 0.01);
    const at::Tensor dy = at::randn(got.sizes());
    const auto a = grad({got}, inputs, {dy.to(at::kBFloat16)}), b = grad({expected}, doubles, {dy.to(at::kDouble)});
    const auto t = grad({theirs}, inputs, {dy.to(theirs.scalar_type())});
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].scalar_type(), at::kFloat);
      const auto error = [&](const at::Tensor& g) {
        return ((g.to(at::kDouble) - b[i]).norm() / b[i].norm()).item<double>();
      };
      // A value near 0 that rounds to the other side moves a small case's gradients by some hundredths.
      EXPECT_LT(error(a[i]), 1.5 * error(t[i]) + 0.05) << "gradient " << i;
    }
  }
}

TEST(ConvChain, AppliesOnlyWhereItIsTheSame) {
  RandomChain chain({{8, 8, 5}}, false, at::tensor({20, 13}, at::kLong), true);
  const at::Tensor x = at::randn({2, 8, 20});
  EXPECT_TRUE(conv_chain_applies(x, chain.stages, chain.extra));
  EXPECT_FALSE(conv_chain_applies(x.to(at::kDouble), chain.stages, chain.extra));
  EXPECT_FALSE(conv_chain_applies(x.narrow(1, 0, 7), chain.stages, chain.extra));
  auto infinite = chain.stages;
  infinite[0].depthwise = at::full_like(infinite[0].depthwise, INFINITY);
  EXPECT_FALSE(conv_chain_applies(x, infinite, chain.extra));
  auto odd = chain.stages;
  odd[0].pad_left = odd[0].pad_right = 0;
  EXPECT_FALSE(conv_chain_applies(x.narrow(2, 0, 4), odd, chain.extra));
}

}  // namespace
}  // namespace fathom::nn
