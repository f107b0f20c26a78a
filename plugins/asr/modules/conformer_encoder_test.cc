// What the encoder promises beside NeMo's recorded numbers (those are tests/conformance's).
#include "plugins/asr/modules/conformer_encoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace fathom::asr {
namespace {

Json small() {
  return {{"feat_in", 16},         {"n_layers", 2},      {"d_model", 16},     {"n_heads", 2},
          {"conv_kernel_size", 5}, {"dropout_emb", 0.1}, {"dropout_att", 0.1}};
}
Json with(const Json& changes) {
  Json out = small();
  for (const auto& [key, value] : changes.items()) out[key] = value;
  return out;
}
std::shared_ptr<ConformerEncoder> make(const Json& config, bool train = false) {
  at::manual_seed(7);
  auto encoder = std::make_shared<ConformerEncoder>(parse_options<ConformerEncoder::Options>(config, ""));
  encoder->train(train);
  return encoder;
}
Values run(ConformerEncoder& encoder, const at::Tensor& x, const std::vector<int64_t>& lengths) {
  return encoder.forward({{"audio_signal", x}, {"length", at::tensor(lengths, at::kLong)}});
}
std::string error_of(const Json& config) {
  try {
    make(config);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ConformerEncoder, AnItemDoesNotDependOnItsBatch) {
  const at::NoGradGuard no_grad;
  for (const Json& changes :
       std::vector<Json>{{{"subsampling", "striding"}},
                         {{"subsampling", "dw_striding"}, {"subsampling_factor", 8}},
                         {{"causal_downsampling", true}},
                         {{"self_attention_model", "abs_pos"}},
                         {{"self_attention_model", "rel_pos_local_attn"}, {"att_context_size", {3, 2}}},
                         {{"att_context_size", {4, 1}}, {"att_context_style", "chunked_limited"}},
                         {{"use_pytorch_sdpa", true}}}) {
    const auto encoder = make(with(changes));
    const at::Tensor x = at::randn({2, 16, 75});
    const Values both = run(*encoder, x, {75, 53}), alone = run(*encoder, x.slice(0, 1).slice(2, 0, 53), {53});
    const int64_t frames = alone.tensor("encoded_lengths").item<int64_t>();
    EXPECT_EQ(both.tensor("encoded_lengths")[1].item<int64_t>(), frames);
    EXPECT_TRUE(at::allclose(both.tensor("outputs")[1].slice(1, 0, frames),
                             alone.tensor("outputs")[0].slice(1, 0, frames), 1e-4, 1e-5))
        << json_text(changes);
  }
}

// What cache-aware training is for: chunk by chunk the same as all at once.
void stream(const Json& changes) {
  const at::NoGradGuard no_grad;
  const auto encoder = make(with(changes));
  ASSERT_TRUE(encoder->streaming());
  const StreamingConfig& c = *encoder->streaming();
  const at::Tensor x = at::randn({2, 16, 120});
  const at::Tensor offline = run(*encoder, x, {120, 120}).tensor("outputs");

  at::Tensor channel = at::zeros({2, 2, c.last_channel_cache_size, 16}), time = at::zeros({2, 2, 16, 4});
  at::Tensor remembered = at::zeros({2}, at::kLong);
  std::vector<at::Tensor> pieces;
  for (int64_t start = 0, step = 0; start < 120; ++step) {
    const int64_t size = std::min(c.chunk_size[step == 0 ? 0 : 1], 120 - start);
    const int64_t before = step == 0 ? 0 : std::min(start, c.pre_encode_cache_size[1]);
    const at::Tensor chunk = x.slice(2, start - before, start + size);
    Values in = {{"audio_signal", chunk},
                 {"length", at::full({2}, chunk.size(2), at::kLong)},
                 {"cache_last_channel", channel},
                 {"cache_last_time", time},
                 {"cache_last_channel_len", remembered}};
    if (step == 0) in.add("drop_extra_pre_encoded", 0);
    const Values out = encoder->forward(in);
    channel = out.tensor("cache_last_channel_next");
    time = out.tensor("cache_last_time_next");
    remembered = out.tensor("cache_last_channel_next_len");
    pieces.push_back(out.tensor("outputs"));
    start += c.shift_size[step == 0 ? 0 : 1];
  }
  const at::Tensor streamed = at::cat(pieces, 2);
  ASSERT_EQ(streamed.sizes(), offline.sizes());
  EXPECT_TRUE(at::allclose(streamed, offline, 1e-4, 1e-5)) << json_text(changes);
  EXPECT_EQ(remembered[0].item<int64_t>(), c.last_channel_cache_size);
}

TEST(ConformerEncoder, AStreamGivesWhatTheWholeInputGives) {
  for (const char* kind : {"striding", "dw_striding"}) {
    for (const char* norm : {"batch_norm", "layer_norm"}) {
      stream({{"subsampling", kind},
              {"causal_downsampling", true},
              {"conv_context_size", "causal"},
              {"conv_norm_type", norm},
              {"att_context_style", "chunked_limited"},
              {"att_context_size", {8, 3}}});
    }
  }
  // Chunks of two frames.
  stream({{"causal_downsampling", true},
          {"conv_context_size", "causal"},
          {"att_context_style", "chunked_limited"},
          {"att_context_size", {6, 1}}});
}

TEST(ConformerEncoder, WhatCannotStreamSaysSo) {
  const auto encoder = make(small());
  EXPECT_FALSE(encoder->streaming());
  EXPECT_FALSE(encoder->properties().contains("streaming"));
  EXPECT_THROW(encoder->setup_streaming({}), Error);
  EXPECT_THROW(encoder->forward({{"audio_signal", at::zeros({1, 16, 20})},
                                 {"length", at::full({1}, 20, at::kLong)},
                                 {"cache_last_channel", at::zeros({2, 1, 4, 16})},
                                 {"cache_last_time", at::zeros({2, 1, 16, 4})},
                                 {"cache_last_channel_len", at::zeros({1}, at::kLong)}}),
               Error);
}

TEST(ConformerEncoder, StreamingSizesAreNemos) {
  // FastConformer's cache-aware models: [70, 13] and [70, 1] at factor 8.
  const auto sizes = [](int64_t right) {
    return make(with({{"subsampling", "dw_striding"},
                      {"subsampling_factor", 8},
                      {"causal_downsampling", true},
                      {"conv_context_size", "causal"},
                      {"att_context_style", "chunked_limited"},
                      {"att_context_size", {70, right}}}))
        ->properties()["streaming"];
  };
  EXPECT_EQ(sizes(13)["chunk_size"], (Json{105, 112}));
  EXPECT_EQ(sizes(13)["valid_out_len"], 14);
  EXPECT_EQ(sizes(1)["chunk_size"], (Json{9, 16}));
  EXPECT_EQ(sizes(1)["shift_size"], (Json{9, 16}));
  EXPECT_EQ(sizes(1)["pre_encode_cache_size"], (Json{0, 9}));
  EXPECT_EQ(sizes(1)["drop_extra_pre_encoded"], 2);
  EXPECT_EQ(sizes(1)["last_channel_cache_size"], 70);
}

TEST(ConformerEncoder, Properties) {
  const Json plain = make(with({{"feat_out", 24}}))->properties();
  EXPECT_EQ(plain["feat_out"], 24);
  EXPECT_EQ(plain["subsampling_factor"], 4);
  const Json reduced =
      make(with({{"reduction", "pooling"}, {"reduction_position", 0}, {"reduction_factor", 2}}))->properties();
  EXPECT_EQ(reduced["subsampling_factor"], 8);
  EXPECT_EQ(make(with({{"subsampling", nullptr}}))->properties()["subsampling_factor"], 1);
}

TEST(ConformerEncoder, TrainingDrawsDropoutContextsAndLayers) {
  const at::Tensor x = at::randn({1, 16, 64});
  const Json still = {{"dropout", 0.0},
                      {"dropout_pre_encoder", 0.0},
                      {"dropout_emb", 0.0},
                      {"dropout_att", 0.0},
                      {"conv_norm_type", "layer_norm"}};
  const auto differs = [&](const Json& changes) {
    Json config = with(still);
    for (const auto& [key, value] : changes.items()) config[key] = value;
    const auto encoder = make(config, true);
    const at::Tensor first = run(*encoder, x, {64}).tensor("outputs").detach();
    for (int i = 0; i < 12; ++i) {
      if (!at::allclose(first, run(*encoder, x, {64}).tensor("outputs"))) return true;
    }
    return false;
  };
  EXPECT_FALSE(differs(Json::object()));
  for (const char* key : {"dropout", "dropout_pre_encoder", "dropout_emb", "dropout_att"})
    EXPECT_TRUE(differs({{key, 0.3}})) << key;
  EXPECT_TRUE(differs({{"att_context_size", {{2, 1}, {4, 0}}}}));
  EXPECT_FALSE(differs({{"att_context_size", {{2, 1}, {4, 0}}}, {"att_context_probs", {1.0, 0.0}}}));
  EXPECT_TRUE(differs({{"stochastic_depth_drop_prob", 0.5}, {"stochastic_depth_mode", "uniform"}}));
}

TEST(ConformerEncoder, LayersLeftOut) {
  EXPECT_EQ(stochastic_depth(5, 0.5, "linear", 1), (std::vector<double>{0, 0.125, 0.25, 0.375, 0.5}));
  EXPECT_EQ(stochastic_depth(3, 0.5, "uniform", 2), (std::vector<double>{0, 0, 0.5}));
  EXPECT_THROW(stochastic_depth(3, 1.0, "uniform", 1), Error);
  EXPECT_THROW(stochastic_depth(3, 0.1, "square", 1), Error);
}

TEST(ConformerEncoder, RefusalsNameTheOption) {
  const auto expect = [](const Json& changes, const std::string& words) {
    EXPECT_NE(error_of(with(changes)).find(words), std::string::npos)
        << json_text(changes) << ": " << error_of(with(changes));
  };
  for (const char* kind : {"vggnet", "striding_conv1d", "dw_striding_conv1d", "plain"})
    expect({{"subsampling", kind}}, kind);
  expect({{"subsampling_factor", 6}}, "subsampling_factor");
  expect({{"subsampling_conv_chunking_factor", 3}}, "subsampling_conv_chunking_factor");
  expect({{"self_attention_model", "rope"}}, "rope");
  expect({{"self_attention_model", "rel_pos_local_attn"}}, "att_context_size");
  expect({{"self_attention_model", "rel_pos_local_attn"}, {"att_context_size", {100'000, 0}}}, "1 to 8192");
  expect({{"att_context_size", {int64_t{1} << 62, 0}}}, "att_context_size");
  expect({{"n_heads", 3}}, "3 heads");
  expect({{"conv_kernel_size", 4}}, "conv_kernel_size");
  expect({{"conv_context_size", {1, 1}}}, "conv_context_size");
  expect({{"conv_norm_type", "group_norm5"}}, "conv_norm_type");
  expect({{"att_context_size", {3, 1}}, {"att_context_style", "chunked_limited"}}, "att_context_size");
  expect({{"att_context_size", {{4, 1}, {2, 1}}}, {"att_context_probs", {0.3, 0.3}}}, "att_context_probs");
  expect({{"att_context_style", "wide"}}, "att_context_style");
  expect({{"reduction", "pooling"}, {"reduction_factor", 2}}, "reduction_position");
  expect({{"use_pytorch_sdpa_backends", {"MATH"}}}, "use_pytorch_sdpa_backends");
  expect({{"att_chunk_context_size", {{70}, {1}, {0}}}}, "att_chunk_context_size");
  expect({{"conv_context_style", "dcc"}}, "conv_context_style");
  expect({{"n_layers", 0}}, "n_layers");
  expect({{"dropout", 1.5}}, "dropout");
}

TEST(ConformerEncoder, UnifiedModelsRunButDoNotTrain) {
  const Json config = with({{"att_context_style", "chunked_limited_with_rc"},
                            {"att_chunk_context_size", {{70}, {1, 2}, {0, 1}}},
                            {"conv_context_style", "dcc"}});
  const at::Tensor x = at::randn({1, 16, 64});
  const auto encoder = make(config);
  const at::Tensor everything = run(*encoder, x, {64}).tensor("outputs");
  EXPECT_TRUE(at::allclose(everything, run(*make(small()), x, {64}).tensor("outputs")));
  encoder->set_default_context({nn::AttentionContext::Style::kChunkedWithRight, 2, 1, 2});
  EXPECT_FALSE(at::allclose(everything, run(*encoder, x, {64}).tensor("outputs")));
  EXPECT_THROW(run(*make(config, true), x, {64}), Error);
}

TEST(ConformerEncoder, OtherTypesAndModes) {
  const at::Tensor x = at::randn({1, 16, 64});
  for (const auto type : {at::kBFloat16, at::kDouble}) {
    const auto encoder = make(small());
    encoder->to(type);
    EXPECT_EQ(run(*encoder, x.to(type), {64}).tensor("outputs").scalar_type(), type);
  }
  // What inference mode made does not hinder training afterwards.
  const auto encoder = make(small());
  {
    const c10::InferenceMode inference;
    run(*encoder, x, {64});
  }
  encoder->train();
  run(*encoder, x, {64}).tensor("outputs").sum().backward();
  EXPECT_TRUE(encoder->named_parameters()["layers.0.self_attn.linear_pos.weight"].grad().defined());
  EXPECT_THROW(run(*encoder, at::randn({1, 15, 64}), {64}), Error);
  EXPECT_THROW(run(*encoder, at::randn({1, 16, 0}), {0}), Error);
}

TEST(ConformerEncoder, EncodedInputPassesBy) {
  const at::NoGradGuard no_grad;
  const auto encoder = make(small());
  const at::Tensor x = at::randn({1, 9, 16});
  const Values out = encoder->forward(
      {{"audio_signal", x}, {"length", at::full({1}, 9, at::kLong)}, {"bypass_pre_encode", Value(true)}});
  EXPECT_EQ(out.tensor("outputs").sizes(), (at::IntArrayRef{1, 16, 9}));
  EXPECT_EQ(out.tensor("encoded_lengths").item<int64_t>(), 9);
}

TEST(ConformerEncoder, PartsOfABatchAreTheBatch) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({5, 16, 40});
  const std::vector<int64_t> lengths = {40, 33, 21, 8, 1};
  const Values whole = run(*make(small()), x, lengths);
  const Values parts = run(*make(with({{"subsampling_conv_chunking_factor", 2}})), x, lengths);
  EXPECT_TRUE(at::allclose(whole.tensor("outputs"), parts.tensor("outputs"), 1e-4, 1e-5));
  EXPECT_TRUE(at::equal(whole.tensor("encoded_lengths"), parts.tensor("encoded_lengths")));
}

}  // namespace
}  // namespace fathom::asr
