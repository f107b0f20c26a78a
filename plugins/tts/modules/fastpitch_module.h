// FastPitch (Lancucki 2020, arXiv:2006.06873) without its front-end: tokens to a spectrogram, with the pitch and the
// length of every token between the two.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include "fathom/module.h"

namespace fathom::tts {

struct FastPitchParts {
  ModuleHandle encoder, decoder, duration_predictor, pitch_predictor;
  ModuleHandle energy_predictor, aligner, speaker_encoder;  // each may be missing
  int64_t n_speakers = 0, symbols_embedding_dim = 384, pitch_embedding_kernel_size = 3,
          energy_embedding_kernel_size = 0, n_mel_channels = 80;
  double min_token_duration = 0, max_token_duration = 75;
  bool use_log_energy = true;
};

struct FastPitchInput {
  at::Tensor text;           // (B, S) tokens
  at::Tensor durations;      // (B, S), where no alignment is learned
  at::Tensor pitch, energy;  // (B, T) of frames; or pitch (B, S) of tokens
  at::Tensor speaker;        // (B)
  double pace = 1;
  at::Tensor spec;                  // (B, D, T): learns the alignment
  at::Tensor attn_prior;            // (B, T, S)
  at::Tensor mel_lens, input_lens;  // (B)
};
struct FastPitchOutput {
  at::Tensor spect, num_frames, durs_predicted, log_durs_predicted, pitch_predicted;
  at::Tensor attn_soft, attn_logprob, attn_hard, attn_hard_dur;  // with spec
  at::Tensor pitch;                                              // of tokens
  at::Tensor energy_predicted, energy_target;
};
// What speaking may change beside the pace.
struct FastPitchProsody {
  at::Tensor speaker;  // (B)
  double pace = 1;
  // What the predicted pitch, which is (Hz - pitch_mean) / pitch_std, is multiplied with in Hz.
  double pitch_ratio = 1, pitch_mean = 0, pitch_std = 1;
};

// State: encoder.*, decoder.*, duration_predictor.*, pitch_predictor.*, energy_predictor.*, aligner.*,
// speaker_encoder.*, speaker_emb, pitch_emb, energy_emb, pitch_mean, pitch_std, proj.
class FastPitchModule : public torch::nn::Module {
 public:
  explicit FastPitchModule(FastPitchParts parts);

  FastPitchOutput forward(const FastPitchInput& in);
  FastPitchOutput infer(const at::Tensor& text, const FastPitchProsody& prosody);
  bool learns_alignment() const { return static_cast<bool>(parts_.aligner); }
  bool has_speakers() const { return speaker_emb_ || parts_.speaker_encoder; }
  bool has_energy() const { return static_cast<bool>(parts_.energy_predictor); }
  int64_t speakers() const { return speaker_emb_ ? speaker_emb_->weight.size(0) : 0; }

 private:
  at::Tensor embedding_of(const at::Tensor& speaker) const;  // (B, 1, D) or undefined
  at::Tensor durations_of(const at::Tensor& log_durations, const at::Tensor& mask) const;
  at::Tensor call(const ModuleHandle& predictor, const at::Tensor& encoded, const at::Tensor& mask,
                  const at::Tensor& conditioning) const;
  void decode(const at::Tensor& encoded, const at::Tensor& durations, double pace, const at::Tensor& conditioning,
              FastPitchOutput& out);

  FastPitchParts parts_;
  torch::nn::Embedding speaker_emb_{nullptr};
  torch::nn::Conv1d pitch_emb_{nullptr}, energy_emb_{nullptr};
  torch::nn::Linear proj_{nullptr};
};

// values (B, F, T), durations (B, S) frames -> (B, F, S): the mean of the frames of each token that are not zero; 0
// where all are. Computed in the type of `values`, float32 at least.
at::Tensor average_features(const at::Tensor& values, const at::Tensor& durations);
// encoded (B, S, D), each token as often as its duration over the pace says, rounded: (B, T, D) and lengths (B).
std::pair<at::Tensor, at::Tensor> regulate_len(const at::Tensor& durations, const at::Tensor& encoded, double pace);

}  // namespace fathom::tts
