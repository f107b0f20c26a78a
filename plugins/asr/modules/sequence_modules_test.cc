// RNNEncoder, LSTMDecoder, ConvASRDecoderReconstruction and SqueezeformerEncoder beside their recorded outputs (those
// are tests/conformance's): what they refuse, and that they train.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "plugins/asr/modules/conv_asr_reconstruction.h"
#include "plugins/asr/modules/lstm_decoder.h"
#include "plugins/asr/modules/rnn_encoder.h"
#include "plugins/asr/modules/squeezeformer_encoder.h"

namespace fathom::asr {
namespace {

template <typename Module>
std::shared_ptr<Module> module_of(const Json& config) {
  at::manual_seed(3);
  return std::make_shared<Module>(parse_options<typename Module::Options>(config, ""));
}
template <typename Module>
std::string refusal_of(Json config, const Json& changes) {
  for (const auto& [key, value] : changes.items()) config[key] = value;
  try {
    module_of<Module>(config);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
::testing::AssertionResult names(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << part << "' is not in: " << text;
}

// Every parameter gets a gradient in training.
template <typename Module>
void expect_gradients(Module& module, const char* output) {
  module.train();
  const Values out = module.forward(module.input_example());
  out.tensor(output).square().sum().backward();
  for (const auto& item : module.named_parameters())
    EXPECT_TRUE(item.value().grad().defined() && item.value().grad().abs().sum().template item<double>() > 0)
        << item.key();
}

const Json kRnn = {{"feat_in", 16}, {"n_layers", 2}, {"d_model", 12}, {"proj_size", 8}};
const Json kSqueezeformer = {
    {"feat_in", 16}, {"n_layers", 3}, {"d_model", 16}, {"n_heads", 2}, {"conv_kernel_size", 5}};

TEST(SequenceModules, Train) {
  for (const bool both : {true, false}) {
    Json config = kRnn;
    config["bidirectional"] = both;
    expect_gradients(*module_of<RNNEncoder>(config), "outputs");
  }
  Json squeezed = kSqueezeformer;
  squeezed["time_reduce_idx"] = 0;
  // The last layer's norm makes the sum of squares a constant but for its own weights.
  const auto encoder = module_of<SqueezeformerEncoder>(squeezed);
  encoder->train();
  (encoder->forward(encoder->input_example()).tensor("outputs") * at::randn({1, 16, 64})).sum().backward();
  for (const auto& item : encoder->named_parameters()) EXPECT_TRUE(item.value().grad().defined()) << item.key();
  expect_gradients(*module_of<LSTMDecoder>({{"feat_in", 6}, {"num_classes", 4}, {"lstm_hidden_size", 5}}), "logprobs");
}

TEST(SequenceModules, ReconstructionDoublesOrHalvesTheFrames) {
  const Json base = {{"feat_in", 6}, {"feat_out", 4}, {"feat_hidden", 5}, {"stride_layers", 2}, {"kernel_size", 3}};
  const auto frames = [&](const Json& changes) {
    Json config = base;
    for (const auto& [key, value] : changes.items()) config[key] = value;
    return module_of<ConvASRDecoderReconstruction>(config)
        ->forward({{"encoder_output", at::randn({1, 6, 20})}})
        .tensor("out");
  };
  EXPECT_EQ(frames({}).sizes().vec(), (std::vector<int64_t>{1, 80, 4}));
  EXPECT_EQ(frames({{"stride_transpose", false}}).size(1), 5);
  const at::Tensor log_probs = frames({{"apply_softmax", true}});
  EXPECT_TRUE(at::allclose(log_probs.exp().sum(-1), at::ones({1, 80})));
  EXPECT_TRUE(names(refusal_of<ConvASRDecoderReconstruction>(base, {{"kernel_size", 4}}), "kernel_size"));
}

TEST(SequenceModules, OptionsThatCannotBeAreTold) {
  EXPECT_TRUE(names(refusal_of<RNNEncoder>(kRnn, {{"rnn_type", "gru"}}), "with which NeMo 3.0 fails too"));
  EXPECT_TRUE(names(refusal_of<RNNEncoder>(kRnn, {{"rnn_type", "lstn"}}), "unknown rnn_type"));
  EXPECT_TRUE(names(refusal_of<RNNEncoder>(kRnn, {{"proj_size", 7}}), "an even number below 2 d_model = 24"));
  EXPECT_TRUE(names(refusal_of<RNNEncoder>(kRnn, {{"proj_size", 12}, {"bidirectional", false}}), "1 to d_model - 1"));
  EXPECT_TRUE(names(refusal_of<RNNEncoder>(kRnn, {{"dropout", 1.0}}), "dropout"));
  EXPECT_TRUE(names(refusal_of<LSTMDecoder>({{"feat_in", 4}, {"num_classes", 3}, {"lstm_hidden_size", 2}},
                                            {{"vocabulary", {"a", "b"}}}),
                    "num_classes is not the vocabulary's size"));
  const auto squeezed = [](const Json& changes) { return refusal_of<SqueezeformerEncoder>(kSqueezeformer, changes); };
  EXPECT_TRUE(names(squeezed({{"time_reduce_idx", 2}}), "0 <= time_reduce_idx < time_recovery_idx"));
  EXPECT_TRUE(names(squeezed({{"time_recovery_idx", 2}}), "nothing to recover from"));
  EXPECT_TRUE(names(squeezed({{"self_attention_model", "rel_pos_local_attn"}}), "no local attention"));
  EXPECT_TRUE(names(squeezed({{"conv_norm_type", "group_norm"}}), "batch_norm or layer_norm"));
  const auto encoder = module_of<SqueezeformerEncoder>(kSqueezeformer);
  try {
    encoder->forward({{"audio_signal", at::zeros({1, 8, 50})}, {"length", at::tensor({50}, at::kLong)}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(names(error.what(), "feat_in = 16"));
  }
}

}  // namespace
}  // namespace fathom::asr
