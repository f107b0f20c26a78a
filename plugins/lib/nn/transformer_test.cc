#include "plugins/lib/nn/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/container/sequential.h>

#include "fathom/error.h"

namespace fathom::nn {
namespace {

TransformerOptions small_transformer(bool pre_norm) {
  TransformerOptions o;
  o.layers = 2;
  o.width = 12;
  o.inner_width = 20;
  o.heads = 3;
  o.pre_norm = pre_norm;
  return o;
}

float distance(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<float>(); }

TEST(Transformer, ADecoderGoesOnWhereItStopped) {
  at::manual_seed(1);
  for (const bool pre_norm : {true, false}) {
    TransformerDecoderStack decoder(small_transformer(pre_norm));
    decoder.eval();
    const at::Tensor x = at::randn({2, 6, 12}), encoded = at::randn({2, 5, 12});
    const at::Tensor valid = at::tensor({1, 1, 1, 1, 1, 1, 1, 1, 0, 0}, at::kLong).view({2, 5}).flip(0);
    auto memory = decoder.start();
    const at::Tensor whole = decoder.forward(x, {}, encoded, valid, memory);
    auto steps = decoder.start();
    std::vector<at::Tensor> parts = {decoder.forward(x.slice(1, 0, 3), {}, encoded, valid, steps)};
    parts.push_back(decoder.forward(x.slice(1, 3, 5), {}, encoded, valid, steps));  // two at once
    parts.push_back(decoder.forward(x.slice(1, 5, 6), {}, encoded, valid, steps));
    EXPECT_LT(distance(at::cat(parts, 1), whole), 1e-5) << pre_norm;
    EXPECT_EQ(steps.front().self.keys.size(2), 6);
  }
}

TEST(Transformer, WhatIsHiddenChangesNothing) {
  at::manual_seed(2);
  TransformerDecoderStack decoder(small_transformer(true));
  decoder.eval();
  const at::Tensor x = at::randn({1, 4, 12}), encoded = at::randn({1, 5, 12});
  const at::Tensor heard = at::tensor({1, 1, 1, 0, 0}, at::kLong).view({1, 5});
  auto memory = decoder.start(), other = decoder.start(), third = decoder.start();
  const at::Tensor out = decoder.forward(x, {}, encoded, heard, memory);
  EXPECT_LT(distance(decoder.forward(x, {}, encoded.slice(1, 0, 3), heard.slice(1, 0, 3), other), out), 1e-6);
  // Later tokens are not seen by earlier ones, and padding by none.
  const at::Tensor tokens = at::tensor({1, 1, 1, 0}, at::kLong).view({1, 4});
  at::Tensor changed = x.clone();
  changed.select(1, 3).fill_(7);
  const at::Tensor masked = decoder.forward(changed, tokens, encoded, heard, third);
  EXPECT_LT(distance(masked.slice(1, 0, 3), out.slice(1, 0, 3)), 1e-6);
}

TEST(Transformer, AnEncoderSeesTheFutureUnlessItIsMasked) {
  at::manual_seed(3);
  for (const bool masks : {true, false}) {
    TransformerOptions options = small_transformer(true);
    options.mask_future = masks;
    torch::nn::Module owner;
    TransformerEncoderStack encoder(options, owner);
    owner.eval();
    const at::Tensor x = at::randn({1, 4, 12}), valid = at::ones({1, 4});
    at::Tensor changed = x.clone();
    changed.select(1, 3).fill_(7);
    const float moved = distance(encoder.forward(x, valid).select(1, 0), encoder.forward(changed, valid).select(1, 0));
    EXPECT_EQ(moved < 1e-6, masks) << moved;
  }
}

TEST(Transformer, SaysHowFarItsPositionsReach) {
  for (const bool learned : {true, false}) {
    TransformerEmbeddingOptions options;
    options.vocabulary = 5;
    options.width = 4;
    options.longest = 3;
    options.learn_positions = learned;
    TransformerEmbedding embedding(options);
    const at::Tensor ids = at::ones({1, 3}, at::kLong);
    EXPECT_EQ(embedding.forward(ids, 0).size(1), 3);
    try {
      embedding.forward(ids, 1);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), "max_sequence_length");
      EXPECT_EQ(error.seen(), "4 tokens");
    }
  }
}

TEST(Transformer, NewWeightsAreThoseOfItsKind) {
  at::manual_seed(4);
  torch::nn::Sequential all(torch::nn::Linear(400, 400), torch::nn::Embedding(400, 400),
                            torch::nn::LayerNorm(torch::nn::LayerNormOptions({8})));
  init_transformer(*all, 0.5, /*glorot=*/false);
  for (const auto& weight : {all->ptr(0)->named_parameters()["weight"], all->ptr(1)->named_parameters()["weight"]})
    EXPECT_NEAR(weight.std().item<float>(), 0.5, 0.01);
  EXPECT_EQ(all->ptr(0)->named_parameters()["bias"].abs().max().item<float>(), 0);
  init_transformer(*all, 0.5, /*glorot=*/true);
  EXPECT_LE(all->ptr(0)->named_parameters()["weight"].abs().max().item<float>(), std::sqrt(6.0 / 800));
}

}  // namespace
}  // namespace fathom::nn
