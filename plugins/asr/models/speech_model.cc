#include "plugins/asr/models/speech_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "plugins/asr/data/data_section.h"
#include "plugins/asr/data/speech_set.h"
#include "plugins/asr/decoding/written_text.h"
#include "plugins/asr/modules/inference_compute.h"

namespace fathom::asr {
namespace {

Value list_of(const std::vector<std::string>& texts) { return std::vector<Value>(texts.begin(), texts.end()); }

}  // namespace

Json with_target(Json section, const char* target) {
  if (!section.contains("_target_") && !section.contains("cls")) section["_target_"] = target;
  return section;
}

void SpeechModelOptions::describe(OptionSet<SpeechModelOptions>& o) {
  using Options = SpeechModelOptions;
  o("preprocessor", &Options::preprocessor, "the front-end: from samples to features");
  o("encoder", &Options::encoder, "from features to encoded frames");
  o("spec_augment", &Options::spec_augment, "masks of features in training; null: none");
  o("labels", &Options::labels, "the characters; also decoder.vocabulary");
  o("tokenizer", &Options::tokenizer,
    "of a model of subwords: {dir, type: bpe or wpe}; to change it when fine-tuning: update_tokenizer: true");
  o("sample_rate", &Options::sample_rate, "of the audio, where the preprocessor does not say", "Hz");
  o("use_cer", &Options::use_cer, "error rates count characters, not words");
  o("log_prediction", &Options::log_prediction, "log a reference and what was heard, once a batch");
  o("char_labels", &Options::char_labels, "other labels, in a run that fine-tunes a whole model");
}

SpeechModel::SpeechModel(Json config, ModelContext context, Kind kind)
    : Model(std::move(config), std::move(context)), kind_(std::move(kind)) {
  std::vector<const char*> needed = {"preprocessor", "encoder"};
  needed.insert(needed.end(), kind_.sections.begin(), kind_.sections.end());
  for (const char* key : needed) {
    if (!config_.contains(key) || !config_[key].is_object()) {
      throw Error(Code::kFailed, std::string("the model's config has no section '") + key + "'")
          .at(this->context().config_path);
    }
  }
  const Json wer = {{"_target_", "asr.WER"}, {"use_cer", config_.value("use_cer", false)}};
  wer_ = make_metric(wer, path_of("wer"));
  batch_wer_ = make_metric(wer, path_of("wer"));
  val_loss_ = make_metric({{"_target_", "asr.GlobalAverageLossMetric"}}, path_of("val_loss"));
  log_prediction_ = config_.value("log_prediction", false);
  sample_rate_ = config_["preprocessor"].value("sample_rate", config_.value("sample_rate", int64_t{16000}));
  const VersionConventions conventions(config_, this->context().restoring);
  read_tokenizer();
  complete_labels();
  vocabulary_ = make_vocabulary();
  const Json relabelled = config_.value("char_labels", Json(nullptr));
  if (!this->context().restoring && relabelled.is_object() && relabelled.value("update_labels", Json()) == true)
    log_warning(path_of("char_labels") + " is for fine-tuning: init_from_nemo_model, and no class in the section");

  front_end_section_ = with_target(config_["preprocessor"], kDefaultPreprocessor);
  preprocessor_ = make_child("preprocessor", kDefaultPreprocessor);
  encoder_ = make_child("encoder", "nemo.collections.asr.modules.ConvASREncoder");
  add_child("wer", wer_);
  add_child("val_loss", val_loss_);
}

void SpeechModel::make_spec_augment() {
  if (!config_.contains("spec_augment") || !config_["spec_augment"].is_object()) return;
  spec_augmentation_ =
      make_module(with_target(config_["spec_augment"], "nemo.collections.asr.modules.SpectrogramAugmentation"),
                  path_of("spec_augment"));
  add_child("spec_augmentation", spec_augmentation_);
}

void SpeechModel::log_info(const std::string& text) const { fathom::log(LogLevel::kInfo, kind_.name, text); }
void SpeechModel::log_warning(const std::string& text) const { fathom::log(LogLevel::kWarning, kind_.name, text); }

std::string SpeechModel::path_of(const char* section) const {
  const std::string& path = context().config_path;
  return path.empty() ? std::string(section) : path + "." + section;
}

// --- from audio to the encoder's output ------------------------------------------------------------------------------

Ports SpeechModel::inputs() const {
  return {{"input_signal", {"B T", AudioSignal{sample_rate_}}, true},
          {"input_signal_length", {"B", LengthsType{}}, true},
          {"processed_signal", {"B D T", SpectrogramType{}}, true},
          {"processed_signal_length", {"B", LengthsType{}}, true},
          {"sample_id", {"B", LengthsType{}}, true}};
}

Values SpeechModel::input_example() const {
  const int64_t samples = sample_rate_;
  return {{"input_signal", at::zeros({1, samples})}, {"input_signal_length", at::full({1}, samples, at::kLong)}};
}

SpeechModel::Encoded SpeechModel::encode_features(Value features, const Value& lengths) {
  // A model of another precision than its front-end (precision: 64-true) gets its own.
  const auto weights = encoder_.torch_module()->parameters();
  if (!weights.empty() && features.tensor().scalar_type() != weights.front().scalar_type())
    features.set_tensor(features.tensor().to(weights.front().scalar_type()));
  if (spec_augmentation_ && is_training())
    features = spec_augmentation_({{"input_spec", features}, {"length", lengths}})["augmented_spec"];
  const Values encoded = encoder_({{"audio_signal", features}, {"length", lengths}});
  return {head(encoded["outputs"], encoded["encoded_lengths"]), encoded["encoded_lengths"]};
}

SpeechModel::Encoded SpeechModel::encode(const Values& batch) {
  const at::Tensor processed = batch.tensor_or_undefined("processed_signal");
  if (processed.defined()) return encode_features(batch["processed_signal"], batch["processed_signal_length"]);
  const bool from_forward = batch.find("input_signal") != nullptr;
  const Values features = preprocessor_({{"input_signal", batch[from_forward ? "input_signal" : "audio_signal"]},
                                         {"length", batch[from_forward ? "input_signal_length" : "a_sig_length"]}});
  return encode_features(features["processed_signal"], features["processed_length"]);
}

SpeechModel::Encoded SpeechModel::encode_inputs(const Values& in) {
  const auto has = [&](const char* name) { return in.tensor_or_undefined(name).defined(); };
  const bool audio = has("input_signal") && has("input_signal_length");
  const bool features = has("processed_signal") && has("processed_signal_length");
  if (audio == features) {
    throw Error(Code::kFailed, "forward takes audio or features, with their lengths")
        .at(owner_name())
        .expected("input_signal and input_signal_length, or processed_signal and processed_signal_length");
  }
  return encode(in);
}

// --- training and evaluation -----------------------------------------------------------------------------------------

void SpeechModel::count_errors(const std::vector<std::string>& texts, const Values& batch,
                               const MetricHandle& wer) const {
  const auto references = texts_of(vocabulary(), batch.tensor("transcripts"), batch.tensor("transcript_length"));
  wer.update({{"hypotheses", list_of(texts)}, {"references", list_of(references)}});
}

double SpeechModel::error_rate_of(const std::vector<std::string>& texts, const Values& batch, size_t first,
                                  size_t last) {
  const auto begin = static_cast<int64_t>(first), end = static_cast<int64_t>(last);
  const auto references = texts_of(vocabulary(), batch.tensor("transcripts").slice(0, begin, end),
                                   batch.tensor("transcript_length").slice(0, begin, end));
  batch_wer_.reset();
  batch_wer_.update(
      {{"hypotheses", list_of({texts.begin() + begin, texts.begin() + end})}, {"references", list_of(references)}});
  return batch_wer_.compute().at("wer");
}

double SpeechModel::training_error_rate(const std::vector<std::string>& texts, const Values& batch) {
  return error_rate_of(texts, batch, 0, texts.size());
}

void SpeechModel::log_first_prediction(const std::vector<std::string>& texts, const Values& batch) const {
  if (!log_prediction_ || texts.empty()) return;
  const auto references = texts_of(vocabulary(), batch.tensor("transcripts").slice(0, 0, 1),
                                   batch.tensor("transcript_length").slice(0, 0, 1));
  log_info("reference: " + references[0]);
  log_info("predicted: " + texts[0]);
}

at::Tensor SpeechModel::training_step(const Values& batch, const Step& step) {
  inter_ctc_.capture();
  const Encoded encoded = encode(batch);
  at::Tensor loss = loss_of(encoded, batch);
  const bool errors = step.log_every_n_steps() > 0 && (step.batch_idx() + 1) % step.log_every_n_steps() == 0;
  if (inter_ctc_) loss = inter_ctc_.train(loss, inter_ctc_head(batch), step, errors);
  step.log("train_loss", loss.detach());
  step.log("learning_rate", step.learning_rate());
  step.log("global_step", static_cast<double>(step.global_step()));
  if (errors) {
    const std::vector<std::string> texts = best_texts(encoded);
    log_first_prediction(texts, batch);
    step.log("training_batch_wer", training_error_rate(texts, batch));
  }
  log_training(encoded, batch, step, errors);
  return loss;
}

void SpeechModel::validation_step(const Values& batch, const Step& step) {
  if (step.batch_idx() == 0) reset_evaluation();  // one that was broken off leaves nothing behind
  inter_ctc_.capture();
  const Encoded encoded = encode(batch);
  at::Tensor loss = loss_of(encoded, batch);
  if (inter_ctc_) loss = inter_ctc_.evaluate(loss, inter_ctc_head(batch));
  if (loss.defined()) val_loss_.update({{"loss", loss}, {"num_measurements", loss_weight(batch)}});
  const std::vector<std::string> texts = best_texts(encoded);
  log_first_prediction(texts, batch);
  count_errors(texts, batch, wer_);
  evaluate_also(encoded, batch);
}

void SpeechModel::eval_epoch_end(const Step& step) {
  const std::string prefix = step.stage() == Stage::kTest ? "test_" : "val_";
  const bool has_loss = val_loss_.sums().at("measurements") > 0;
  if (has_loss) step.log(prefix + "loss", val_loss_.compute().at("loss"));
  const auto errors = wer_.sums();
  if (has_loss || errors.at("units") > 0 || errors.at("errors") > 0) {  // there was a batch
    step.log(prefix + "wer", wer_.compute().at("wer"));
    inter_ctc_.log(step, prefix);
    log_evaluation(step, prefix);
  }
  reset_evaluation();
}

InterCtc::Head SpeechModel::inter_ctc_head(const Values& /*batch*/) {
  throw Error(Code::kInternal, "a model without a CTC head reads no layers").at(owner_name());
}

void SpeechModel::set_inter_ctc(const Json& wer) {
  inter_ctc_ = InterCtc(config_.value("interctc", Json(nullptr)), encoder_, path_of("interctc"), wer);
  for (const auto& [name, metric] : inter_ctc_.metrics()) add_child(name, metric);
}

void SpeechModel::reset_evaluation() {
  inter_ctc_.reset();
  val_loss_.reset();
  wer_.reset();
}

// --- data ------------------------------------------------------------------------------------------------------------

template <typename Dataset>
typename Dataset::Options SpeechModel::dataset_options(const Json& section, const std::string& config_path) const {
  constexpr bool kOfCharacters = std::is_same_v<Dataset, AudioToCharDataset>;
  Json own = dataset_keys(section, option_names<typename Dataset::Options>(), config_path);
  if (!own.contains("sample_rate") || own["sample_rate"].is_null()) own["sample_rate"] = sample_rate_;
  if constexpr (kOfCharacters) {
    if (!own.contains("labels") || own["labels"].is_null()) own["labels"] = labels_;
  }
  auto options = parse_options<typename Dataset::Options>(own, config_path);
  if constexpr (kOfCharacters) {
    if (options.labels != labels_)
      log_warning(config_path + ".labels differ from the model's labels: transcripts and predictions will not match");
  } else if (!options.tokenizer.is_null()) {
    throw Error(Code::kFailed, "the transcripts' tokenizer is the model's")
        .at(config_path + ".tokenizer")
        .seen(json_text(options.tokenizer))
        .next("leave it out");
  }
  if (options.sample_rate != sample_rate_) {
    throw Error(Code::kFailed, "the data's sample rate is not the front-end's")
        .at(config_path + ".sample_rate")
        .seen(std::to_string(options.sample_rate))
        .expected(std::to_string(sample_rate_));
  }
  return options;
}

MadeDataset SpeechModel::make_predict_dataset(const Json& section, const std::string& config_path) const {
  audio::Manifest clips = predict_clips(section, config_path);
  Json own = section;
  if (own.erase("paths") > 0) own["manifest_filepath"] = "";
  if (tokenizer_) {
    return AudioToBPEDataset::for_inference(dataset_options<AudioToBPEDataset>(own, config_path),
                                            tokenizer_.tokenizer(), std::move(clips));
  }
  return AudioToCharDataset::for_inference(dataset_options<AudioToCharDataset>(own, config_path), std::move(clips));
}

MadeDataset SpeechModel::make_dataset(Stage stage, const Json& section, const std::string& config_path) {
  if (section.is_null() || section.empty()) return nullptr;
  if (stage == Stage::kPredict) return make_predict_dataset(section, config_path);
  if (!section.contains("manifest_filepath") || section["manifest_filepath"].is_null()) {
    log_warning(config_path + " has no manifest_filepath: no data for it");
    return nullptr;
  }
  try {
    return make_speech_set(section, config_path, [&](const Json& part) -> std::shared_ptr<AudioToTextDataset> {
      if (!tokenizer_)
        return std::make_shared<AudioToCharDataset>(dataset_options<AudioToCharDataset>(part, config_path));
      return std::make_shared<AudioToBPEDataset>(dataset_options<AudioToBPEDataset>(part, config_path),
                                                 tokenizer_.tokenizer());
    });
  } catch (Error& error) {
    error.locate(config_path);
    throw;
  }
}

// --- transcription ---------------------------------------------------------------------------------------------------

SpeechModel::TranscribeOptions SpeechModel::transcribe_options(const Json& options) const {
  const std::vector<std::string> decoders = decoder_types();
  TranscribeOptions out;
  for (const auto& [key, value] : options.items()) {
    if (key == "timestamps") {
      if (!value.is_null() && !value.is_boolean())
        throw Error(Code::kFailed, "timestamps must be true or false").seen(json_text(value));
      out.timestamps = value == Json(true);
    } else if (key == "inverse_normalize") {
      if (!value.is_null() && !value.is_boolean())
        throw Error(Code::kFailed, "inverse_normalize must be true or false").seen(json_text(value));
      out.inverse_normalize = value == Json(true);
    } else if (key == "decoder_type") {
      if (value.is_null()) continue;
      std::string known;
      for (const auto& name : decoders) known += (known.empty() ? "" : " or ") + name;
      if (!value.is_string() || std::find(decoders.begin(), decoders.end(), value.get<std::string>()) == decoders.end())
        throw Error(Code::kFailed, "this model has no such decoder")
            .at("decoder_type")
            .seen(json_text(value))
            .expected(decoders.empty() ? "no decoder_type: the model has one decoder" : known);
      out.decoder_type = value.get<std::string>();
    } else if (key == "precision") {
      if (value.is_null()) continue;
      out.precision = value.is_string() ? value.get<std::string>() : json_text(value);
    } else {
      throw Error(Code::kFailed, "transcription has no option '" + key + "'")
          .expected("timestamps, inverse_normalize, decoder_type or precision");
    }
  }
  return out;
}

void SpeechModel::prepare_inference(const std::string& precision) {
  const auto compute = encoder_.query<asr_inference_compute_v1>(ASR_INFERENCE_COMPUTE_EXTENSION);
  if (compute) {
    check(compute->prepare(compute.self(), to_abi(precision)));
  } else if (precision != "32") {
    throw Error(Code::kUnavailable, "this model's encoder computes in float32 only")
        .at("precision")
        .seen(precision)
        .next("leave precision out");
  }
}

std::vector<Values> SpeechModel::predict_step(const Values& batch, const Json& options) {
  const TranscribeOptions wanted = transcribe_options(options);
  const at::NoGradGuard no_grad;
  if (!wanted.precision.empty()) prepare_inference(wanted.precision);
  Encoded encoded;
  if (batch.tensor_or_undefined("processed_signal").defined()) {
    encoded = encode(batch);
  } else {
    const ModuleHandle& front_end =
        inference_front_end_.follow(preprocessor_, front_end_section_, path_of("preprocessor"));
    const Values features = front_end({{"input_signal", batch["audio_signal"]}, {"length", batch["a_sig_length"]}});
    encoded = encode_features(features["processed_signal"], features["processed_length"]);
  }
  const auto hypotheses = decode(encoded, wanted);
  const Json properties = encoder_.properties();
  const double subsampling = properties.is_object() ? properties.value("subsampling_factor", 1.0) : 1.0;
  const double seconds_per_frame = frame_stride(front_end_section_, sample_rate_) * subsampling;
  const Value* entries = batch.find("entries");
  std::vector<Values> out;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const Json entry = entries != nullptr ? parse_text(entries->list().at(i).text()) : Json::object();
    Values item;
    if (entry.contains("audio_filepath")) item.add("audio_filepath", value_of(entry["audio_filepath"]));
    item.add("pred_text", hypotheses[i].text);
    Json timestamps = wanted.timestamps ? timestamps_json(hypotheses[i], seconds_per_frame) : Json();
    if (wanted.inverse_normalize) item.add("written_text", written_text(hypotheses[i].text, timestamps));
    for (const char* key : {"text", "duration", "offset"}) {
      if (entry.contains(key)) item.add(key, value_of(entry[key]));
    }
    if (wanted.timestamps) item.add("timestamps", value_of(timestamps));
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace fathom::asr
