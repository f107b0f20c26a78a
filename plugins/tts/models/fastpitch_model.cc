#include "plugins/tts/models/fastpitch_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "plugins/tts/losses/fastpitch_losses.h"
#include "plugins/tts/models/front_end.h"
#include "plugins/tts/models/loss_check.h"
#include "plugins/tts/models/pictures.h"
#include "plugins/tts/models/speech_check.h"
#include "plugins/tts/modules/griffin_lim.h"

namespace fathom::tts {
namespace {

void add_condition(Json& section) {
  Json& types = section["condition_types"];
  if (!types.is_array()) types = Json::array();
  if (std::find(types.begin(), types.end(), "add") == types.end()) types.push_back("add");
}

// Sections that say a width of their own, where it must be that of another.
void check_width(const Json& section, const char* name, const char* key, int64_t otherwise, const char* other,
                 int64_t width) {
  if (!section.is_object()) return;
  const Json given = section.value(key, Json(otherwise));
  if (!given.is_number_integer() || given == Json(width)) return;
  throw Error(Code::kFailed, "two parts of the model do not fit")
      .at(std::string(name) + "." + key)
      .seen(json_text(given))
      .expected(std::to_string(width) + ", the model's " + other);
}

void check_widths(const FastPitchModelOptions& o) {
  const int64_t width = o.symbols_embedding_dim, bands = o.n_mel_channels;
  const char *text = "symbols_embedding_dim", *mel = "n_mel_channels";
  check_width(o.input_fft, "input_fft", "d_model", 384, text, width);
  check_width(o.output_fft, "output_fft", "d_model", 384, text, width);
  check_width(o.duration_predictor, "duration_predictor", "input_size", 384, text, width);
  check_width(o.pitch_predictor, "pitch_predictor", "input_size", 384, text, width);
  check_width(o.energy_predictor, "energy_predictor", "input_size", 384, text, width);
  check_width(o.preprocessor, "preprocessor", "features", 64, mel, bands);
  if (!o.learn_alignment) return;
  check_width(o.alignment_module, "alignment_module", "n_text_channels", 512, text, width);
  check_width(o.alignment_module, "alignment_module", "n_mel_channels", 80, mel, bands);
}

}  // namespace

void FastPitchModelOptions::describe(OptionSet<FastPitchModelOptions>& o) {
  using Options = FastPitchModelOptions;
  o("preprocessor", &Options::preprocessor, "from audio to log-mel spectrograms");
  o("input_fft", &Options::input_fft, "the encoder (FFTransformerEncoder)");
  o("output_fft", &Options::output_fft, "the decoder (FFTransformerDecoder)");
  o("alignment_module", &Options::alignment_module, "which frame is whose (AlignmentEncoder)");
  o("duration_predictor", &Options::duration_predictor, "how long a token lasts (TemporalPredictor)");
  o("pitch_predictor", &Options::pitch_predictor, "how high it is");
  o("energy_predictor", &Options::energy_predictor, "how loud it is; null: not modelled");
  o("speaker_encoder", &Options::speaker_encoder, "speakers' embeddings; null: a table of n_speakers");
  o("text_tokenizer", &Options::text_tokenizer, "from text to tokens");
  o("text_normalizer", &Options::text_normalizer,
    "from what is written to what is said (tts.TextNormalizer); null: texts are given in words");
  o("text_normalizer_call_kwargs", &Options::text_normalizer_call_kwargs,
    "verbose, punct_pre_process, punct_post_process: accepted; punctuation always stays");
  o("log_config", &Options::log_config,
    "NeMo's generators of files: not made here, a validation that has them says so");
  o("labels", &Options::labels, "characters, of models without text_tokenizer");
  o("learn_alignment", &Options::learn_alignment, "learn durations along with everything else");
  o("use_log_energy", &Options::use_log_energy, "log(1 + energy)");
  o("log_images", &Options::log_images, "spectrograms and alignments to the loggers that take images");
  o("log_audio", &Options::log_audio,
    "the first validation clip as its spectrogram and the predicted one sound, by Griffin-Lim");
  o("check_speech", &Options::check_speech, kCheckedClips);
  o("speaker_emb_condition_prosody", &Options::speaker_emb_condition_prosody, "the predictors hear the speaker");
  o("speaker_emb_condition_decoder", &Options::speaker_emb_condition_decoder, "the decoder hears the speaker");
  o("speaker_emb_condition_aligner", &Options::speaker_emb_condition_aligner, "the aligner hears the speaker");
  o("bin_loss_warmup_epochs", &Options::bin_loss_warmup_epochs, "until the binarization loss counts in full", "epochs");
  o("min_token_duration", &Options::min_token_duration, "of a predicted duration", "frames");
  o("max_token_duration", &Options::max_token_duration, "of a predicted duration", "frames");
  o("n_speakers", &Options::n_speakers, "voices; more than 1: a table of embeddings");
  o("symbols_embedding_dim", &Options::symbols_embedding_dim, "width of the encoder's output");
  o("pitch_embedding_kernel_size", &Options::pitch_embedding_kernel_size, "of the convolution that embeds the pitch");
  o("energy_embedding_kernel_size", &Options::energy_embedding_kernel_size, "of the one that embeds the energy");
  o("n_mel_channels", &Options::n_mel_channels, "mel bands");
  o("dur_loss_scale", &Options::dur_loss_scale, "weight; null: 0.1 with learn_alignment, else 1");
  o("pitch_loss_scale", &Options::pitch_loss_scale, "weight; null: as dur_loss_scale");
  o("energy_loss_scale", &Options::energy_loss_scale, "weight; null: as dur_loss_scale");
  o("aligner_loss_scale", &Options::aligner_loss_scale, "weight of the alignment's losses; null: 1");
  o("pitch_mean", &Options::pitch_mean, "of the voiced frames of the training data", "Hz");
  o("pitch_std", &Options::pitch_std, "their standard deviation", "Hz");
  o("pitch_fmin", &Options::pitch_fmin, "for others to refer to", "Hz");
  o("pitch_fmax", &Options::pitch_fmax, "for others to refer to", "Hz");
  o("pitch_avg", &Options::pitch_avg, "an older name of pitch_mean, for others to refer to");
  for (const auto& [name, member] : {std::pair{"sample_rate", &Options::sample_rate},
                                     {"n_window_size", &Options::n_window_size},
                                     {"n_window_stride", &Options::n_window_stride},
                                     {"n_fft", &Options::n_fft},
                                     {"lowfreq", &Options::lowfreq},
                                     {"highfreq", &Options::highfreq},
                                     {"window", &Options::window},
                                     {"name", &Options::name}})
    o(name, member, "for others to refer to, as in NeMo's configs");
}

FastPitchModel::FastPitchModel(Json config, ModelContext model_context)
    : Model(std::move(config), std::move(model_context)) {
  Json own = Json::object();
  for (const auto& [key, value] : config_.items()) {
    if (options_detail::set_of<Options>().has(key)) own[key] = value;
  }
  options_ = parse_options<Options>(own, context().config_path);
  const auto path_of = [&](const char* key) {
    return context().config_path.empty() ? std::string(key) : context().config_path + "." + key;
  };
  const auto section_of = [&](const Json& section, const char* key) {
    if (section.is_object()) return section;
    throw Error(Code::kFailed, std::string("the model has no section '") + key + "'").at(path_of(key));
  };
  const bool learns = options_.learn_alignment;
  Json input_fft = section_of(options_.input_fft, "input_fft"),
       output_fft = section_of(options_.output_fft, "output_fft");
  Json durations = section_of(options_.duration_predictor, "duration_predictor"),
       pitch = section_of(options_.pitch_predictor, "pitch_predictor");
  if (learns || options_.text_tokenizer.is_object()) {
    text_ = SpeechText(config_, context(), context().config_path);
    input_fft["n_embed"] = text_.vocab_size();
    input_fft["padding_idx"] = text_.pad();
  }
  if (options_.n_speakers > 1) add_condition(input_fft);
  if (options_.speaker_emb_condition_prosody) {
    add_condition(durations);
    add_condition(pitch);
  }
  if (options_.speaker_emb_condition_decoder) add_condition(output_fft);

  check_widths(options_);
  check_clip_count(options_.check_speech, context().config_path);
  FastPitchParts parts;
  parts.n_speakers = options_.n_speakers;
  parts.symbols_embedding_dim = options_.symbols_embedding_dim;
  parts.pitch_embedding_kernel_size = options_.pitch_embedding_kernel_size;
  parts.energy_embedding_kernel_size = options_.energy_embedding_kernel_size;
  parts.n_mel_channels = options_.n_mel_channels;
  parts.min_token_duration = options_.min_token_duration;
  parts.max_token_duration = options_.max_token_duration;
  parts.use_log_energy = options_.use_log_energy;
  if (learns) {
    Json aligner = section_of(options_.alignment_module, "alignment_module");
    if (options_.speaker_emb_condition_aligner) add_condition(aligner);
    parts.aligner = make_module(aligner, path_of("alignment_module"));
    add_child("aligner", parts.aligner);
  }
  front_end_ = make_front_end(section_of(options_.preprocessor, "preprocessor"),
                              has_old_front_end(config_, context().restoring), path_of("preprocessor"));
  add_child("preprocessor", front_end_);
  parts.encoder = make_module(input_fft, path_of("input_fft"));
  parts.decoder = make_module(output_fft, path_of("output_fft"));
  parts.duration_predictor = make_module(durations, path_of("duration_predictor"));
  parts.pitch_predictor = make_module(pitch, path_of("pitch_predictor"));
  if (options_.energy_predictor.is_object())
    parts.energy_predictor = make_module(options_.energy_predictor, path_of("energy_predictor"));
  if (options_.speaker_encoder.is_object())
    parts.speaker_encoder = make_module(options_.speaker_encoder, path_of("speaker_encoder"));
  module_ = register_module("fastpitch", std::make_shared<FastPitchModule>(std::move(parts)));

  const double otherwise = learns ? 0.1 : 1.0;
  duration_scale_ = options_.dur_loss_scale.value_or(otherwise);
  pitch_scale_ = options_.pitch_loss_scale.value_or(otherwise);
  energy_scale_ = options_.energy_loss_scale.value_or(otherwise);
  aligner_scale_ = options_.aligner_loss_scale.value_or(1.0);
}

Ports FastPitchModel::inputs() const {
  return {{"text", {"B T", TokenIndex{}}},
          {"durs", {"B T", ElementType{"TokenDurationType", Json::object()}}, /*is_optional=*/true},
          {"pitch", {"B T", RegressionValuesType{}}, /*is_optional=*/true},
          {"energy", {"B T", RegressionValuesType{}}, /*is_optional=*/true},
          {"speaker", {"B", Index{}}, /*is_optional=*/true},
          {"pace", {std::nullopt, FloatType{}}, /*is_optional=*/true},
          {"spec", {"B D T", MelSpectrogramType{}}, /*is_optional=*/true},
          {"attn_prior", {"B T D", ProbsType{}}, /*is_optional=*/true},
          {"mel_lens", {"B", LengthsType{}}, /*is_optional=*/true},
          {"input_lens", {"B", LengthsType{}}, /*is_optional=*/true},
          {"reference_spec", {"B D T", MelSpectrogramType{}}, /*is_optional=*/true},
          {"reference_spec_lens", {"B", LengthsType{}}, /*is_optional=*/true}};
}

Ports FastPitchModel::outputs() const {
  const ElementType duration{"TokenDurationType", Json::object()};
  return {{"spect", {"B D T", MelSpectrogramType{}}},
          {"num_frames", {"B", duration}},
          {"durs_predicted", {"B T", duration}},
          {"log_durs_predicted", {"B T", ElementType{"TokenLogDurationType", Json::object()}}},
          {"pitch_predicted", {"B T", RegressionValuesType{}}},
          {"attn_soft", {"B S T D", ProbsType{}}, /*is_optional=*/true},
          {"attn_logprob", {"B S T D", LogprobsType{}}, /*is_optional=*/true},
          {"attn_hard", {"B S T D", ProbsType{}}, /*is_optional=*/true},
          {"attn_hard_dur", {"B T", duration}, /*is_optional=*/true},
          {"pitch", {"B T", RegressionValuesType{}}, /*is_optional=*/true},
          {"energy_pred", {"B T", RegressionValuesType{}}, /*is_optional=*/true},
          {"energy_tgt", {"B T", RegressionValuesType{}}, /*is_optional=*/true}};
}

Values FastPitchModel::forward(const Values& in) {
  FastPitchInput given;
  given.text = in.tensor("text");
  given.durations = in.tensor_or_undefined("durs");
  given.pitch = in.tensor_or_undefined("pitch");
  given.energy = in.tensor_or_undefined("energy");
  given.speaker = in.tensor_or_undefined("speaker");
  if (const Value* pace = in.find("pace"); pace != nullptr && !pace->is_none())
    given.pace = pace->is_tensor() ? pace->tensor() : at::scalar_tensor(pace->real(), at::kDouble);
  given.reference_spec = in.tensor_or_undefined("reference_spec");
  given.reference_spec_lens = in.tensor_or_undefined("reference_spec_lens");
  given.spec = in.tensor_or_undefined("spec");
  given.attn_prior = in.tensor_or_undefined("attn_prior");
  given.mel_lens = in.tensor_or_undefined("mel_lens");
  given.input_lens = in.tensor_or_undefined("input_lens");
  const FastPitchOutput out = module_->forward(given);
  Values values = {{"spect", out.spect},
                   {"num_frames", out.num_frames},
                   {"durs_predicted", out.durs_predicted},
                   {"log_durs_predicted", out.log_durs_predicted},
                   {"pitch_predicted", out.pitch_predicted}};
  for (const auto& [name, tensor] : {std::pair{"attn_soft", &out.attn_soft},
                                     {"attn_logprob", &out.attn_logprob},
                                     {"attn_hard", &out.attn_hard},
                                     {"attn_hard_dur", &out.attn_hard_dur},
                                     {"pitch", &out.pitch},
                                     {"energy_pred", &out.energy_predicted},
                                     {"energy_tgt", &out.energy_target}}) {
    if (tensor->defined()) values.add(name, *tensor);
  }
  return values;
}

Values FastPitchModel::input_example() const {
  const int64_t tokens = text_ ? text_.vocab_size() : 2;
  Values example = {{"text", at::arange(16, at::kLong).remainder(std::max<int64_t>(1, tokens - 3)).unsqueeze(0)}};
  if (module_->has_speakers()) example.add("speaker", at::zeros({1}, at::kLong));
  return example;
}

// The config names the dataset: there is none that goes without saying.
MadeDataset FastPitchModel::make_dataset(Stage, const Json&, const std::string&) { return {}; }

std::vector<std::pair<std::string, std::string>> FastPitchModel::artifacts() const { return text_.artifacts(); }

FastPitchInput FastPitchModel::input_of(const Values& batch) {
  FastPitchInput in;
  in.text = batch.tensor("text");
  in.input_lens = batch.tensor("text_len");
  in.spec = batch.tensor_or_undefined("spec");
  if (in.spec.defined()) {
    in.mel_lens = batch.tensor("spec_lens");
  } else {
    const Values mel = front_end_({{"input_signal", batch["audio"]}, {"length", batch["audio_len"]}});
    in.spec = mel.tensor("processed_signal");
    in.mel_lens = mel.tensor("processed_length");
  }
  in.attn_prior = batch.tensor_or_undefined("align_prior_matrix");
  in.pitch = batch.tensor_or_undefined("pitch");
  in.energy = batch.tensor_or_undefined("energy");
  in.speaker = batch.tensor_or_undefined("speaker_id");
  in.durations = batch.tensor_or_undefined("durs");
  if (const at::Tensor reference = batch.tensor_or_undefined("reference_audio"); reference.defined()) {
    const Values mel = front_end_({{"input_signal", reference}, {"length", batch["reference_audio_len"]}});
    in.reference_spec = mel.tensor("processed_signal");
    in.reference_spec_lens = mel.tensor("processed_length");
  }
  if (!in.pitch.defined()) {
    throw Error(Code::kBadData, "the batch has no pitch, which the model is trained by")
        .at("train_ds.dataset")
        .expected("pitch among sup_data_types, or a featurizer of it among featurizers");
  }
  if (module_->has_energy() && !in.energy.defined()) {
    throw Error(Code::kBadData, "the batch has no energy, which the model predicts")
        .at("train_ds.dataset")
        .expected("energy among sup_data_types or featurizers, or energy_predictor: null");
  }
  if (!module_->learns_alignment() && !in.durations.defined()) {
    throw Error(Code::kBadData, "the batch has no durations, and no alignment is learned")
        .at("train_ds")
        .expected("durs in a batch, or learn_alignment: true");
  }
  return in;
}

at::Tensor FastPitchModel::Losses::sum() const { return energy.defined() ? pitch + energy : pitch; }

FastPitchModel::Losses FastPitchModel::losses_of(const FastPitchInput& in, const FastPitchOutput& out) const {
  Losses losses;
  losses.mel = mel_loss(out.spect, in.spec);
  const at::Tensor& durations = in.durations.defined() ? in.durations : out.attn_hard_dur;
  losses.duration = duration_loss(out.log_durs_predicted, durations, in.input_lens) * duration_scale_;
  losses.pitch = token_loss(out.pitch_predicted, out.pitch, in.input_lens) * pitch_scale_;
  if (out.energy_target.defined())
    losses.energy = token_loss(out.energy_predicted, out.energy_target, in.input_lens) * energy_scale_;
  return losses;
}

at::Tensor FastPitchModel::training_step(const Values& batch, const Step& step) {
  FastPitchInput in = input_of(batch);
  FastPitchInput given = in;
  if (!module_->learns_alignment()) given.spec.reset();
  const FastPitchOutput out = module_->forward(given);
  const Losses losses = losses_of(in, out);
  at::Tensor loss = losses.mel + losses.duration;
  at::Tensor ctc, bin;
  if (module_->learns_alignment()) {
    ctc = forward_sum_loss(out.attn_logprob, in.input_lens, in.mel_lens) * aligner_scale_;
    const double warm = options_.bin_loss_warmup_epochs > 0
                            ? std::min(static_cast<double>(step.epoch()) / options_.bin_loss_warmup_epochs, 1.0)
                            : 1.0;
    bin = bin_loss(out.attn_hard, out.attn_soft) * aligner_scale_ * warm;
    loss = loss + (ctc + bin);
  }
  loss = loss + losses.sum();
  warn_of_infinite(loss, "t_loss", step,
                   {{"t_mel_loss", &losses.mel},
                    {"t_dur_loss", &losses.duration},
                    {"t_pitch_loss", &losses.pitch},
                    {"t_energy_loss", &losses.energy},
                    {"t_ctc_loss", &ctc},
                    {"t_bin_loss", &bin}});
  step.log("t_loss", loss.detach());
  step.log("t_mel_loss", losses.mel.detach());
  step.log("t_dur_loss", losses.duration.detach());
  step.log("t_pitch_loss", losses.pitch.detach());
  if (losses.energy.defined()) step.log("t_energy_loss", losses.energy.detach());
  if (ctc.defined()) {
    step.log("t_ctc_loss", ctc.detach());
    step.log("t_bin_loss", bin.detach());
  }
  if (options_.log_images && shows_training_) log_alignment(in, out, step);
  return loss;
}

void FastPitchModel::log_alignment(const FastPitchInput& in, const FastPitchOutput& out, const Step& step) {
  shows_training_ = false;
  step.log_image("train_mel_target", picture_of(in.spec[0]));
  step.log_image("train_mel_predicted", picture_of(out.spect[0]));
  if (!out.attn_hard.defined()) return;
  step.log_image("train_attn", picture_of(out.attn_hard[0][0].t()));
  step.log_image("train_soft_attn", picture_of(out.attn_soft[0][0].t()));
}

void FastPitchModel::validation_step(const Values& batch, const Step& step) {
  const FastPitchInput in = input_of(batch);
  FastPitchInput given = in;
  if (!module_->learns_alignment()) given.spec.reset();
  const FastPitchOutput out = module_->forward(given);
  const Losses losses = losses_of(in, out);
  // Every batch counts the same, as in NeMo.
  const auto log_mean = [&](const char* name, const at::Tensor& value) { step.log(name, value.detach(), 0, 1); };
  log_mean("val_loss", losses.mel + losses.duration + losses.sum());
  log_mean("val_mel_loss", losses.mel);
  log_mean("val_dur_loss", losses.duration);
  log_mean("val_pitch_loss", losses.pitch);
  if (losses.energy.defined()) log_mean("val_energy_loss", losses.energy);
  if (step.batch_idx() != 0) return;
  warn_of_log_config(options_.log_config, context().config_path, "log_images or log_audio");
  if (options_.log_audio) log_speech(in, out, step);
  if (options_.check_speech > 0) {
    SpeechCheck check;
    const auto rate = config_["preprocessor"]["sample_rate"].get<int64_t>();
    const at::Tensor audio = batch.tensor_or_undefined("audio");
    for (int64_t i = 0; audio.defined() && i < std::min(options_.check_speech, audio.size(0)); ++i) {
      const int64_t frames = std::min(in.mel_lens[i].item<int64_t>(), out.spect.size(2));
      check.add(audio[i].narrow(0, 0, batch.tensor("audio_len")[i].item<int64_t>()),
                heard_by(listener_, config_["preprocessor"], out.spect[i].narrow(1, 0, frames)), rate);
    }
    check.log(step);
  }
  if (!options_.log_images) return;
  step.log_image("val_mel_target", picture_of(in.spec[0]));
  step.log_image("val_mel_predicted", picture_of(out.spect[0]));
  shows_training_ = true;
}

void FastPitchModel::log_speech(const FastPitchInput& in, const FastPitchOutput& out, const Step& step) {
  const auto rate = config_["preprocessor"]["sample_rate"].get<int64_t>();
  const int64_t frames = std::min({in.mel_lens[0].item<int64_t>(), out.spect.size(2), in.spec.size(2)});
  for (const auto& [name, spect] : {std::pair{"val_audio_target", &in.spec}, {"val_audio_predicted", &out.spect}}) {
    step.log_audio(name, heard_by(listener_, config_["preprocessor"], (*spect)[0].narrow(1, 0, frames)), rate);
  }
}

std::vector<PretrainedModelInfo> FastPitchModel::list_available_models() {
  const std::string root = "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/";
  return {{"tts_en_fastpitch", "English, LJSpeech, female voice, ARPABET, 22050 Hz",
           root + "tts_en_fastpitch/versions/1.8.1/files/tts_en_fastpitch_align.nemo"},
          {"tts_en_fastpitch_ipa", "English, LJSpeech, female voice, IPA, 22050 Hz",
           root + "tts_en_fastpitch/versions/IPA_1.13.0/files/tts_en_fastpitch_align_ipa.nemo"},
          {"tts_en_fastpitch_multispeaker", "English, HiFi-TTS, ten voices, 44100 Hz",
           root + "tts_en_multispeaker_fastpitchhifigan/versions/1.10.0/files/tts_en_fastpitch_multispeaker.nemo"},
          {"tts_de_fastpitch_singleSpeaker_thorstenNeutral_2102", "German, Thorsten, 22050 Hz",
           root + "tts_de_fastpitchhifigan/versions/1.15.0/files/tts_de_fastpitch_thorstens2102.nemo"},
          {"tts_de_fastpitch_singleSpeaker_thorstenNeutral_2210", "German, Thorsten, 22050 Hz",
           root + "tts_de_fastpitchhifigan/versions/1.15.0/files/tts_de_fastpitch_thorstens2210.nemo"},
          {"tts_de_fastpitch_multispeaker_5", "German, HUI-Audio-Corpus, five voices, 44100 Hz",
           root + "tts_de_fastpitch_multispeaker_5/versions/1.11.0/files/tts_de_fastpitch_multispeaker_5.nemo"},
          {"tts_es_fastpitch_multispeaker", "Latin American Spanish, 174 voices, 44100 Hz",
           root + "tts_es_multispeaker_fastpitchhifigan/versions/1.15.0/files/tts_es_fastpitch_multispeaker.nemo"},
          {"tts_zh_fastpitch_sfspeech", "Mandarin Chinese, SFSpeech, female voice, 22050 Hz",
           root + "tts_zh_fastpitch_hifigan_sfspeech/versions/1.15.0/files/tts_zh_fastpitch_sfspeech.nemo"}};
}

}  // namespace fathom::tts
