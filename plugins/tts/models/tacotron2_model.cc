#include "plugins/tts/models/tacotron2_model.h"

#include <ATen/ATen.h>

#include "plugins/tts/models/front_end.h"
#include "plugins/tts/models/loss_check.h"
#include "plugins/tts/models/pictures.h"
#include "plugins/tts/models/speech_check.h"
#include "plugins/tts/modules/griffin_lim.h"

namespace fathom::tts {
namespace {

constexpr int64_t kEmbedding = 512;  // NeMo's, whatever the encoder is

}  // namespace

void Tacotron2ModelOptions::describe(OptionSet<Tacotron2ModelOptions>& o) {
  using Options = Tacotron2ModelOptions;
  o("preprocessor", &Options::preprocessor, "from audio to log-mel spectrograms (FilterbankFeatures)");
  o("encoder", &Options::encoder, "from tokens to what is attended to (Encoder)");
  o("decoder", &Options::decoder, "from there to frames (Decoder)");
  o("postnet", &Options::postnet, "what refines them (Postnet)");
  o("text_tokenizer", &Options::text_tokenizer, "from text to tokens");
  o("text_normalizer", &Options::text_normalizer,
    "from what is written to what is said (tts.TextNormalizer); null: texts are given in words");
  o("text_normalizer_call_kwargs", &Options::text_normalizer_call_kwargs,
    "verbose, punct_pre_process, punct_post_process: accepted; punctuation always stays");
  o("labels", &Options::labels, "characters, of models without text_tokenizer");
  o("log_images", &Options::log_images, "spectrograms and alignments to the loggers that take images");
  o("check_speech", &Options::check_speech, kCheckedClips);
  o("log_config", &Options::log_config,
    "NeMo's generators of files: not made here, a validation that has them says so");
  for (const auto& [name, member] : {std::pair{"pitch_fmin", &Options::pitch_fmin},
                                     {"pitch_fmax", &Options::pitch_fmax},
                                     {"sample_rate", &Options::sample_rate},
                                     {"n_mel_channels", &Options::n_mel_channels},
                                     {"n_window_size", &Options::n_window_size},
                                     {"n_window_stride", &Options::n_window_stride},
                                     {"n_fft", &Options::n_fft},
                                     {"lowfreq", &Options::lowfreq},
                                     {"highfreq", &Options::highfreq},
                                     {"window", &Options::window},
                                     {"pad_value", &Options::pad_value},
                                     {"name", &Options::name}})
    o(name, member, "for others to refer to, as in NeMo's configs");
}

Tacotron2Model::Tacotron2Model(Json config, ModelContext model_context)
    : Model(std::move(config), std::move(model_context)) {
  Json own = Json::object();
  for (const auto& [key, value] : config_.items()) {
    if (options_detail::set_of<Options>().has(key)) own[key] = value;
  }
  options_ = parse_options<Options>(own, context().config_path);
  check_clip_count(options_.check_speech, context().config_path);
  const auto path_of = [&](const char* key) {
    return context().config_path.empty() ? std::string(key) : context().config_path + "." + key;
  };
  if (!options_.preprocessor.is_object()) {
    throw Error(Code::kFailed, "the model has no section 'preprocessor'")
        .at(path_of("preprocessor"))
        .expected("a section of FilterbankFeatures");
  }
  if (const Json pad = options_.preprocessor.value("pad_value", Json(0)); pad.is_number()) pad_value_ = pad;
  int64_t tokens = 0;
  if (options_.text_tokenizer.is_object()) {
    text_ = SpeechText(config_, context(), context().config_path);
    tokens = text_.vocab_size();
  } else if (options_.labels && !options_.labels->empty()) {
    parser_ = std::make_unique<text::CharParser>(text::CharParser::Config{.labels = *options_.labels});
    tokens = static_cast<int64_t>(options_.labels->size()) + 3;
  } else {
    throw Error(Code::kFailed, "the model has no text tokenizer")
        .at(path_of("text_tokenizer"))
        .expected("a section text_tokenizer, or labels as models of NeMo 1.0 have them");
  }
  // No NeMo of the newer front-end has Tacotron 2.
  front_end_ = make_front_end(options_.preprocessor, /*old=*/true, path_of("preprocessor"));
  add_child("audio_to_melspec_precessor", front_end_);
  embedding_ = register_module("text_embedding", torch::nn::Embedding(tokens, kEmbedding));
  const std::string module = "nemo.collections.tts.modules.tacotron2.";
  encoder_ = make_child("encoder", module + "Encoder");
  decoder_ = make_child("decoder", module + "Decoder");
  postnet_ = make_child("postnet", module + "Postnet");
}

Ports Tacotron2Model::inputs() const {
  return {{"tokens", {"B T", EmbeddedTextType{}}},
          {"token_len", {"B", LengthsType{}}},
          {"audio", {"B T", AudioSignal{}}, /*is_optional=*/true},
          {"audio_len", {"B", LengthsType{}}, /*is_optional=*/true}};
}

Ports Tacotron2Model::outputs() const {
  return {{"spec_pred_dec", {"B D T", MelSpectrogramType{}}},
          {"spec_pred_postnet", {"B D T", MelSpectrogramType{}}},
          {"gate_pred", {"B T", LogitsType{}}},
          {"alignments", {"B T T", ElementType{"SequenceToSequenceAlignmentType", Json::object()}}},
          {"pred_length", {"B", LengthsType{}}, /*is_optional=*/true},
          {"spec_target", {"B D T", MelSpectrogramType{}}, /*is_optional=*/true},
          {"spec_target_len", {"B", LengthsType{}}, /*is_optional=*/true}};
}

// Embedding would say no more than that an index is out of range.
void Tacotron2Model::check_tokens(const at::Tensor& tokens, const std::string& where) const {
  if (tokens.numel() == 0) throw Error(Code::kBadData, "there are no tokens to speak").at(where);
  const int64_t most = tokens.max().item<int64_t>(), least = tokens.min().item<int64_t>();
  const int64_t count = embedding_->weight.size(0);
  if (least >= 0 && most < count) return;
  throw Error(Code::kBadData, "a token is not among the model's")
      .at(where)
      .seen(std::to_string(least < 0 ? least : most))
      .expected("0 to " + std::to_string(count - 1))
      .next("use the model's own tokenizer for its data");
}

Tacotron2Model::Spoken Tacotron2Model::speak(const at::Tensor& tokens, const at::Tensor& lengths,
                                             const at::Tensor& target, const Value* seed) {
  check_tokens(tokens, "tokens");
  const Values encoded = encoder_({{"token_embedding", embedding_(tokens).transpose(1, 2)}, {"token_len", lengths}});
  Values given = {{"memory", encoded["encoder_embedding"]}, {"memory_lengths", lengths}};
  if (is_training()) given.add("decoder_inputs", target);
  if (seed != nullptr) given.add("seed", *seed);
  Spoken spoken{decoder_(given), {}};
  spoken.postnet = postnet_({{"mel_spec", spoken.decoded["mel_outputs"]}}).tensor("mel_spec");
  return spoken;
}

Values Tacotron2Model::forward(const Values& in) {
  Values target;
  if (in.find("audio") != nullptr) target = front_end_({{"input_signal", in["audio"]}, {"length", in["audio_len"]}});
  if (is_training() && target.empty()) {
    throw Error(Code::kBadData, "a model in training needs the audio that is spoken")
        .at("audio")
        .expected("audio and audio_len, or the model in evaluation");
  }
  const Spoken spoken = speak(in.tensor("tokens"), in.tensor("token_len"),
                              target.empty() ? at::Tensor() : target.tensor("processed_signal"), nullptr);
  Values out = {{"spec_pred_dec", spoken.decoded.tensor("mel_outputs")},
                {"spec_pred_postnet", spoken.postnet},
                {"gate_pred", spoken.decoded.tensor("gate_outputs")},
                {"alignments", spoken.decoded.tensor("alignments")}};
  if (!is_training()) out.add("pred_length", spoken.decoded.tensor("mel_lengths"));
  if (!target.empty()) {
    out.add("spec_target", target.tensor("processed_signal"));
    out.add("spec_target_len", target.tensor("processed_length"));
  }
  return out;
}

Values Tacotron2Model::input_example() const {
  const int64_t tokens = embedding_->weight.size(0);
  Values example = {{"tokens", at::arange(16, at::kLong).remainder(std::max<int64_t>(1, tokens - 3)).unsqueeze(0)},
                    {"token_len", at::full({1}, 16, at::kLong)}};
  if (is_training()) {
    const Values audio = front_end_.input_example();
    example.add("audio", audio.tensor("input_signal"));
    example.add("audio_len", audio.tensor("length"));
  }
  return example;
}

// The config names the dataset: there is none that goes without saying.
MadeDataset Tacotron2Model::make_dataset(Stage, const Json&, const std::string&) { return {}; }

Tacotron2Model::Judged Tacotron2Model::judge(const Values& batch, const Step& step) {
  // Names of TTSDataset, or of AudioToCharDataset, which models with labels are trained by.
  const auto get = [&](const char* name, const char* old) -> const Value& {
    return batch.find(name) != nullptr ? batch[name] : batch[old];
  };
  const Values mel =
      front_end_({{"input_signal", get("audio", "audio_signal")}, {"length", get("audio_len", "a_sig_length")}});
  Judged out;
  out.target = mel.tensor("processed_signal");
  out.spoken =
      speak(get("text", "transcripts").tensor(), get("text_len", "transcript_length").tensor(), out.target, nullptr);
  out.losses =
      tacotron2_loss(out.spoken.decoded.tensor("mel_outputs"), out.spoken.postnet,
                     out.spoken.decoded.tensor("gate_outputs"), out.target, mel.tensor("processed_length"), pad_value_);
  for (const auto& [name, loss] :
       {std::pair{"mel_loss", &out.losses.mel}, {"postnet_loss", &out.losses.postnet}, {"gate_loss", &out.losses.gate}})
    require_finite(*loss, name, step);
  return out;
}

at::Tensor Tacotron2Model::training_step(const Values& batch, const Step& step) {
  const Tacotron2Losses losses = judge(batch, step).losses;
  step.log("train_loss", losses.loss.detach());
  step.log("train_mel_loss", losses.mel.detach());
  step.log("train_postnet_loss", losses.postnet.detach());
  step.log("train_gate_loss", losses.gate.detach());
  return losses.loss;
}

void Tacotron2Model::validation_step(const Values& batch, const Step& step) {
  const Judged judged = judge(batch, step);
  // Every batch counts the same, as in NeMo.
  step.log("val_loss", judged.losses.loss.detach(), 0, 1);
  if (step.batch_idx() != 0) return;
  warn_of_log_config(options_.log_config, context().config_path, "log_images");
  if (options_.check_speech > 0) {
    const bool named = batch.find("audio") != nullptr;
    const at::Tensor audio = batch.tensor(named ? "audio" : "audio_signal"),
                     lengths = batch.tensor(named ? "audio_len" : "a_sig_length");
    const auto rate = config_["preprocessor"]["sample_rate"].get<int64_t>();
    SpeechCheck check;
    for (int64_t i = 0; i < std::min(options_.check_speech, audio.size(0)); ++i) {
      check.add(audio[i].narrow(0, 0, lengths[i].item<int64_t>()),
                heard_by(listener_, config_["preprocessor"], judged.spoken.postnet[i]), rate);
    }
    check.log(step);
  }
  if (!options_.log_images) return;
  step.log_image("val_mel_target", picture_of(judged.target[0]));
  step.log_image("val_mel_predicted", picture_of(judged.spoken.postnet[0]));
  step.log_image("val_alignment", picture_of(judged.spoken.decoded.tensor("alignments")[0].t()));
  step.log_image("val_gate", at::sigmoid(judged.spoken.decoded.tensor("gate_outputs").narrow(0, 0, 1)));
}

Json Tacotron2Model::synthesis_info() const {
  return {{"sample_rate", config_["preprocessor"]["sample_rate"]},
          {"output", "spectrogram"},
          {"front_end", front_end_info(config_["preprocessor"], "preprocessor")},
          {"speakers", 0},
          {"options", {{"seed", "where the pre-net's dropout begins; otherwise each time another"}}}};
}

Values Tacotron2Model::parse(const std::string& given, const Json& options) {
  if (text_) return text_.parse(given, options);
  const auto parsed = parser_->parse(given);
  if (!parsed || parsed->ids.empty()) {
    throw Error(Code::kBadData, "the text has nothing to speak")
        .seen(given.size() > 80 ? given.substr(0, 80) + "…" : given)
        .expected("letters among the model's labels");
  }
  const auto begin = static_cast<int64_t>(parser_->labels().size());
  std::vector<int64_t> tokens = {begin};
  tokens.insert(tokens.end(), parsed->ids.begin(), parsed->ids.end());
  tokens.push_back(begin + 1);
  Values out = {{"tokens", at::tensor(tokens, at::kLong).unsqueeze(0)},
                {"text", parser_->normalize(given).value_or(given)}};
  if (parsed->unknown > 0) out.add("skipped", json_text(Json{{"symbols without a token", parsed->unknown}}));
  return out;
}

Values Tacotron2Model::synthesize(const Values& parsed, const Json& options) {
  Value seed;
  for (const auto& [key, value] : options.items()) {
    if (value.is_null()) continue;
    if (key == "speaker" && value == Json(0)) continue;
    if (key == "seed" && value.is_number_integer()) {
      seed = Value(value.get<int64_t>());
      continue;
    }
    throw Error(Code::kUsage, key == "speaker" ? "the model has one voice" : "the model takes no such option")
        .seen(key + "=" + json_text(value))
        .expected("seed: a whole number");
  }
  const at::Tensor& tokens = parsed.tensor("tokens");
  const Spoken spoken = speak(tokens, at::full({1}, tokens.size(1), at::kLong), {}, seed.is_none() ? nullptr : &seed);
  return {{"spect", spoken.postnet}};
}

std::vector<PretrainedModelInfo> Tacotron2Model::list_available_models() {
  return {{"tts_en_tacotron2",
           "English, LJSpeech, female voice, 22050 Hz",
           "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/tts_en_tacotron2/versions/1.10.0/files/"
           "tts_en_tacotron2.nemo",
           {"Tacotron2-22050Hz"}}};
}

}  // namespace fathom::tts
