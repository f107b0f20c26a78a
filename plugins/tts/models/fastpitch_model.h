// FastPitch (Lancucki 2020, arXiv:2006.06873): text to spectrograms, with the alignment learned along the way (Badlani
// et al. 2021, arXiv:2108.10447).
#pragma once

#include "fathom/model.h"
#include "fathom/synthesis.h"
#include "plugins/lib/text/speech_tokenizer_handle.h"
#include "plugins/tts/models/speech_text.h"
#include "plugins/tts/modules/fastpitch_module.h"

namespace fathom::tts {

class GriffinLimModel;

struct FastPitchModelOptions {
  Json preprocessor, input_fft, output_fft, alignment_module, duration_predictor, pitch_predictor, energy_predictor,
      speaker_encoder, text_tokenizer, text_normalizer, text_normalizer_call_kwargs, log_config, labels;
  bool learn_alignment = false, use_log_energy = true, log_images = false, log_audio = false;
  bool speaker_emb_condition_prosody = false, speaker_emb_condition_decoder = false,
       speaker_emb_condition_aligner = false;
  double bin_loss_warmup_epochs = 100, min_token_duration = 0, max_token_duration = 75;
  int64_t check_speech = 0, n_speakers = 0, symbols_embedding_dim = 384, pitch_embedding_kernel_size = 3,
          energy_embedding_kernel_size = 0, n_mel_channels = 80;
  std::optional<double> dur_loss_scale, pitch_loss_scale, energy_loss_scale, aligner_loss_scale;
  std::optional<double> pitch_mean, pitch_std, pitch_fmin, pitch_fmax;
  // Said in the model's section for others to refer to, as in NeMo's configs.
  Json sample_rate, n_window_size, n_window_stride, n_fft, lowfreq, highfreq, window, pitch_avg, name;
  static void describe(OptionSet<FastPitchModelOptions>& o);
};

// A batch, as TTSDataset makes it: audio (B,T), audio_len (B), text (B,S), text_len (B), and by its sup_data_types
// align_prior_matrix (B,T',S), pitch (B,T') and energy (B,T') of frames, speaker_id (B), durs (B,S). A batch may have
// spec (B,D,T') and spec_lens (B) in place of the audio. forward takes these by NeMo's names and gives
// FastPitchModule's outputs.
//
// Logged: t_loss, t_mel_loss, t_dur_loss, t_pitch_loss, t_energy_loss, t_ctc_loss, t_bin_loss; val_loss, val_mel_loss,
// val_dur_loss, val_pitch_loss, val_energy_loss; with log_images the first validation batch's spectrograms and, of the
// first training batch after it, the alignments; with log_audio what both spectrograms sound like; with
// check_speech how far that is from the recording (speech_check.h).
class FastPitchModel final : public Model, public SpeechSynthesizer {
 public:
  using Options = FastPitchModelOptions;

  static std::vector<PretrainedModelInfo> list_available_models();

  FastPitchModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  std::vector<std::pair<std::string, std::string>> artifacts() const override;

  Json synthesis_info() const override;
  Values parse(const std::string& text, const Json& options) override;
  Values synthesize(const Values& parsed, const Json& options) override;

 private:
  struct Losses {
    at::Tensor mel, duration, pitch, energy;  // scaled; energy where it is trained
    at::Tensor sum() const;
  };
  FastPitchInput input_of(const Values& batch);
  Losses losses_of(const FastPitchInput& in, const FastPitchOutput& out) const;
  FastPitchProsody prosody_of(const Json& options, int64_t tokens);
  at::Tensor louder(const at::Tensor& spect, const at::Tensor& volume) const;
  void log_speech(const FastPitchInput& in, const FastPitchOutput& out, const Step& step);
  void log_alignment(const FastPitchInput& in, const FastPitchOutput& out, const Step& step);

  Options options_;
  ModuleHandle front_end_;
  SpeechText text_;
  std::shared_ptr<FastPitchModule> module_;
  double duration_scale_ = 1, pitch_scale_ = 1, energy_scale_ = 1, aligner_scale_ = 1;
  std::shared_ptr<GriffinLimModel> listener_;  // made when it is first needed
  bool shows_training_ = false;                // the next training batch is drawn
};

}  // namespace fathom::tts
