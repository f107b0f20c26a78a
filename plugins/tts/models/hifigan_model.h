// HiFi-GAN (Kong et al. 2020, arXiv:2010.05646): a vocoder, trained against critics.
#pragma once

#include "fathom/manual_optimization.h"
#include "fathom/model.h"
#include "fathom/synthesis.h"
#include "fathom/training_hooks.h"
#include "plugins/tts/modules/hifigan_discriminators.h"

namespace fathom::tts {

struct HifiGanModelOptions {
  Json preprocessor, generator, log_config;
  double l1_loss_factor = 45, denoise_strength = 0.0025;
  bool debug = false, log_audio = false;
  int64_t check_speech = 0;
  std::optional<int64_t> max_steps, max_epochs, steps_per_epoch, train_n_segments, train_max_duration,
      train_min_duration, val_n_segments, val_max_duration, val_min_duration;
  std::optional<std::string> name;
  static void describe(OptionSet<HifiGanModelOptions>& o);
};

// A batch: audio (B,T) float32, audio_len (B), and for fine-tuning audio_mel (B,D,T'), as VocoderDataset makes them.
// forward: spec (B,D,T') -> audio (B,1,T).
//
// Two optimizers, both from the section `optim`: 0 is the generator's, 1 the critics'. A step trains first the critics,
// then the generator, then moves both schedules; a schedule counts batches (max_steps of this section, or max_epochs ·
// steps_per_epoch, or the trainer's), while trainer.max_steps counts the steps of both optimizers, two a batch, as
// Lightning does. Logged: NeMo's names (g_loss, d_loss, …), val_loss (L1 distance of the log-mels).
class HifiGanModel final : public Model, public ManualOptimization, public TrainingHooks, public Vocoder {
 public:
  using Options = HifiGanModelOptions;

  static std::vector<PretrainedModelInfo> list_available_models();

  HifiGanModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  void on_train_epoch_end(const Step& step) override;
  std::vector<OptimizerSpec> configure_optimizers() const override;

  Json vocoder_info() const override;
  Values vocode(const Values& input, const Json& options) override;

 private:
  at::Tensor mel_of(const ModuleHandle& front_end, const at::Tensor& audio, const at::Tensor& lengths) const;
  at::Tensor generate(const at::Tensor& mel) const;
  // The hum that the generator makes of silence, taken out of its audio (B, 1, T).
  at::Tensor denoised(const at::Tensor& audio, double strength);
  void move_schedules(const Step& step, const char* interval) const;

  Options options_;
  ModuleHandle front_end_, target_front_end_, generator_;
  std::shared_ptr<MultiPeriodDiscriminator> mpd_;
  std::shared_ptr<MultiScaleDiscriminator> msd_;
  std::string interval_ = "step";
  bool scheduled_ = false;
};

}  // namespace fathom::tts
