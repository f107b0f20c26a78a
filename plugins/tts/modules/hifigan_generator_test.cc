#include "plugins/tts/modules/hifigan_generator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "plugins/lib/nn/frame_conv.h"

namespace fathom::tts {
namespace {

HifiGanGenerator::Options shape(int64_t kind) {
  HifiGanGenerator::Options o;
  o.resblock = kind;
  o.upsample_rates = kind == 1 ? std::vector<int64_t>{4, 3, 2} : std::vector<int64_t>{5, 4};
  o.upsample_kernel_sizes = kind == 1 ? std::vector<int64_t>{8, 7, 4} : std::vector<int64_t>{11, 4};
  o.upsample_initial_channel = kind == 1 ? 72 : 36;  // no multiples of a vector's width
  o.resblock_kernel_sizes = {3, 7};
  o.resblock_dilation_sizes = {{1, 3, 5}, {1, 2, 4}};
  o.initial_input_size = 20;
  return o;
}

class GeneratorInference : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    at::manual_seed(GetParam());
    generator_ = std::make_shared<HifiGanGenerator>(shape(GetParam()));
    generator_->eval();
  }
  at::NoGradGuard no_grad_;
  std::shared_ptr<HifiGanGenerator> generator_;
};

TEST_P(GeneratorInference, IsTheForwardPass) {
  for (const int64_t frames : {1, 2, 37}) {
    const at::Tensor spect = at::randn({2, 20, frames});
    const at::Tensor expected = generator_->generate(spect);
    const at::Tensor got = generator_->infer(spect, /*bfloat16=*/false);
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_TRUE(at::allclose(got, expected, 1e-4, 2e-6)) << (got - expected).abs().max().item<double>();
  }
}

TEST_P(GeneratorInference, ChunksAreThoseOfTheWhole) {
  const Json properties = generator_->properties();
  const int64_t context = properties.at("context"), hop = properties.at("hop_length");
  const int64_t first = context + 3, count = 4, frames = first + count + context + 5;
  const at::Tensor spect = at::randn({1, 20, frames});
  const at::Tensor whole = generator_->infer(spect, false);
  const at::Tensor part = generator_->infer(spect.slice(2, first - context, first + count + context), false);
  const at::Tensor got = part.slice(2, context * hop, (context + count) * hop);
  const at::Tensor expected = whole.slice(2, first * hop, (first + count) * hop);
  EXPECT_TRUE(at::allclose(got, expected, 0, 1e-6)) << (got - expected).abs().max().item<double>();
}

// To the bit, where they begin at multiples of the alignment: convolutions by tiles round by where a sample lies.
TEST_P(GeneratorInference, AlignedChunksHaveTheBitsOfTheWhole) {
  if (!nn::frame_conv_applies(at::ones({1}))) GTEST_SKIP() << "this processor has no such kernel";
  HifiGanGenerator::Options wide = shape(GetParam());
  wide.upsample_initial_channel = 128;
  HifiGanGenerator generator(wide);
  generator.eval();
  const Json properties = generator.properties();
  const int64_t context = properties.at("context"), hop = properties.at("hop_length"),
                alignment = properties.at("alignment");
  EXPECT_GT(alignment, 1);
  const int64_t first = context + alignment + 3, count = 40, frames = first + count + context + 31;
  const at::Tensor spect = at::randn({1, 20, frames});
  const int64_t begin = (first - context) / alignment * alignment;
  const at::Tensor part = generator.infer(spect.slice(2, begin, first + count + context), false);
  EXPECT_TRUE(at::equal(part.slice(2, (first - begin) * hop, (first - begin + count) * hop),
                        generator.infer(spect, false).slice(2, first * hop, (first + count) * hop)));
}

// Chunks that end anywhere, of kernels that leave most of their last chunk of taps empty.
TEST(HifiGanResBlock, DependsOnNothingBeyondItsRadius) {
  if (!nn::frame_conv_applies(at::ones({1}))) GTEST_SKIP() << "this processor has no such kernel";
  const at::NoGradGuard no_grad;
  for (const int64_t kernel : {3, 5, 7, 9}) {
    at::manual_seed(kernel);
    HifiGanResBlock block(/*kind=*/2, 64, kernel, {2, 6});
    block.eval();
    const int64_t radius = block.radius(), begin = 2 * block.alignment();
    const at::Tensor x = at::randn({1, 1000, 64});
    at::Tensor whole = at::empty_like(x);
    block.infer_frames(x, 1, false, whole);
    for (int64_t count = 400; count < 400 + block.alignment(); ++count) {
      const at::Tensor part = x.slice(1, begin, begin + count).contiguous();
      at::Tensor got = at::empty_like(part);
      block.infer_frames(part, 1, false, got);
      ASSERT_TRUE(
          at::equal(got.slice(1, radius, count - radius), whole.slice(1, begin + radius, begin + count - radius)))
          << kernel << " " << count;
    }
  }
}

TEST(HifiGanGenerator, ChunksDoNotBeginTooEarly) {
  HifiGanGenerator::Options options = shape(1);
  options.resblock_dilation_sizes = {{7, 11, 13}, {1, 1021, 1019}};
  EXPECT_EQ(HifiGanGenerator(options).properties().at("alignment"), 1);
}

// As when training goes on between two validations.
TEST_P(GeneratorInference, FollowsItsWeights) {
  const at::Tensor spect = at::randn({1, 20, 9});
  const at::Tensor before = generator_->infer(spect, false);
  const at::Tensor rough = generator_->infer(spect, /*bfloat16=*/true);
  for (at::Tensor& parameter : generator_->parameters()) parameter.mul_(1.05);
  const at::Tensor after = generator_->infer(spect, false);
  EXPECT_FALSE(at::allclose(after, before, 1e-4, 1e-6));
  EXPECT_TRUE(at::allclose(after, generator_->generate(spect), 1e-4, 2e-6));
  for (auto& parameter : generator_->named_parameters())
    if (parameter.key().ends_with("bias")) parameter.value().add_(0.1);
  const at::Tensor shifted = generator_->infer(spect, false);
  EXPECT_FALSE(at::allclose(shifted, after, 1e-4, 1e-6));
  EXPECT_TRUE(at::allclose(shifted, generator_->generate(spect), 1e-4, 2e-6));
  // bfloat16's weights are a copy of their own.
  const auto error = [](const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); };
  EXPECT_LT(error(rough, before), 0.1 * error(shifted, before));
  EXPECT_LT(error(generator_->infer(spect, true), shifted), 0.1 * error(shifted, before));
}

INSTANTIATE_TEST_SUITE_P(Kinds, GeneratorInference, ::testing::Values(1, 2));

}  // namespace
}  // namespace fathom::tts
