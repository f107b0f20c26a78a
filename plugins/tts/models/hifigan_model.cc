#include "plugins/tts/models/hifigan_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "plugins/tts/losses/gan_losses.h"
#include "plugins/tts/models/front_end.h"
#include "plugins/tts/models/loss_check.h"
#include "plugins/tts/models/speech_check.h"
#include "plugins/tts/modules/hifigan_generator.h"

namespace fathom::tts {
namespace {

constexpr int64_t kDenoiseFft = 1024, kDenoiseHop = 256;

Json generator_info(const ModuleHandle& generator) {
  const Json info = generator.properties();
  for (const char* key : {"hop_length", "context", "feat_in"}) {
    if (info.is_object() && info.contains(key) && info[key].is_number_integer()) continue;
    throw Error(Code::kFailed, "the generator does not say what a vocoder's must")
        .at("model.generator")
        .seen("no property " + std::string(key))
        .expected("a module with the properties hop_length, context and feat_in");
  }
  return info;
}

}  // namespace

void HifiGanModelOptions::describe(OptionSet<HifiGanModelOptions>& o) {
  using Options = HifiGanModelOptions;
  o("preprocessor", &Options::preprocessor, "from audio to the generator's input (FilterbankFeatures)");
  o("generator", &Options::generator, "from spectrograms to audio (Generator)");
  o("l1_loss_factor", &Options::l1_loss_factor, "weight of the distance between the spectrograms");
  o("denoise_strength", &Options::denoise_strength, "how much of the generator's own hum is taken out where it is");
  o("debug", &Options::debug, "small critics");
  o("max_steps", &Options::max_steps, "batches of the schedules", "batches");
  o("max_epochs", &Options::max_epochs, "with steps_per_epoch: another way to say max_steps");
  o("steps_per_epoch", &Options::steps_per_epoch, "batches of an epoch");
  o("log_audio", &Options::log_audio, "the first validation batch is heard in the loggers that take audio");
  o("check_speech", &Options::check_speech, kCheckedClips);
  o("log_config", &Options::log_config,
    "NeMo's generators of files: not made here, a validation that has them says so");
  o("name", &Options::name, "a name, for people");
  o("train_n_segments", &Options::train_n_segments, "for others to refer to, as in NeMo's configs");
  o("train_max_duration", &Options::train_max_duration, "for others to refer to");
  o("train_min_duration", &Options::train_min_duration, "for others to refer to");
  o("val_n_segments", &Options::val_n_segments, "for others to refer to");
  o("val_max_duration", &Options::val_max_duration, "for others to refer to");
  o("val_min_duration", &Options::val_min_duration, "for others to refer to");
}

HifiGanModel::HifiGanModel(Json config, ModelContext model_context)
    : Model(std::move(config), std::move(model_context)) {
  Json own = Json::object();
  const auto& schema = options_detail::set_of<Options>();
  for (const auto& [key, value] : config_.items()) {
    if (schema.has(key)) own[key] = value;
  }
  options_ = parse_options<Options>(own, context().config_path);
  check_clip_count(options_.check_speech, context().config_path);
  const std::string path = context().config_path.empty() ? "preprocessor" : context().config_path + ".preprocessor";
  if (!config_.contains("preprocessor") || !config_["preprocessor"].is_object())
    throw Error(Code::kFailed, "the model has no preprocessor").at(path).expected("a section of FilterbankFeatures");
  const bool old = has_old_front_end(config_, context().restoring);
  front_end_ = make_front_end(config_["preprocessor"], old, path);
  // The target keeps what lies above the generator's band, and lets gradients through.
  target_front_end_ = make_front_end(config_["preprocessor"], old, path, {{"highfreq", nullptr}, {"use_grads", true}});
  add_child("audio_to_melspec_precessor", front_end_);
  add_child("trg_melspec_fn", target_front_end_);
  generator_ = make_child("generator", "nemo.collections.tts.modules.hifigan_modules.Generator");
  mpd_ = register_module("mpd", std::make_shared<MultiPeriodDiscriminator>(options_.debug));
  msd_ = register_module("msd", std::make_shared<MultiScaleDiscriminator>(options_.debug));

  const Json info = generator_info(generator_), front = front_end_info(config_["preprocessor"], path);
  if (front.contains("n_window_stride") && info["hop_length"] != front["n_window_stride"]) {
    throw Error(Code::kFailed, "the generator makes another number of samples a frame than the preprocessor reads")
        .at(path + ".n_window_stride")
        .seen(json_text(front["n_window_stride"]))
        .expected(json_text(info["hop_length"]) + ", the product of generator.upsample_rates");
  }
  const Json sched = config_.value("optim", Json::object()).value("sched", Json(nullptr));
  scheduled_ = sched.is_object();
  if (scheduled_ && sched.contains("interval") && sched["interval"].is_string()) interval_ = sched["interval"];
}

Ports HifiGanModel::inputs() const { return {{"spec", {"B D T", MelSpectrogramType{}}}}; }
Ports HifiGanModel::outputs() const { return {{"audio", {"B S T", AudioSignal{}}}}; }

at::Tensor HifiGanModel::generate(const at::Tensor& mel) const { return generator_({{"x", mel}}).tensor("audio"); }
Values HifiGanModel::forward(const Values& in) { return {{"audio", generator_({{"x", in["spec"]}})["audio"]}}; }
Values HifiGanModel::input_example() const { return {{"spec", generator_.input_example().tensor("x")}}; }

// The config names the dataset: there is none that goes without saying.
MadeDataset HifiGanModel::make_dataset(Stage, const Json&, const std::string&) { return {}; }

at::Tensor HifiGanModel::mel_of(const ModuleHandle& front_end, const at::Tensor& audio,
                                const at::Tensor& lengths) const {
  return front_end({{"input_signal", audio}, {"length", lengths}}).tensor("processed_signal");
}

std::vector<OptimizerSpec> HifiGanModel::configure_optimizers() const {
  Json section = config_.value("optim", Json::object());
  std::optional<int64_t> steps = options_.max_steps;
  if (!steps && options_.max_epochs && options_.steps_per_epoch)
    steps = *options_.max_epochs * *options_.steps_per_epoch;
  if (scheduled_ && steps) {
    Json& sched = section["sched"];
    sched["max_steps"] = *steps;
    // A fraction of a step stays one, as in NeMo.
    if (!sched.value("warmup_ratio", Json(nullptr)).is_null() && sched.value("warmup_steps", Json(nullptr)).is_null()) {
      sched["warmup_steps"] = sched["warmup_ratio"].get<double>() * static_cast<double>(*steps);
      sched.erase("warmup_ratio");
    }
  }
  const std::string path = context().config_path.empty() ? "optim" : context().config_path + ".optim";
  return {{{"generator"}, section, path}, {{"msd", "mpd"}, section, path}};
}

at::Tensor HifiGanModel::training_step(const Values& batch, const Step& step) {
  const at::Tensor &audio = batch.tensor("audio"), &lengths = batch.tensor("audio_len");
  const at::Tensor given = batch.tensor_or_undefined("audio_mel");
  const at::Tensor mel = given.defined() ? given : mel_of(front_end_, audio, lengths);
  const at::Tensor target_mel = mel_of(target_front_end_, audio, lengths);
  const at::Tensor made = generate(mel), real = audio.unsqueeze(1);
  if (made.size(2) != real.size(2)) {
    throw Error(Code::kBadData, "the generated audio is not as long as the real one")
        .at("batch " + std::to_string(step.batch_idx()))
        .seen(std::to_string(made.size(2)) + " samples for " + std::to_string(real.size(2)))
        .expected("clips of a multiple of the hop")
        .next("set n_segments to a multiple of n_window_stride, and min_duration so that clips are not shorter");
  }
  const at::Tensor made_mel = mel_of(target_front_end_, made.squeeze(1), lengths);

  step.zero_grad(1);
  const at::Tensor loss_mpd = discriminator_loss(mpd_->forward(real, made.detach()));
  const at::Tensor loss_msd = discriminator_loss(msd_->forward(real, made.detach()));
  const at::Tensor loss_d = loss_msd + loss_mpd;
  require_finite(loss_d, "d_loss", step, {{"d_loss_mpd", &loss_mpd}, {"d_loss_msd", &loss_msd}});
  step.backward(loss_d);
  step.optimizer_step(1);

  step.zero_grad(0);
  const at::Tensor loss_mel = at::l1_loss(made_mel, target_mel);
  const Judgements period = mpd_->forward(real, made), scale = msd_->forward(real, made);
  const at::Tensor features_mpd = feature_matching_loss(period), features_msd = feature_matching_loss(scale);
  const at::Tensor made_mpd = generator_loss(period), made_msd = generator_loss(scale);
  const at::Tensor loss_g = made_msd + made_mpd + features_msd + features_mpd + loss_mel * options_.l1_loss_factor;
  require_finite(loss_g, "g_loss", step,
                 {{"g_loss_fm_mpd", &features_mpd},
                  {"g_loss_fm_msd", &features_msd},
                  {"g_loss_gen_mpd", &made_mpd},
                  {"g_loss_gen_msd", &made_msd},
                  {"g_l1_loss", &loss_mel}});
  step.backward(loss_g);
  step.optimizer_step(0);
  move_schedules(step, "step");

  step.log("g_loss_fm_mpd", features_mpd.detach());
  step.log("g_loss_fm_msd", features_msd.detach());
  step.log("g_loss_gen_mpd", made_mpd.detach());
  step.log("g_loss_gen_msd", made_msd.detach());
  step.log("g_loss", loss_g.detach());
  step.log("d_loss_mpd", loss_mpd.detach());
  step.log("d_loss_msd", loss_msd.detach());
  step.log("d_loss", loss_d.detach());
  step.log("global_step", static_cast<double>(step.global_step()));
  step.log("lr", step.learning_rate());
  step.log("g_l1_loss", loss_mel.detach(), FATHOM_METRIC_ON_STEP | FATHOM_METRIC_PROG_BAR | FATHOM_METRIC_NO_LOGGER);
  return loss_g.detach();
}

void HifiGanModel::move_schedules(const Step& step, const char* interval) const {
  if (!scheduled_ || interval_ != interval) return;
  step.scheduler_step(0);
  step.scheduler_step(1);
}

void HifiGanModel::on_train_epoch_end(const Step& step) { move_schedules(step, "epoch"); }

void HifiGanModel::validation_step(const Values& batch, const Step& step) {
  const at::Tensor &audio = batch.tensor("audio"), &lengths = batch.tensor("audio_len");
  const at::Tensor given = batch.tensor_or_undefined("audio_mel");
  const at::Tensor mel = given.defined() ? given : mel_of(front_end_, audio, lengths);
  const at::Tensor made = generate(mel);
  const at::Tensor made_mel = mel_of(front_end_, made.squeeze(1), lengths);
  step.log("val_loss", at::l1_loss(mel, made_mel).detach(), 0, static_cast<double>(audio.size(0)));
  if (step.batch_idx() != 0) return;
  warn_of_log_config(options_.log_config, context().config_path, "log_audio");
  const auto rate = config_["preprocessor"]["sample_rate"].get<int64_t>();
  SpeechCheck check;
  for (int64_t i = 0; i < std::min(options_.check_speech, audio.size(0)); ++i) {
    const auto length = std::min(lengths[i].item<int64_t>(), made.size(2));
    check.add(audio[i].narrow(0, 0, length), made[i][0].narrow(0, 0, length), rate);
  }
  check.log(step);
  if (!options_.log_audio) return;
  const at::Tensor clean = denoised(made, options_.denoise_strength);
  for (int64_t i = 0; i < std::min<int64_t>(5, audio.size(0)); ++i) {
    const auto length = std::min(lengths[i].item<int64_t>(), made.size(2));
    const std::string number = std::to_string(i);
    step.log_audio("real audio " + number, audio[i].narrow(0, 0, length), rate);
    step.log_audio("generated audio " + number, made[i][0].narrow(0, 0, length), rate);
    step.log_audio("denoised audio " + number, clean[i][0].narrow(0, 0, std::min(length, clean.size(2))), rate);
  }
}

at::Tensor HifiGanModel::denoised(const at::Tensor& audio, double strength) {
  const at::Tensor window = at::ones({kDenoiseFft}, audio.options());
  const auto stft = [&](const at::Tensor& x) {
    return at::stft(x, kDenoiseFft, kDenoiseHop, kDenoiseFft, window, /*center=*/true, "reflect", /*normalized=*/false,
                    /*onesided=*/true, /*return_complex=*/true);
  };
  if (audio.size(2) <= kDenoiseFft / 2) return audio;
  const Json info = generator_.properties();
  // The hum of a hundred frames of nothing; its first frame stands for all, as in NeMo.
  const at::Tensor hum = generate(at::zeros({1, info["feat_in"].get<int64_t>(), 100}, audio.options()));
  const at::Tensor bias = stft(hum.squeeze(1)).abs().narrow(2, 0, 1);
  const at::Tensor spectrum = stft(audio.squeeze(1));
  const at::Tensor magnitude = (spectrum.abs() - strength * bias).clamp_min(0);
  const at::Tensor clean = at::polar(magnitude, spectrum.angle());
  return at::istft(clean, kDenoiseFft, kDenoiseHop, kDenoiseFft, window, /*center=*/true, /*normalized=*/false,
                   /*onesided=*/true, audio.size(2))
      .unsqueeze(1);
}

Json HifiGanModel::vocoder_info() const {
  const Json generator = generator_info(generator_);
  return {{"sample_rate", config_["preprocessor"]["sample_rate"]},
          {"hop_length", generator["hop_length"]},
          {"context", generator["context"]},
          {"alignment", generator.value("alignment", 1)},
          {"front_end", front_end_info(config_["preprocessor"], context().config_path + ".preprocessor")}};
}

Values HifiGanModel::vocode(const Values& input, const Json& options) {
  double strength = 0;
  bool bfloat16 = false;
  for (const auto& [key, value] : options.items()) {
    if (value.is_null() || key == "seed") continue;  // nothing is drawn
    if (key == "precision" && (value == Json("bf16") || value == Json("32") || value == Json(32))) {
      bfloat16 = value == Json("bf16");
      continue;
    }
    if (key != "denoise" || !value.is_number() || value.get<double>() < 0) {
      throw Error(Code::kUsage, "the vocoder takes no such option")
          .seen(key + "=" + json_text(value))
          .expected("denoise: a strength of at least 0");
    }
    strength = value.get<double>();
  }
  const at::Tensor spect = input.tensor("spect").to(at::kFloat);
  const auto inference = query<GeneratorInferenceTable>(generator_.borrowed(), kGeneratorInference);
  at::Tensor audio;
  if (inference && !is_training() && c10::elementSize(mpd_->parameters()[0].scalar_type()) == 4) {
    check(inference->infer(inference.self(), &spect, bfloat16 ? 1 : 0, &audio));
  } else if (bfloat16) {
    throw Error(Code::kUnavailable, "this generator computes in no other precision").seen("precision=bf16");
  } else {
    audio = generate(spect);
  }
  return {{"audio", (strength > 0 ? denoised(audio, strength) : audio).squeeze(1)}};
}

std::vector<PretrainedModelInfo> HifiGanModel::list_available_models() {
  const std::string root = "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/";
  return {
      {"tts_en_hifigan", "English vocoder, LJSpeech, 22050 Hz",
       root + "tts_hifigan/versions/1.0.0rc1/files/tts_hifigan.nemo"},
      {"tts_en_lj_hifigan_ft_mixertts", "English vocoder, LJSpeech, fine-tuned on Mixer-TTS, 22050 Hz",
       root + "tts_en_lj_hifigan/versions/1.6.0/files/tts_en_lj_hifigan_ft_mixertts.nemo"},
      {"tts_en_lj_hifigan_ft_mixerttsx", "English vocoder, LJSpeech, fine-tuned on Mixer-TTS-X, 22050 Hz",
       root + "tts_en_lj_hifigan/versions/1.6.0/files/tts_en_lj_hifigan_ft_mixerttsx.nemo"},
      {"tts_en_hifitts_hifigan_ft_fastpitch", "English vocoder, HiFi-TTS, fine-tuned on FastPitch, 44100 Hz",
       root + "tts_en_multispeaker_fastpitchhifigan/versions/1.10.0/files/tts_en_hifitts_hifigan_ft_fastpitch.nemo"},
      {"tts_de_hifigan_singleSpeaker_thorstenNeutral_2102", "German vocoder, Thorsten, 22050 Hz",
       root + "tts_de_fastpitchhifigan/versions/1.15.0/files/tts_de_hifigan_thorstens2102.nemo"},
  };
}

}  // namespace fathom::tts
