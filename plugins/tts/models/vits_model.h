// VITS (Kim, Kong & Son 2021, arXiv:2106.06103): text to audio, trained against critics.
#pragma once

#include "fathom/manual_optimization.h"
#include "fathom/model.h"
#include "fathom/synthesis.h"
#include "fathom/training_hooks.h"
#include "plugins/tts/models/speech_text.h"
#include "plugins/tts/modules/vits_critics.h"
#include "plugins/tts/modules/vits_synthesizer.h"

namespace fathom::tts {

struct VitsModelOptions {
  Json preprocessor, synthesizer, text_tokenizer, text_normalizer, text_normalizer_call_kwargs, log_config;
  int64_t n_fft = 1024, n_window_stride = 256, segment_size = 8192, n_speakers = 0;
  double c_mel = 45, c_kl = 1;
  bool use_spectral_norm = false, log_audio = false;
  int64_t check_speech = 0;
  // Said in the model's section for others to refer to, as in NeMo's configs.
  Json pitch_fmin, pitch_fmax, sample_rate, n_mel_channels, n_window_size, lowfreq, highfreq, window, pad_value, name,
      symbols_embedding_dim;
  static void describe(OptionSet<VitsModelOptions>& o);
};

// A batch, as TTSDataset makes it: audio (B,T), audio_len (B), text (B,S), text_len (B), and of several voices
// speaker_id (B).
//
// Two optimizers, both from the section `optim`: 0 is net_g's, 1 net_d's. A step trains first the critics, then the
// synthesizer; trainer.max_steps counts the steps of both, two a batch, as Lightning does. ExponentialLR (lr_decay)
// moves at the end of an epoch, CosineAnnealing (max_steps, min_lr) after each batch. NeMo's mixed precision is what
// trainer.precision says here. Logged: NeMo's names (loss_gen_all, loss_disc_all, …), val_loss: L1 distance of the
// log-mels of what is said freely and the recording, as far as both go; with log_audio the first batch is heard.
class VitsModel final : public Model, public ManualOptimization, public TrainingHooks, public SpeechSynthesizer {
 public:
  using Options = VitsModelOptions;

  static std::vector<PretrainedModelInfo> list_available_models();

  VitsModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  void on_train_epoch_end(const Step& step) override;
  std::vector<OptimizerSpec> configure_optimizers() const override;
  std::vector<std::pair<std::string, std::string>> artifacts() const override { return text_.artifacts(); }

  Json synthesis_info() const override;
  Values parse(const std::string& text, const Json& options) override { return text_.parse(text, options); }
  Values synthesize(const Values& parsed, const Json& options) override;

 private:
  at::Tensor mel_of(const at::Tensor& audio, const at::Tensor& lengths) const;
  // |STFT|^mag_power (B, n_fft / 2 + 1, T) and its lengths: what the front-end makes before its filters.
  std::pair<at::Tensor, at::Tensor> spectrogram_of(const at::Tensor& audio, const at::Tensor& lengths) const;
  void move_schedules(const Step& step) const;

  Options options_;
  ModuleHandle front_end_, net_g_;
  std::shared_ptr<VitsSynthesizer> synthesizer_;
  std::shared_ptr<VitsCritics> critics_;
  SpeechText text_;
  at::Tensor window_;
  enum class Schedule { kNone, kEpoch, kBatch } schedule_ = Schedule::kNone;
};

}  // namespace fathom::tts
