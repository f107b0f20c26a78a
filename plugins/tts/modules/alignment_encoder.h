// One TTS Alignment To Rule Them All (Badlani et al. 2021, arXiv:2108.10447): which frame of a spectrogram belongs to
// which token.
#pragma once

#include <torch/nn/modules/conv.h>

#include "fathom/module.h"
#include "plugins/tts/modules/conditioning.h"

namespace fathom::tts {

// queries (B, n_mel_channels, T), keys (B, n_text_channels, S), mask (B, S, 1) true where there is no token, attn_prior
// (B, T, S) probabilities -> attn (B, 1, T, S), which sums to 1 over tokens, and attn_logprob (B, 1, T, S), unmasked.
// Distances are computed in float32 at least: half types overflow. State: key_proj.{0, 2}.conv, query_proj.{0, 2,
// 4}.conv.
class AlignmentEncoder final : public NeuralModule {
 public:
  static constexpr const char* kState = "key_proj.{0, 2}.conv, query_proj.{0, 2, 4}.conv";
  struct Options {
    int64_t n_mel_channels = 80, n_text_channels = 512, n_att_channels = 80;
    double temperature = 0.0005;
    std::vector<std::string> condition_types;
    std::string dist_type = "l2";
    static void describe(OptionSet<Options>& o);
  };
  explicit AlignmentEncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  at::Tensor distance(const at::Tensor& queries, const at::Tensor& keys) const;  // (B, T, S)

  Options options_;
  std::shared_ptr<ConditionalInput> condition_;
  std::vector<torch::nn::Conv1d> key_, query_;
};

// The path of each item of attn (B, 1, T, S), by in_lens tokens and out_lens frames (B): hard attention (B, 1, T, S) of
// zeros and ones in attn's type, and durations (B, S) likewise. No gradients. Throws Error(kBadData) for an item with
// fewer frames than tokens, or with none.
std::pair<at::Tensor, at::Tensor> binarize_attention(const at::Tensor& attn, const at::Tensor& in_lens,
                                                     const at::Tensor& out_lens);

}  // namespace fathom::tts
