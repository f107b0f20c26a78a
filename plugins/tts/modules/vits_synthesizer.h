// VITS without its critics (Kim, Kong & Son 2021, arXiv:2106.06103): text to audio.
#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/modules/embedding.h>

#include <optional>

#include "fathom/module.h"
#include "plugins/tts/modules/vits_attention.h"
#include "plugins/tts/modules/vits_durations.h"
#include "plugins/tts/modules/vits_generator.h"

namespace fathom::tts {

struct VitsSynthesizerOptions : VitsGeneratorOptions {
  int64_t n_vocab = 0, spec_channels = 513, segment_size = 32, padding_idx = 0;  // given by the model
  int64_t inter_channels = 192, hidden_channels = 192, filter_channels = 768, n_heads = 2, n_layers = 6,
          kernel_size = 3, n_speakers = 0;
  double p_dropout = 0.1;
  bool use_sdp = true;
  static void describe(OptionSet<VitsSynthesizerOptions>& o);
};

// What is left to chance in training; undefined tensors are drawn from torch's generator.
struct VitsDraws {
  at::Tensor posterior;  // (B, inter, T), normal
  at::Tensor durations;  // (B, 2, S), normal
  at::Tensor segments;   // (B), from 0 to 1: where a segment begins
};

// The encoder of a recording's spectrogram. State: pre, enc, proj.
class PosteriorEncoder : public torch::nn::Module {
 public:
  PosteriorEncoder(int64_t in, int64_t out, int64_t hidden, int64_t condition_channels);
  struct Output {
    at::Tensor z, mean, log_scale, mask;
  };
  Output forward(const at::Tensor& spec, const at::Tensor& lengths, const at::Tensor& condition, at::Tensor noise);

 private:
  torch::nn::Conv1d pre_{nullptr}, proj_{nullptr};
  std::shared_ptr<GatedConvStack> convs_;
};

class VitsSynthesizer final : public NeuralModule, public HasProperties {
 public:
  static constexpr const char* kState = "enc_p, dec, enc_q, flow, dp, emb_g";
  using Options = VitsSynthesizerOptions;
  explicit VitsSynthesizer(const Options& options);

  // text (B,S), text_len, spec (B,F,T), spec_len, speakers (B) -> what Trained has, by NeMo's names.
  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  Json properties() const override { return {{"hop_length", generator_->hop()}}; }

  struct Trained {
    at::Tensor audio;          // (B, 1, segment · hop): of a part of each item
    at::Tensor duration_loss;  // (B), or (B) of squares; its sum is the loss
    at::Tensor durations;      // (B, S) frames of each token, found by search
    at::Tensor starts;         // (B) int64: the first frame of the part
    at::Tensor spec_mask, z, z_p, prior_mean, prior_log_scale, mean, log_scale;
  };
  // Throws Error (kBadData) for items with fewer frames than tokens, or than a segment.
  Trained learn(const at::Tensor& text, const at::Tensor& text_len, const at::Tensor& spec, const at::Tensor& spec_len,
                const at::Tensor& speakers, const VitsDraws& draws = {});

  struct Speech {
    double noise_scale = 1, length_scale = 1, noise_scale_w = 1;
    std::optional<int64_t> max_len;          // frames
    std::optional<at::Generator> generator;  // else torch's
  };
  struct Spoken {
    at::Tensor audio;      // (B, 1, frames · hop)
    at::Tensor durations;  // (B, S) int64, frames
    at::Tensor lengths;    // (B) int64, frames before max_len cuts
  };
  Spoken infer(const at::Tensor& text, const at::Tensor& text_len, const at::Tensor& speakers, const Speech& how);

  int64_t speakers() const { return options_.n_speakers > 1 ? options_.n_speakers : 0; }
  // Throws Error (kBadData) where an index of `values` is not from 0 to count - 1.
  static void check_indices(const at::Tensor& values, int64_t count, const char* what);

 private:
  at::Tensor condition_of(const at::Tensor& speakers, bool required);
  // Which token each frame belongs to: (B, 1, T) int64.
  static at::Tensor tokens_of_frames(const at::Tensor& durations, int64_t frames);
  at::Tensor search(const at::Tensor& z_p, const VitsTextEncoder::Output& prior, const at::Tensor& text_len,
                    const at::Tensor& spec_len) const;

  Options options_;
  std::shared_ptr<VitsTextEncoder> text_encoder_;
  std::shared_ptr<VitsGenerator> generator_;
  std::shared_ptr<PosteriorEncoder> posterior_;
  std::shared_ptr<CouplingBlock> flow_;
  std::shared_ptr<StochasticDurations> stochastic_;
  std::shared_ptr<PlainDurations> plain_;
  torch::nn::Embedding speaker_embedding_{nullptr};
};

}  // namespace fathom::tts
