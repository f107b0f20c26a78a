// The result of an item does not depend on the batch it is in: whatever its neighbours, and whatever fills the batch
// behind it, every encoder gives an item the frames and the numbers that it gets alone. Where NeMo's arithmetic lets
// the padding through, so that its recorded outputs could not be met otherwise, a test says so by name.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "plugins/asr/modules/conformer_encoder.h"
#include "plugins/asr/modules/conv_asr_encoder.h"
#include "plugins/asr/modules/lstm_decoder.h"
#include "plugins/asr/modules/rnn_encoder.h"
#include "plugins/asr/modules/squeezeformer_encoder.h"

namespace fathom::asr {
namespace {

constexpr int64_t kFeatures = 16;
constexpr double kTolerance = 1e-5;

template <typename Encoder>
std::shared_ptr<Encoder> make_encoder(Json config, const Json& changes) {
  for (const auto& [key, value] : changes.items()) config[key] = value;
  at::manual_seed(7);
  auto encoder = std::make_shared<Encoder>(parse_options<typename Encoder::Options>(config, ""));
  encoder->eval();
  const at::NoGradGuard no_grad;
  // Statistics and biases other than those of a new module, so that padding would show.
  for (const auto& item : encoder->named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().normal_(0, 0.3);
    if (item.key().ends_with("running_var")) item.value().uniform_(0.5, 2);
  }
  for (const auto& item : encoder->named_parameters()) {
    if (item.key().ends_with("bias")) item.value().normal_(0, 0.3);
  }
  return encoder;
}

struct Difference {
  bool lengths = false;  // another number of frames
  double most = 0;       // of a number
};

// Of every item of batches of several widths, beside itself alone. What fills an item's row is noise.
template <typename Encoder>
Difference difference_to_alone(Encoder& encoder, std::vector<int64_t> widths = {75, 80, 97}) {
  const at::NoGradGuard no_grad;
  Difference out;
  for (const int64_t width : widths) {
    const std::vector<int64_t> lengths = {53, 75, 31, 48};
    const at::Tensor x = at::randn({static_cast<int64_t>(lengths.size()), kFeatures, width});
    const auto run = [&](const at::Tensor& signal, const std::vector<int64_t>& valid) {
      return encoder.forward({{"audio_signal", signal}, {"length", at::tensor(valid, at::kLong)}});
    };
    const Values together = run(x, lengths);
    for (int64_t i = 0; i < x.size(0); ++i) {
      const int64_t length = lengths[static_cast<size_t>(i)];
      const Values alone = run(x.slice(0, i, i + 1).slice(2, 0, length), {length});
      const int64_t frames = alone.tensor("encoded_lengths").template item<int64_t>();
      if (together.tensor("encoded_lengths")[i].template item<int64_t>() != frames) {
        out.lengths = true;
        continue;
      }
      const at::Tensor got = together.tensor("outputs")[i].slice(1, 0, frames);
      out.most = std::max(out.most, (got - alone.tensor("outputs")[0].slice(1, 0, frames)).abs().max().item<double>());
    }
  }
  return out;
}
::testing::AssertionResult does_not_depend(const Difference& difference) {
  if (difference.lengths) return ::testing::AssertionFailure() << "an item has another number of frames";
  if (difference.most <= kTolerance) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "an item's numbers differ by " << difference.most;
}

Json conformer() {
  return {{"feat_in", kFeatures}, {"n_layers", 3}, {"d_model", 16}, {"n_heads", 2}, {"conv_kernel_size", 5}};
}

TEST(BatchInvariance, ConformerWithEverySubsamplingAndReduction) {
  for (const Json& changes :
       std::vector<Json>{{{"subsampling", "striding"}},
                         {{"subsampling", "striding"}, {"subsampling_factor", 8}},
                         {{"subsampling", "dw_striding"}, {"subsampling_factor", 8}},
                         {{"subsampling", "dw_striding"}, {"subsampling_conv_chunking_factor", 2}},
                         {{"subsampling", nullptr}},
                         {{"causal_downsampling", true}},
                         {{"subsampling", "dw_striding"}, {"causal_downsampling", true}},
                         {{"reduction", "pooling"}, {"reduction_position", 1}, {"reduction_factor", 2}},
                         {{"reduction", "striding"}, {"reduction_position", 1}, {"reduction_factor", 2}},
                         {{"reduction", "striding"}, {"reduction_position", -1}, {"reduction_factor", 4}},
                         {{"feat_out", 12}, {"xscaling", false}}}) {
    const auto encoder = make_encoder<ConformerEncoder>(conformer(), changes);
    EXPECT_TRUE(does_not_depend(difference_to_alone(*encoder))) << json_text(changes);
  }
}

TEST(BatchInvariance, ConformerWithEveryAttention) {
  for (const Json& changes : std::vector<Json>{
           {{"self_attention_model", "rel_pos"}},
           {{"self_attention_model", "abs_pos"}},
           {{"untie_biases", false}},
           {{"use_bias", false}},
           {{"use_pytorch_sdpa", true}},
           {{"self_attention_model", "abs_pos"}, {"use_pytorch_sdpa", true}},
           {{"att_context_size", {4, 2}}},
           {{"att_context_size", {4, 1}}, {"att_context_style", "chunked_limited"}},
           {{"att_context_size", {-1, 3}}, {"att_context_style", "chunked_limited"}},
           {{"att_context_size", {-1, -1, -1}}, {"att_context_style", "chunked_limited_with_rc"}},
           {{"att_context_size", {{4, 1}, {8, 3}}}, {"att_context_style", "chunked_limited"}},
           {{"self_attention_model", "rel_pos_local_attn"}, {"att_context_size", {3, 3}}},
           {{"self_attention_model", "rel_pos_local_attn"}, {"att_context_size", {3, 2}}, {"global_tokens", 1}},
           {{"self_attention_model", "rel_pos_local_attn"},
            {"att_context_size", {3, 3}},
            {"global_tokens", 2},
            {"global_tokens_spacing", 2},
            {"global_attn_separate", true}}}) {
    const auto encoder = make_encoder<ConformerEncoder>(conformer(), changes);
    EXPECT_TRUE(does_not_depend(difference_to_alone(*encoder))) << json_text(changes);
  }
}

TEST(BatchInvariance, ConformerWithEveryConvolution) {
  for (const Json& changes : std::vector<Json>{{{"conv_norm_type", "batch_norm"}},
                                               {{"conv_norm_type", "layer_norm"}},
                                               {{"conv_norm_type", "fused_batch_norm"}},
                                               {{"conv_context_size", "causal"}},
                                               {{"conv_context_size", {3, 1}}},
                                               {{"stochastic_depth_drop_prob", 0.5}}}) {
    const auto encoder = make_encoder<ConformerEncoder>(conformer(), changes);
    EXPECT_TRUE(does_not_depend(difference_to_alone(*encoder))) << json_text(changes);
  }
}

// Their statistics are taken over all frames of a batch's width, padding included, and NeMo's outputs are recorded so.
TEST(BatchInvariance, NemosConformerNormsOverTimeSeeThePadding) {
  for (const char* norm : {"group_norm2", "instance_norm"}) {
    const auto encoder = make_encoder<ConformerEncoder>(conformer(), {{"conv_norm_type", norm}});
    EXPECT_GT(difference_to_alone(*encoder).most, kTolerance) << norm;
  }
}

// Before 2.5 NeMo's subsampling saw what the layer before left beyond an item's length; files that old ask for that.
TEST(BatchInvariance, SubsamplingOfNemoBefore25SeesThePadding) {
  const auto conformers = make_encoder<ConformerEncoder>(conformer(), {{"subsampling_conv_masking", false}});
  EXPECT_GT(difference_to_alone(*conformers).most, kTolerance);
}

// The frames that fill up the batch count for every item, whose number of frames then depends on the batch's width.
TEST(BatchInvariance, NemosStackingCountsFramesByTheBatch) {
  for (const char* kind : {"stacking", "stacking_norm"}) {
    const auto encoder = make_encoder<ConformerEncoder>(conformer(), {{"subsampling", kind}});
    EXPECT_TRUE(difference_to_alone(*encoder, {75}).lengths) << kind;
  }
}

TEST(BatchInvariance, Squeezeformer) {
  const Json base = {{"feat_in", kFeatures}, {"n_layers", 4}, {"d_model", 16}, {"n_heads", 2}, {"conv_kernel_size", 5}};
  for (const Json& changes : std::vector<Json>{{{"time_reduce_idx", nullptr}},
                                               {{"time_reduce_idx", 1}},
                                               {{"time_reduce_idx", 1}, {"time_recovery_idx", 2}},
                                               {{"time_reduce_idx", 1}, {"att_context_size", {4, 4}}},
                                               {{"time_reduce_idx", 0}, {"self_attention_model", "abs_pos"}},
                                               {{"time_reduce_idx", 1}, {"conv_norm_type", "layer_norm"}},
                                               {{"subsampling", "striding"}, {"adaptive_scale", false}}}) {
    const auto encoder = make_encoder<SqueezeformerEncoder>(base, changes);
    EXPECT_TRUE(does_not_depend(difference_to_alone(*encoder))) << json_text(changes);
  }
}

TEST(BatchInvariance, RNNEncoder) {
  const Json base = {{"feat_in", kFeatures}, {"n_layers", 2}, {"d_model", 16}, {"proj_size", 8}};
  for (const Json& changes : std::vector<Json>{{{"bidirectional", false}},
                                               {{"bidirectional", true}},
                                               {{"bidirectional", true}, {"subsampling", nullptr}},
                                               {{"subsampling", "dw_striding"}, {"subsampling_factor", 2}}}) {
    const auto encoder = make_encoder<RNNEncoder>(base, changes);
    EXPECT_TRUE(does_not_depend(difference_to_alone(*encoder))) << json_text(changes);
  }
}

Json jasper_block(const Json& changes = Json::object()) {
  Json block = {{"filters", 16},   {"repeat", 2},  {"kernel", {5}},    {"stride", {1}},
                {"dilation", {1}}, {"dropout", 0}, {"residual", true}, {"separable", true}};
  for (const auto& [key, value] : changes.items()) block[key] = value;
  return block;
}

TEST(BatchInvariance, ConvASREncoder) {
  const Json base = {{"feat_in", kFeatures}, {"activation", "relu"}, {"conv_mask", true}};
  for (const Json& blocks : std::vector<Json>{
           {jasper_block({{"stride", {2}}, {"residual", false}}), jasper_block()},
           {jasper_block({{"separable", false}}), jasper_block({{"separable", false}, {"residual_dense", true}})},
           {jasper_block({{"dilation", {2}}}), jasper_block({{"residual_mode", "max"}})},
           {jasper_block({{"se", true}, {"se_reduction_ratio", 4}}), jasper_block()},
           {jasper_block({{"stride", {2}}, {"stride_last", true}, {"residual", false}}), jasper_block()}}) {
    const auto encoder = make_encoder<ConvASREncoder>(base, {{"jasper", blocks}});
    EXPECT_TRUE(does_not_depend(difference_to_alone(*encoder))) << json_text(blocks);
  }
}

// conv_mask: false is NeMo's way to say that convolutions see what lies behind an item.
TEST(BatchInvariance, ConvASREncoderWithoutMasksSeesThePadding) {
  const auto encoder = make_encoder<ConvASREncoder>({{"feat_in", kFeatures}, {"activation", "relu"}},
                                                    {{"conv_mask", false}, {"jasper", {jasper_block()}}});
  EXPECT_GT(difference_to_alone(*encoder).most, kTolerance);
}

// It is told no lengths: its backward LSTM begins in the padding, and NeMo's outputs are recorded so.
TEST(BatchInvariance, NemosBidirectionalLSTMDecoderSeesThePadding) {
  const at::NoGradGuard no_grad;
  const auto most = [](bool bidirectional) {
    const auto decoder = make_encoder<LSTMDecoder>(
        {{"feat_in", kFeatures}, {"num_classes", 5}, {"lstm_hidden_size", 8}}, {{"bidirectional", bidirectional}});
    const at::Tensor x = at::randn({1, kFeatures, 30});
    const at::Tensor padded = decoder->forward({{"encoder_output", x}}).tensor("logprobs").slice(1, 0, 20);
    const at::Tensor alone = decoder->forward({{"encoder_output", x.slice(2, 0, 20)}}).tensor("logprobs");
    return (padded - alone).abs().max().item<double>();
  };
  EXPECT_LE(most(false), kTolerance);
  EXPECT_GT(most(true), kTolerance);
}

}  // namespace
}  // namespace fathom::asr
