#include "plugins/tts/models/vits_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "plugins/lib/audio/mel_features.h"
#include "plugins/tts/losses/gan_losses.h"
#include "plugins/tts/losses/vits_loss.h"
#include "plugins/tts/models/front_end.h"
#include "plugins/tts/models/loss_check.h"
#include "plugins/tts/models/pictures.h"
#include "plugins/tts/models/speech_check.h"

namespace fathom::tts {
namespace {

constexpr double kRootGuard = 1e-5;  // of FilterbankFeatures with use_grads
constexpr int64_t kNemoMaxLength = 1000;
const char* const kSynthesizer = "nemo.collections.tts.modules.vits_modules.SynthesizerTrn";

Json number_or(const Json& section, const char* key, const Json& otherwise) {
  return section.contains(key) && section[key].is_number() ? section[key] : otherwise;
}

double norm_of_gradients(const torch::nn::Module& module) {
  double sum = 0;
  for (const auto& parameter : module.parameters()) {
    if (parameter.grad().defined()) sum += std::pow(parameter.grad().norm().item<double>(), 2);
  }
  return std::sqrt(sum);
}

}  // namespace

void VitsModelOptions::describe(OptionSet<VitsModelOptions>& o) {
  using Options = VitsModelOptions;
  o("preprocessor", &Options::preprocessor, "from audio to spectrograms (FilterbankFeatures), with use_grads");
  o("synthesizer", &Options::synthesizer, "from text to audio (SynthesizerTrn)");
  o("text_tokenizer", &Options::text_tokenizer, "from text to tokens");
  o("text_normalizer", &Options::text_normalizer,
    "from what is written to what is said (tts.TextNormalizer); null: texts are given in words");
  o("text_normalizer_call_kwargs", &Options::text_normalizer_call_kwargs,
    "verbose, punct_pre_process, punct_post_process: accepted; punctuation always stays");
  o("n_fft", &Options::n_fft, "length of the transform of the spectrograms that the posterior encoder reads");
  o("n_window_stride", &Options::n_window_stride, "samples a frame");
  o("segment_size", &Options::segment_size, "of the part that audio is made of in training", "samples");
  o("n_speakers", &Options::n_speakers, "voices, for synthesizer.n_speakers to refer to");
  o("c_mel", &Options::c_mel, "weight of the distance between the spectrograms");
  o("c_kl", &Options::c_kl, "weight of the distance between posterior and prior");
  o("use_spectral_norm", &Options::use_spectral_norm, "the critics' norm: spectral, or of weights");
  o("log_audio", &Options::log_audio, "the first validation batch is heard and seen in the loggers that take it");
  o("check_speech", &Options::check_speech, kCheckedClips);
  o("log_config", &Options::log_config,
    "NeMo's generators of files: not made here, a validation that has them says so");
  for (const auto& [name, member] : {std::pair{"pitch_fmin", &Options::pitch_fmin},
                                     {"pitch_fmax", &Options::pitch_fmax},
                                     {"sample_rate", &Options::sample_rate},
                                     {"n_mel_channels", &Options::n_mel_channels},
                                     {"n_window_size", &Options::n_window_size},
                                     {"lowfreq", &Options::lowfreq},
                                     {"highfreq", &Options::highfreq},
                                     {"window", &Options::window},
                                     {"pad_value", &Options::pad_value},
                                     {"symbols_embedding_dim", &Options::symbols_embedding_dim},
                                     {"name", &Options::name}})
    o(name, member, "for others to refer to, as in NeMo's configs");
}

VitsModel::VitsModel(Json config, ModelContext model_context) : Model(std::move(config), std::move(model_context)) {
  Json own = Json::object();
  for (const auto& [key, value] : config_.items()) {
    if (options_detail::set_of<Options>().has(key)) own[key] = value;
  }
  options_ = parse_options<Options>(own, context().config_path);
  check_clip_count(options_.check_speech, context().config_path);
  const auto path_of = [&](const std::string& key) {
    return context().config_path.empty() ? key : context().config_path + "." + key;
  };
  for (const auto& [name, section] :
       {std::pair{"preprocessor", &options_.preprocessor}, {"synthesizer", &options_.synthesizer}}) {
    if (section->is_object()) continue;
    throw Error(Code::kFailed, std::string("the model has no section '") + name + "'").at(path_of(name));
  }
  text_ = SpeechText(config_, context(), context().config_path);

  Json& front = options_.preprocessor;
  const Json train = config_.value("train_ds", Json(nullptr));
  if (train.is_object() && train.value("dataset", Json(nullptr)).is_object() && train["dataset"].contains("highfreq"))
    front["highfreq"] = train["dataset"]["highfreq"];
  if (front.value("use_grads", Json(false)) != Json(true)) {
    throw Error(Code::kFailed, "the synthesizer would learn nothing from its spectrograms")
        .at(path_of("preprocessor.use_grads"))
        .seen(json_text(front.value("use_grads", Json(nullptr))))
        .expected("true");
  }
  // No NeMo of the newer front-end has VITS.
  front_end_ = make_front_end(front, /*old=*/true, path_of("preprocessor"));
  add_child("audio_to_melspec_processor", front_end_);
  const int64_t window = number_or(front, "n_window_size", options_.n_fft);
  window_ = audio::make_window(front.value("window", std::string("hann")), window, /*periodic=*/false);

  Json synthesizer = options_.synthesizer;
  if (!synthesizer.contains("_target_")) synthesizer["_target_"] = kSynthesizer;
  synthesizer["n_vocab"] = text_.vocab_size();
  synthesizer["padding_idx"] = text_.pad();
  synthesizer["spec_channels"] = options_.n_fft / 2 + 1;
  synthesizer["segment_size"] = options_.segment_size / options_.n_window_stride;
  net_g_ = make_module(synthesizer, path_of("synthesizer"));
  add_child("net_g", net_g_);
  synthesizer_ = std::dynamic_pointer_cast<VitsSynthesizer>(net_g_.torch_module());
  if (!synthesizer_) {
    throw Error(Code::kFailed, "VITS cannot be trained with this synthesizer")
        .at(path_of("synthesizer._target_"))
        .seen(json_text(synthesizer["_target_"]))
        .expected(kSynthesizer);
  }
  const int64_t hop = net_g_.properties()["hop_length"];
  if (hop != options_.n_window_stride || options_.segment_size % hop != 0) {
    throw Error(Code::kFailed, "the synthesizer makes another number of samples a frame than the spectrograms have")
        .at(path_of(hop != options_.n_window_stride ? "n_window_stride" : "segment_size"))
        .seen(std::to_string(hop != options_.n_window_stride ? options_.n_window_stride : options_.segment_size))
        .expected((hop != options_.n_window_stride ? "" : "a multiple of ") + std::to_string(hop) +
                  ", the product of synthesizer.upsample_rates");
  }
  critics_ = register_module("net_d", std::make_shared<VitsCritics>(options_.use_spectral_norm));
  const Json sched = config_.value("optim", Json::object()).value("sched", Json(nullptr));
  if (sched.is_object()) schedule_ = sched.value("name", "") == "ExponentialLR" ? Schedule::kEpoch : Schedule::kBatch;
}

Ports VitsModel::inputs() const {
  return {{"tokens", {"B T", TokenIndex{}}},
          {"speakers", {"B", Index{}}, /*is_optional=*/true},
          {"noise_scale", {std::nullopt, FloatType{}}, /*is_optional=*/true},
          {"length_scale", {std::nullopt, FloatType{}}, /*is_optional=*/true},
          {"noise_scale_w", {std::nullopt, FloatType{}}, /*is_optional=*/true},
          {"max_len", {std::nullopt, IntType{}}, /*is_optional=*/true}};
}
Ports VitsModel::outputs() const {
  return {{"audio", {"B S T", AudioSignal{}}},
          {"durations", {"B T", ElementType{"TokenDurationType", Json::object()}}},
          {"num_frames", {"B", LengthsType{}}}};
}

Values VitsModel::forward(const Values& in) {
  VitsSynthesizer::Speech how;
  how.max_len = kNemoMaxLength;
  for (const auto& [name, number] : {std::pair{"noise_scale", &how.noise_scale},
                                     {"length_scale", &how.length_scale},
                                     {"noise_scale_w", &how.noise_scale_w}}) {
    if (const Value* value = in.find(name); value != nullptr && !value->is_none()) *number = value->real();
  }
  if (const Value* value = in.find("max_len"); value != nullptr && !value->is_none()) how.max_len = value->integer();
  const at::Tensor& tokens = in.tensor("tokens");
  const at::Tensor lengths = at::full({tokens.size(0)}, tokens.size(1), tokens.options());
  const auto spoken = synthesizer_->infer(tokens, lengths, in.tensor_or_undefined("speakers"), how);
  return {{"audio", spoken.audio}, {"durations", spoken.durations}, {"num_frames", spoken.lengths}};
}

Values VitsModel::input_example() const {
  return {{"tokens", at::arange(16, at::kLong).remainder(text_.vocab_size()).unsqueeze(0)}};
}

// The config names the dataset: there is none that goes without saying.
MadeDataset VitsModel::make_dataset(Stage, const Json&, const std::string&) { return {}; }

std::vector<OptimizerSpec> VitsModel::configure_optimizers() const {
  Json section = config_.value("optim", Json::object());
  const std::string path = context().config_path.empty() ? "optim" : context().config_path + ".optim";
  if (section.contains("sched") && section["sched"].is_object()) {
    const Json given = section["sched"];
    const std::string name = given.value("name", "");
    if (name == "ExponentialLR") {
      section["sched"] = {
          {"name", name},
          {"gamma", given.contains("lr_decay") ? given["lr_decay"] : given.value("gamma", Json(nullptr))}};
    } else if (name == "CosineAnnealing") {
      section["sched"] = {{"name", name}};
      for (const char* key : {"max_steps", "min_lr"}) {
        if (given.contains(key)) section["sched"][key] = given[key];
      }
    } else {
      throw Error(Code::kFailed, "VITS has no such schedule")
          .at(path + ".sched.name")
          .seen(name)
          .expected("ExponentialLR or CosineAnnealing");
    }
  }
  return {{{"net_g"}, section, path}, {{"net_d"}, section, path}};
}

at::Tensor VitsModel::mel_of(const at::Tensor& audio, const at::Tensor& lengths) const {
  return front_end_({{"input_signal", audio}, {"length", lengths}}).tensor("processed_signal");
}

std::pair<at::Tensor, at::Tensor> VitsModel::spectrogram_of(const at::Tensor& audio, const at::Tensor& lengths) const {
  const Json& front = options_.preprocessor;
  const bool exact = front.value("exact_pad", Json(false)) == Json(true),
             newer = front.value("front_end", Json(nullptr)) == Json("nemo3");
  const int64_t n_fft = options_.n_fft, hop = options_.n_window_stride, edge = exact ? (n_fft - hop) / 2 : n_fft / 2;
  if (audio.size(1) <= edge) {
    throw Error(Code::kBadData, "audio is too short to reflect its edges")
        .seen(std::to_string(audio.size(1)) + " samples")
        .expected("more than " + std::to_string(edge))
        .next("set train_ds.dataset.min_duration");
  }
  const auto padded = [&](const at::Tensor& x) {
    return newer ? at::constant_pad_nd(x, {edge, edge}) : at::reflection_pad1d(x, {edge, edge});
  };
  at::Tensor x = exact ? padded(audio) : audio;
  const double dither = number_or(front, "dither", 1e-5), preemph = number_or(front, "preemph", 0.0);
  if (is_training() && dither > 0) x = x + dither * at::randn_like(x);
  if (preemph != 0) x = at::cat({x.narrow(1, 0, 1), x.slice(1, 1) - preemph * x.slice(1, 0, -1)}, 1);
  if (!exact) x = padded(x);
  const double power = number_or(front, "mag_power", 2.0);
  at::Tensor spec = audio::spectrum(x, window_.to(x.device()),
                                    {.n_fft = n_fft, .hop = hop, .magnitude = true, .sqrt_guard = kRootGuard});
  if (power != 1) spec = spec.pow(power);
  const at::Tensor frames = at::div(lengths.to(at::kLong) + (2 * edge - n_fft), hop, "floor") + (newer ? 0 : 1);
  return {spec.transpose(1, 2).contiguous(), frames};
}

at::Tensor VitsModel::training_step(const Values& batch, const Step& step) {
  const at::Tensor &audio = batch.tensor("audio"), &audio_len = batch.tensor("audio_len");
  const auto [spec, spec_len] = spectrogram_of(audio, audio_len);
  const auto made = synthesizer_->learn(batch.tensor("text"), batch.tensor("text_len"), spec, spec_len,
                                        batch.tensor_or_undefined("speaker_id"));
  const int64_t hop = options_.n_window_stride, segment = options_.segment_size;
  const at::Tensor places = made.starts.unsqueeze(1) * hop + at::arange(segment, made.starts.options()).unsqueeze(0);
  const at::Tensor real = audio.gather(1, places).unsqueeze(1);
  const at::Tensor whole = at::full({audio.size(0)}, segment, audio_len.options());
  const at::Tensor made_mel = mel_of(made.audio.squeeze(1), whole), real_mel = mel_of(real.squeeze(1), whole);

  Judgements judged{critics_->judge(real), critics_->judge(made.audio.detach())};
  const at::Tensor loss_disc = discriminator_loss(judged);
  require_finite(loss_disc, "loss_disc_all", step);
  step.zero_grad(1);
  step.backward(loss_disc);
  step.log("grad_disc", norm_of_gradients(*critics_));
  step.optimizer_step(1);
  for (size_t i = 0; i < judged.real.size(); ++i) {
    step.log("loss_disc_r_" + std::to_string(i), (1 - judged.real[i].score.detach()).pow(2).mean());
    step.log("loss_disc_g_" + std::to_string(i), judged.fake[i].score.detach().pow(2).mean());
  }

  // The critics learn nothing of the synthesizer's step.
  step.toggle(0);
  {
    const at::NoGradGuard no_grad;
    judged.real = critics_->judge(real);
  }
  judged.fake = critics_->judge(made.audio);
  const at::Tensor duration = made.duration_loss.sum();
  const at::Tensor mel = at::l1_loss(real_mel, made_mel) * options_.c_mel;
  const at::Tensor kl =
      kl_loss(made.z_p, made.log_scale, made.prior_mean, made.prior_log_scale, made.spec_mask) * options_.c_kl;
  const at::Tensor features = feature_matching_loss(judged), deceit = generator_loss(judged);
  const at::Tensor loss = deceit + features + mel + duration + kl;
  const std::pair<const char*, const at::Tensor*> parts[] = {{"loss_gen", &deceit}, {"loss_fm", &features},
                                                             {"loss_mel", &mel},    {"loss_dur", &duration},
                                                             {"loss_kl", &kl},      {"loss_gen_all", &loss}};
  require_finite(loss, "loss_gen_all", step, {std::begin(parts), std::end(parts) - 1});
  step.zero_grad(0);
  step.backward(loss);
  step.untoggle(0);
  step.log("grad_gen", norm_of_gradients(*synthesizer_));
  step.optimizer_step(0);
  if (schedule_ == Schedule::kBatch) move_schedules(step);

  for (const auto& [name, value] : parts) step.log(name, value->detach());
  step.log("loss_disc_all", loss_disc.detach());
  for (size_t i = 0; i < judged.fake.size(); ++i)
    step.log("loss_gen_i_" + std::to_string(i), (1 - judged.fake[i].score.detach()).pow(2).mean());
  return loss.detach();
}

void VitsModel::move_schedules(const Step& step) const {
  step.scheduler_step(0);
  step.scheduler_step(1);
}

void VitsModel::on_train_epoch_end(const Step& step) {
  if (schedule_ == Schedule::kEpoch) move_schedules(step);
}

void VitsModel::validation_step(const Values& batch, const Step& step) {
  const at::Tensor &audio = batch.tensor("audio"), &audio_len = batch.tensor("audio_len");
  VitsSynthesizer::Speech how;
  how.max_len = kNemoMaxLength;
  const auto spoken =
      synthesizer_->infer(batch.tensor("text"), batch.tensor("text_len"), batch.tensor_or_undefined("speaker_id"), how);
  const at::Tensor made = spoken.audio.squeeze(1);
  const at::Tensor made_len =
      (spoken.lengths * options_.n_window_stride).clamp_max(made.size(1)).to(audio_len.options());
  // The front-end reflects the edges of what it hears, which one frame is too short for.
  const int64_t least = 2 * options_.n_fft;
  const at::Tensor heard = made.size(1) < least ? at::constant_pad_nd(made, {0, least - made.size(1)}) : made;
  const at::Tensor mel = mel_of(audio, audio_len), made_mel = mel_of(heard, made_len);
  double sum = 0;
  for (int64_t i = 0; i < audio.size(0); ++i) {
    const int64_t both = std::max<int64_t>(
        1, std::min(audio_len[i].item<int64_t>(), made_len[i].item<int64_t>()) / options_.n_window_stride);
    sum += at::l1_loss(mel[i].narrow(1, 0, both), made_mel[i].narrow(1, 0, both)).item<double>();
  }
  step.log("val_loss", sum / static_cast<double>(audio.size(0)), 0, static_cast<double>(audio.size(0)));
  if (step.batch_idx() != 0) return;
  warn_of_log_config(options_.log_config, context().config_path, "log_audio");
  const auto rate = config_["preprocessor"]["sample_rate"].get<int64_t>();
  SpeechCheck check;
  for (int64_t i = 0; i < std::min(options_.check_speech, audio.size(0)); ++i) {
    check.add(audio[i].narrow(0, 0, audio_len[i].item<int64_t>()), made[i].narrow(0, 0, made_len[i].item<int64_t>()),
              rate);
  }
  check.log(step);
  if (!options_.log_audio) return;
  step.log_image("val_mel_target", picture_of(mel[0]));
  step.log_image("val_mel_predicted", picture_of(made_mel[0]));
  step.log_audio("val_wav_target", audio[0].narrow(0, 0, audio_len[0].item<int64_t>()), rate);
  step.log_audio("val_wav_predicted", made[0].narrow(0, 0, made_len[0].item<int64_t>()), rate);
}

Json VitsModel::synthesis_info() const {
  return {{"sample_rate", config_["preprocessor"]["sample_rate"]},
          {"output", "audio"},
          {"front_end", front_end_info(config_["preprocessor"], "preprocessor")},
          {"speakers", synthesizer_->speakers()},
          {"options",
           {{"pace", "how fast; 1 as trained"},
            {"noise_scale", "how much the sound varies; 0.667"},
            {"noise_scale_w", "how much the rhythm varies; 0.8"},
            {"speaker", "number of the voice, of a model with several"},
            {"seed", "where chance begins; otherwise each time another"}}}};
}

Values VitsModel::synthesize(const Values& parsed, const Json& options) {
  VitsSynthesizer::Speech how;
  // Those of the paper's own inference; NeMo's forward has 1 for both.
  how.noise_scale = 0.667;
  how.noise_scale_w = 0.8;
  at::Tensor speaker;
  for (const auto& [key, value] : options.items()) {
    if (value.is_null()) continue;
    const auto number = [&](double least) {
      if (value.is_number() && value.get<double>() >= least && value.get<double>() <= 100) return value.get<double>();
      throw Error(Code::kUsage, "the option cannot be used")
          .seen(key + "=" + json_text(value))
          .expected("a number from " + json_text(Json(least)) + " to 100");
    };
    if (key == "pace") {
      how.length_scale = 1 / number(0.01);
    } else if (key == "noise_scale") {
      how.noise_scale = number(0);
    } else if (key == "noise_scale_w") {
      how.noise_scale_w = number(0);
    } else if (key == "seed" && value.is_number_integer()) {
      how.generator = at::detail::createCPUGenerator(static_cast<uint64_t>(value.get<int64_t>()));
    } else if (key == "speaker" && value.is_number_integer()) {
      const auto voice = value.get<int64_t>(), count = std::max<int64_t>(1, synthesizer_->speakers());
      if (voice < 0 || voice >= count) {
        throw Error(Code::kUsage, "the model has no such speaker")
            .seen(std::to_string(voice))
            .expected("0 to " + std::to_string(count - 1));
      }
      if (synthesizer_->speakers() > 0) speaker = at::full({1}, voice, at::kLong);
    } else {
      throw Error(Code::kUsage, "the model takes no such option")
          .seen(key + "=" + json_text(value))
          .expected("pace, noise_scale, noise_scale_w, speaker or seed");
    }
  }
  if (synthesizer_->speakers() > 0 && !speaker.defined()) speaker = at::zeros({1}, at::kLong);
  const at::Tensor& tokens = parsed.tensor("tokens");
  if (speaker.defined()) speaker = speaker.to(tokens.device());
  const auto spoken = synthesizer_->infer(tokens, at::full({1}, tokens.size(1), tokens.options()), speaker, how);
  return {{"audio", spoken.audio.squeeze(1)}, {"durations", spoken.durations}};
}

std::vector<PretrainedModelInfo> VitsModel::list_available_models() {
  const std::string root = "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/";
  return {{"tts_en_lj_vits", "English, LJSpeech, female voice, 22050 Hz",
           root + "tts_en_lj_vits/versions/1.13.0/files/vits_ljspeech_fp16_full.nemo"},
          {"tts_en_hifitts_vits", "English, HiFi-TTS, several voices, 44100 Hz",
           root + "tts_en_hifitts_vits/versions/r1.15.0/files/vits_en_hifitts.nemo"}};
}

}  // namespace fathom::tts
