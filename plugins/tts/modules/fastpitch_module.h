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
  at::Tensor text;                                 // (B, S) tokens
  at::Tensor durations;                            // (B, S), where no alignment is learned
  at::Tensor pitch, energy;                        // (B, T) of frames; or pitch (B, S) of tokens
  at::Tensor speaker;                              // (B)
  at::Tensor reference_spec, reference_spec_lens;  // (B, D, T'), (B): whose voice it is, by a recording
  at::Tensor pace;                                 // a number, (B, 1) or (B, S); undefined: 1
  at::Tensor spec;                                 // (B, D, T): learns the alignment
  at::Tensor attn_prior;                           // (B, T, S)
  at::Tensor mel_lens, input_lens;                 // (B)
};
struct FastPitchOutput {
  at::Tensor spect, num_frames, durs_predicted, log_durs_predicted, pitch_predicted;
  at::Tensor attn_soft, attn_logprob, attn_hard, attn_hard_dur;  // with spec
  at::Tensor pitch;                                              // of tokens
  at::Tensor energy_predicted, energy_target;
  at::Tensor volume;  // (B, T), of infer
};
// What speaking may change. Undefined tensors change nothing; (B, S) may be (B, 1) or a number as well.
struct FastPitchProsody {
  at::Tensor speaker, reference_spec, reference_spec_lens;  // as in FastPitchInput
  at::Tensor pace;                                          // (B, S)
  // The predicted pitch is (Hz - pitch_mean) / pitch_std. It becomes pitch_range times as lively around its mean, then
  // pitch_shift is added to it, then it is multiplied by pitch_ratio in Hz.
  double pitch_range = 1;
  at::Tensor pitch_shift;  // (B, S)
  at::Tensor pitch_ratio;  // (B, S)
  double pitch_mean = 0, pitch_std = 1;
  at::Tensor energy;  // (B, S): in place of the predicted one
  at::Tensor volume;  // (B, S): handed on to frames
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
  // Voices that have a number.
  int64_t speakers() const;
  // Whether a recording may say whose voice it is.
  bool takes_reference() const;

 private:
  // (B, 1, D) or undefined
  at::Tensor embedding_of(int64_t batch, const at::Tensor& speaker, const at::Tensor& spec,
                          const at::Tensor& spec_lens) const;
  at::Tensor durations_of(const at::Tensor& log_durations, const at::Tensor& mask) const;
  at::Tensor call(const ModuleHandle& predictor, const at::Tensor& encoded, const at::Tensor& mask,
                  const at::Tensor& conditioning) const;
  void decode(const at::Tensor& encoded, const at::Tensor& durations, const at::Tensor& pace,
              const at::Tensor& conditioning, FastPitchOutput& out);

  FastPitchParts parts_;
  torch::nn::Embedding speaker_emb_{nullptr};
  torch::nn::Conv1d pitch_emb_{nullptr}, energy_emb_{nullptr};
  torch::nn::Linear proj_{nullptr};
};

// values (B, F, T), durations (B, S) frames -> (B, F, S): the mean of the frames of each token that are not zero; 0
// where all are. Computed in the type of `values`, float32 at least.
at::Tensor average_features(const at::Tensor& values, const at::Tensor& durations);
// encoded (B, S, D), each token as often as its duration over the pace says, rounded: (B, T, D) and lengths (B). The
// pace is a number, (B, 1) or (B, S); undefined is 1.
std::pair<at::Tensor, at::Tensor> regulate_len(const at::Tensor& durations, const at::Tensor& encoded,
                                               const at::Tensor& pace);

}  // namespace fathom::tts
