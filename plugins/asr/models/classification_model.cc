#include "plugins/asr/models/classification_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "plugins/asr/data/data_section.h"

namespace fathom::asr {
namespace {

constexpr const char* kModelName = "asr.EncDecClassificationModel";
constexpr const char* kMfccPreprocessor = "nemo.collections.asr.modules.AudioToMFCCPreprocessor";
constexpr const char* kClassDecoder = "nemo.collections.asr.modules.ConvASRDecoderClassification";
constexpr const char* kEntropy = "nemo.collections.common.losses.cross_entropy.CrossEntropyLoss";

// Nothing where the section has no list of labels.
std::optional<std::vector<std::string>> labels_at(const Json& section, const std::string& path) {
  if (!section.is_object() || !section.contains("labels") || !section["labels"].is_array()) return std::nullopt;
  std::vector<std::string> out;
  for (const Json& label : section["labels"]) {
    if (!label.is_string()) {
      throw Error(Code::kFailed, "a label is not a text")
          .at(path)
          .seen(json_text(label))
          .next("put quotes around it: '" + json_text(label) + "'");
    }
    out.push_back(label.get<std::string>());
  }
  if (out.empty()) return std::nullopt;
  return out;
}

struct PredictSwitches {
  bool logits = false;
};

PredictSwitches predict_switches(const Json& options) {
  PredictSwitches out;
  for (const auto& [key, value] : options.items()) {
    if (key == "precision" && value != Json("32")) {
      throw Error(Code::kUnavailable, "classifications compute in float32 only")
          .at("precision")
          .seen(json_text(value))
          .next("leave precision out");
    }
    if (key == "precision") continue;
    if (key != "timestamps" && key != "logprobs") {
      throw Error(Code::kFailed, "a classification has no option '" + key + "'").expected("logprobs");
    }
    if (!value.is_null() && !value.is_boolean())
      throw Error(Code::kFailed, key + " must be true or false").seen(json_text(value));
    if (value != Json(true)) continue;
    if (key == "timestamps") throw Error(Code::kUnavailable, "a clip's class has no timestamps").next("leave them out");
    out.logits = true;
  }
  return out;
}

}  // namespace

void EncDecClassificationModel::Options::describe(OptionSet<Options>& o) {
  o("preprocessor", &Options::preprocessor, "the front-end: from samples to features");
  o("encoder", &Options::encoder, "from features to encoded frames");
  o("decoder", &Options::decoder, "from the encoder's output to one logit a class (ConvASRDecoderClassification)");
  o("spec_augment", &Options::spec_augment, "masks of features in training; null: none");
  o("crop_or_pad_augment", &Options::crop_or_pad_augment, "checked and not applied, as in NeMo 3.0.0");
  o("loss", &Options::loss, "of logits and classes: cross entropy; weight: null, a list, or auto (by occurrence)");
  o("labels", &Options::labels, "the classes");
  o("sample_rate", &Options::sample_rate, "of the audio, where the preprocessor does not say", "Hz");
  o("is_regression_task", &Options::is_regression_task, "only false");
  o("char_labels", &Options::char_labels, "other labels, in a run that fine-tunes a whole model");
}

// Those that NeMo's class lists, of NVIDIA's catalogue.
std::vector<PretrainedModelInfo> EncDecClassificationModel::list_available_models() {
  std::vector<PretrainedModelInfo> out;
  const auto add = [&](const std::string& name, const std::string& version, const std::string& description) {
    out.push_back({name, description,
                   "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/" + name + "/versions/" + version + "/files/" +
                       name + ".nemo"});
  };
  add("vad_multilingual_marblenet", "1.10.0", "MarbleNet, speech or none, many languages");
  add("vad_telephony_marblenet", "1.0.0rc1", "MarbleNet, speech or none, telephone audio");
  add("vad_marblenet", "1.0.0rc1", "MarbleNet, speech or none");
  for (const char* size : {"3x1x64", "3x2x64"}) {
    const std::string name = std::string("commandrecognition_en_matchboxnet") + size;
    add(name + "_v1", "1.0.0rc1", std::string("MatchboxNet ") + size + ", words of Speech Commands v1");
    add(name + "_v2", "1.0.0rc1", std::string("MatchboxNet ") + size + ", words of Speech Commands v2");
    add(name + "_v2_subset_task", "1.0.0rc1", std::string("MatchboxNet ") + size + ", ten words of Speech Commands v2");
  }
  return out;
}

EncDecClassificationModel::EncDecClassificationModel(Json config, ModelContext context)
    : Model(std::move(config), std::move(context)) {
  for (const char* key : {"preprocessor", "encoder", "decoder"}) {
    if (!config_.contains(key) || !config_[key].is_object()) {
      throw Error(Code::kFailed, std::string("the model's config has no section '") + key + "'")
          .at(this->context().config_path);
    }
  }
  if (config_.value("is_regression_task", Json(nullptr)) == Json(true)) {
    throw Error(Code::kUnavailable, "this model tells classes: a regression is another model")
        .at(path_of("is_regression_task"))
        .seen("true")
        .expected("false");
  }
  sample_rate_ = config_["preprocessor"].value("sample_rate", config_.value("sample_rate", int64_t{16000}));
  config_["preprocessor"] = with_target(config_["preprocessor"], kMfccPreprocessor);
  const VersionConventions conventions(config_, this->context().restoring);
  complete_classes();
  const Json relabelled = config_.value("char_labels", Json(nullptr));
  if (!this->context().restoring && relabelled.is_object() && relabelled.value("update_labels", Json()) == true)
    log_warning(path_of("char_labels") + " is for fine-tuning: init_from_nemo_model, and no class in the section");

  make_losses();
  front_end_section_ = config_["preprocessor"];
  preprocessor_ = make_child("preprocessor");
  encoder_ = make_child("encoder", "nemo.collections.asr.modules.ConvASREncoder");
  decoder_ = make_child("decoder", kClassDecoder);
  if (config_.contains("spec_augment") && config_["spec_augment"].is_object()) {
    spec_augmentation_ =
        make_module(with_target(config_["spec_augment"], "nemo.collections.asr.modules.SpectrogramAugmentation"),
                    path_of("spec_augment"));
    add_child("spec_augmentation", spec_augmentation_);
  }
  if (config_.contains("crop_or_pad_augment") && config_["crop_or_pad_augment"].is_object()) {
    crop_or_pad_ = make_module(
        with_target(config_["crop_or_pad_augment"], "nemo.collections.asr.modules.CropOrPadSpectrogramAugmentation"),
        path_of("crop_or_pad_augment"));
    add_child("crop_or_pad", crop_or_pad_);
    if (!this->context().restoring)
      log_info(path_of("crop_or_pad_augment") + " is not applied, as in NeMo 3.0.0: clips keep their lengths");
  }
  const Json accuracy = {{"_target_", "asr.TopKClassificationAccuracy"}};
  accuracy_ = make_metric(accuracy, path_of("accuracy"));
  batch_accuracy_ = make_metric(accuracy, path_of("accuracy"));
  val_loss_ = make_metric({{"_target_", "asr.GlobalAverageLossMetric"}}, path_of("val_loss"));
  add_child("accuracy", accuracy_);
  add_child("val_loss", val_loss_);
}

std::string EncDecClassificationModel::path_of(const char* section) const {
  const std::string& path = context().config_path;
  return path.empty() ? std::string(section) : path + "." + section;
}
void EncDecClassificationModel::log_info(const std::string& text) const {
  fathom::log(LogLevel::kInfo, kModelName, text);
}
void EncDecClassificationModel::log_warning(const std::string& text) const {
  fathom::log(LogLevel::kWarning, kModelName, text);
}

// --- classes ---------------------------------------------------------------------------------------------------------

// The decoder has as many classes as there are labels, whatever its section says, as in NeMo.
void EncDecClassificationModel::complete_classes() {
  const auto labels = labels_at(config_, path_of("labels"));
  if (!labels) {
    throw Error(Code::kFailed, "the model has no labels").at(path_of("labels")).expected("a list with each class");
  }
  labels_ = classes_ = *labels;
  config_["decoder"]["num_classes"] = static_cast<int64_t>(labels_.size());
  if (!context().restoring || !config_.contains("train_ds")) return;
  const auto trained = labels_at(config_["train_ds"], path_of("train_ds.labels"));
  if (trained && trained->size() <= labels_.size()) classes_ = *trained;
}

// The training loss, with the weights of the config, and the evaluation's, without.
void EncDecClassificationModel::make_losses() {
  Json section = config_.contains("loss") && config_["loss"].is_object() ? config_["loss"] : Json::object();
  section = with_target(std::move(section), kEntropy);
  Json evaluation = section;
  evaluation.erase("weight");
  weights_by_occurrence_ = section.value("weight", Json()) == Json("auto");
  if (weights_by_occurrence_) section["weight"] = std::vector<double>(labels_.size(), 1.0);
  const bool anew = static_cast<bool>(loss_);
  loss_ = make_module(section, path_of("loss"));
  eval_loss_ = make_module(evaluation, path_of("loss"));
  macro_accuracy_ =
      make_metric({{"_target_", "asr.MacroAccuracy"}, {"num_classes", static_cast<int64_t>(labels_.size())}},
                  path_of("macro_accuracy"));
  add_child("macro_accuracy", macro_accuracy_);
  if (anew) {
    replace_child("loss", loss_);
    replace_child("eval_loss", eval_loss_);
  } else {
    add_child("loss", loss_);
    add_child("eval_loss", eval_loss_);
  }
}

// So that every class weighs alike: all clips / (classes x clips of the class).
void EncDecClassificationModel::weigh_by_occurrence(const std::vector<int64_t>& occurrences) {
  const auto buffers = loss_.torch_module()->named_buffers();
  const at::Tensor* const weight = buffers.find("weight");
  const auto all = static_cast<double>(std::accumulate(occurrences.begin(), occurrences.end(), int64_t{0}));
  if (weight == nullptr || weight->size(0) != static_cast<int64_t>(occurrences.size())) {
    throw Error(Code::kFailed, "weights by occurrence need a clip of every class")
        .at(path_of("loss.weight"))
        .seen("auto, with " + std::to_string(occurrences.size()) + " labels in the training data")
        .expected(std::to_string(labels_.size()) + " labels, or a list of weights");
  }
  for (size_t i = 0; i < occurrences.size(); ++i) {
    weight->select(0, static_cast<int64_t>(i))
        .fill_(all / (static_cast<double>(occurrences.size()) * static_cast<double>(occurrences[i])));
  }
}

void EncDecClassificationModel::change_vocabulary(const std::vector<std::string>& labels) {
  if (labels.empty()) throw Error(Code::kFailed, "there are no new labels").expected("a list of labels");
  if (labels == labels_) {
    log_warning("the new labels are the old ones: nothing changes");
    return;
  }
  Json section = with_target(config_["decoder"], kClassDecoder);
  section["num_classes"] = static_cast<int64_t>(labels.size());
  const ModuleHandle decoder = make_module(section, path_of("decoder"));
  const auto parameters = decoder_.torch_module()->parameters();
  decoder.torch_module()->to(parameters.front().device(), parameters.front().scalar_type());
  decoder.torch_module()->train(decoder_.torch_module()->is_training());
  if (config_.contains("loss") && config_["loss"].is_object() && config_["loss"].value("weight", Json()).is_array() &&
      config_["loss"]["weight"].size() != labels.size()) {
    throw Error(Code::kFailed, "the loss has weights for the old labels")
        .at(path_of("loss.weight"))
        .seen(std::to_string(config_["loss"]["weight"].size()) + " weights")
        .expected(std::to_string(labels.size()) + ", or auto");
  }
  // Nothing has changed so far, and nothing below fails but for memory.
  labels_ = classes_ = labels;
  decoder_ = decoder;
  replace_child("decoder", decoder_);
  config_["decoder"]["num_classes"] = static_cast<int64_t>(labels.size());
  config_["labels"] = labels;
  for (const char* data : {"train_ds", "validation_ds", "test_ds"}) {
    if (config_.contains(data) && config_[data].is_object()) config_[data]["labels"] = labels;
  }
  make_losses();
  log_info("changed the labels: " + std::to_string(labels.size()) + " classes");
}

void EncDecClassificationModel::start_fine_tuning(const std::string& config_path) {
  const Json section = config_.value("char_labels", Json(nullptr));
  config_.erase("char_labels");
  if (section.is_null()) return;
  const std::string path = config_path + ".char_labels";
  const auto options = parse_options<CharLabelsOptions>(section, path);
  if (!options.update_labels) return;
  if (!options.labels) {
    throw Error(Code::kFailed, "there are no labels to change to")
        .at(path + ".labels")
        .seen("null")
        .expected("a list of labels")
        .next("give the list, or set update_labels=false to keep the labels of the file");
  }
  change_vocabulary(*options.labels);
}

// --- from audio to logits --------------------------------------------------------------------------------------------

Ports EncDecClassificationModel::inputs() const {
  return {{"input_signal", {"B T", AudioSignal{sample_rate_}}, true},
          {"input_signal_length", {"B", LengthsType{}}, true},
          {"processed_signal", {"B D T", SpectrogramType{}}, true},
          {"processed_signal_length", {"B", LengthsType{}}, true}};
}
Ports EncDecClassificationModel::outputs() const { return {{"logits", {"B D", LogitsType{}}}}; }

Values EncDecClassificationModel::input_example() const {
  return {{"input_signal", at::zeros({1, sample_rate_})},
          {"input_signal_length", at::full({1}, sample_rate_, at::kLong)}};
}

at::Tensor EncDecClassificationModel::logits_of_features(Value features, const Value& lengths) {
  // A model of another precision than its front-end (precision: 64-true) gets its own.
  const auto weights = encoder_.torch_module()->parameters();
  if (!weights.empty() && features.tensor().scalar_type() != weights.front().scalar_type())
    features.set_tensor(features.tensor().to(weights.front().scalar_type()));
  if (spec_augmentation_ && is_training())
    features = spec_augmentation_({{"input_spec", features}, {"length", lengths}})["augmented_spec"];
  const Values encoded = encoder_({{"audio_signal", features}, {"length", lengths}});
  return decoder_({{"encoder_output", encoded["outputs"]}}).tensor("logits");
}

at::Tensor EncDecClassificationModel::logits_of(const Values& batch) {
  if (batch.tensor_or_undefined("processed_signal").defined())
    return logits_of_features(batch["processed_signal"], batch["processed_signal_length"]);
  const bool from_forward = batch.find("input_signal") != nullptr;
  const Values features = preprocessor_({{"input_signal", batch[from_forward ? "input_signal" : "audio_signal"]},
                                         {"length", batch[from_forward ? "input_signal_length" : "a_sig_length"]}});
  return logits_of_features(features["processed_signal"], features["processed_length"]);
}

Values EncDecClassificationModel::forward(const Values& in) {
  const auto has = [&](const char* name) { return in.tensor_or_undefined(name).defined(); };
  const bool audio = has("input_signal") && has("input_signal_length");
  const bool features = has("processed_signal") && has("processed_signal_length");
  if (audio == features) {
    throw Error(Code::kFailed, "forward takes audio or features, with their lengths")
        .at(owner_name())
        .expected("input_signal and input_signal_length, or processed_signal and processed_signal_length");
  }
  return {{"logits", logits_of(in)}};
}

// --- training and evaluation -----------------------------------------------------------------------------------------

at::Tensor EncDecClassificationModel::training_step(const Values& batch, const Step& step) {
  const at::Tensor logits = logits_of(batch);
  const at::Tensor loss = loss_({{"logits", logits}, {"labels", batch["label"]}}).tensor("loss");
  step.log("loss", loss.detach());
  step.log("learning_rate", step.learning_rate());
  step.log("global_step", static_cast<double>(step.global_step()));
  batch_accuracy_.reset();
  batch_accuracy_.update({{"logits", logits.detach()}, {"labels", batch["label"]}});
  step.log("training_batch_accuracy_top_0", batch_accuracy_.compute().at("top_1"));
  return loss;
}

void EncDecClassificationModel::validation_step(const Values& batch, const Step& step) {
  if (step.batch_idx() == 0) reset_evaluation();  // one that was broken off leaves nothing behind
  const at::Tensor logits = logits_of(batch);
  val_loss_.update({{"loss", eval_loss_({{"logits", logits}, {"labels", batch["label"]}}).tensor("loss")}});
  for (const MetricHandle& metric : {accuracy_, macro_accuracy_})
    metric.update({{"logits", logits}, {"labels", batch["label"]}});
}

void EncDecClassificationModel::eval_epoch_end(const Step& step) {
  const std::string prefix = step.stage() == Stage::kTest ? "test_" : "val_";
  if (val_loss_.sums().at("measurements") > 0) {
    step.log(prefix + "loss", val_loss_.compute().at("loss"));
    step.log(prefix + "acc_micro_top_1", accuracy_.compute().at("top_1"));
    step.log(prefix + "acc_macro", macro_accuracy_.compute().at("accuracy"));
  }
  reset_evaluation();
}

void EncDecClassificationModel::reset_evaluation() {
  val_loss_.reset();
  accuracy_.reset();
  macro_accuracy_.reset();
}

// --- data ------------------------------------------------------------------------------------------------------------

AudioLabelDataset::Options EncDecClassificationModel::dataset_options(
    const Json& section, const std::string& config_path, const std::optional<std::vector<std::string>>& labels) const {
  Json own = dataset_keys(section, option_names<AudioLabelDataset::Options>(), config_path);
  if (!own.contains("sample_rate") || own["sample_rate"].is_null()) own["sample_rate"] = sample_rate_;
  own.erase("labels");
  auto options = parse_options<AudioLabelDataset::Options>(own, config_path);
  options.labels = labels;
  if (options.sample_rate != sample_rate_) {
    throw Error(Code::kFailed, "the data's sample rate is not the front-end's")
        .at(config_path + ".sample_rate")
        .seen(std::to_string(options.sample_rate))
        .expected(std::to_string(sample_rate_));
  }
  return options;
}

// The labels of the training data are the classes.
MadeDataset EncDecClassificationModel::make_training_data(const Json& section, const std::string& config_path) {
  const auto data = std::make_shared<AudioToSpeechLabelDataset>(dataset_options(section, config_path, std::nullopt));
  if (data->size() == 0) return data;
  const auto text_of = [](const std::vector<std::string>& labels) { return json_text(Json(labels)); };
  if (data->labels().size() > labels_.size()) {
    throw Error(Code::kBadData, "the training data has more labels than the model")
        .at(config_path + ".manifest_filepath")
        .seen(text_of(data->labels()))
        .expected("at most " + std::to_string(labels_.size()) + ": " + text_of(labels_))
        .next("set model.labels to those of the data");
  }
  if (data->labels().size() < labels_.size()) {
    log_warning(config_path + " has clips of " + std::to_string(data->labels().size()) + " of the model's " +
                std::to_string(labels_.size()) + " labels: the classes are " + text_of(data->labels()));
  }
  if (weights_by_occurrence_) weigh_by_occurrence(data->occurrences());
  classes_ = data->labels();
  if (config_.contains("train_ds") && config_["train_ds"].is_object()) config_["train_ds"]["labels"] = classes_;
  return data;
}

MadeDataset EncDecClassificationModel::make_dataset(Stage stage, const Json& section, const std::string& config_path) {
  if (section.is_null() || section.empty()) return nullptr;
  if (stage == Stage::kPredict) {
    audio::Manifest clips = predict_clips(section, config_path);
    Json own = section;
    if (own.erase("paths") > 0) own["manifest_filepath"] = "";
    return AudioLabelDataset::for_inference(dataset_options(own, config_path, std::nullopt), std::move(clips));
  }
  if (!section.contains("manifest_filepath") || section["manifest_filepath"].is_null()) {
    log_warning(config_path + " has no manifest_filepath: no data for it");
    return nullptr;
  }
  try {
    MadeDataset data;
    if (stage == Stage::kTrain)
      data = make_training_data(section, config_path);
    else if (stage == Stage::kValidate)
      data = std::make_shared<AudioToSpeechLabelDataset>(dataset_options(section, config_path, classes_));
    else
      data = std::make_shared<AudioToClassificationLabelDataset>(dataset_options(section, config_path, classes_));
    if (data->size() == 0)
      throw Error(Code::kBadData, "no clip is left: min_duration or max_duration dropped them all").at(config_path);
    return data;
  } catch (Error& error) {
    error.locate(config_path);
    throw;
  }
}

// --- answers ---------------------------------------------------------------------------------------------------------

std::vector<Values> EncDecClassificationModel::predict_step(const Values& batch, const Json& options) {
  const PredictSwitches wanted = predict_switches(options);
  const at::NoGradGuard no_grad;
  const bool processed = batch.tensor_or_undefined("processed_signal").defined();
  const at::Tensor signal = batch.tensor(processed ? "processed_signal" : "audio_signal");
  const at::Tensor& lengths = batch.tensor(processed ? "processed_signal_length" : "a_sig_length");
  ModuleHandle* front_end = nullptr;
  if (!processed) {
    front_end = &inference_front_end_.follow(preprocessor_, front_end_section_, path_of("preprocessor"));
  }
  const Value* entries = batch.find("entries");
  std::vector<Values> out;
  for (int64_t i = 0; i < signal.size(0); ++i) {
    const int64_t length = std::clamp<int64_t>(lengths[i].item<int64_t>(), 0, signal.size(-1));
    const at::Tensor one = signal.narrow(0, i, 1).narrow(-1, 0, length), one_length = lengths.narrow(0, i, 1);
    at::Tensor logits;
    if (processed) {
      logits = logits_of_features(Value(one), Value(one_length));
    } else {
      const Values features = (*front_end)({{"input_signal", one}, {"length", one_length}});
      logits = logits_of_features(features["processed_signal"], features["processed_length"]);
    }
    logits = logits[0].to(at::kCPU, at::kDouble).contiguous();
    const int64_t best = logits.argmax().item<int64_t>();
    const Json entry =
        entries != nullptr ? parse_text(entries->list().at(static_cast<size_t>(i)).text()) : Json::object();
    Values item;
    if (entry.contains("audio_filepath")) item.add("audio_filepath", value_of(entry["audio_filepath"]));
    // A class that no training clip had has no label.
    item.add("pred_text", best < static_cast<int64_t>(classes_.size()) ? classes_[static_cast<size_t>(best)]
                                                                       : "class " + std::to_string(best));
    for (const char* key : {"text", "duration", "offset"}) {
      if (entry.contains(key)) item.add(key, value_of(entry[key]));
    }
    if (wanted.logits) {
      const double* values = logits.const_data_ptr<double>();
      item.add("logits", std::vector<Value>(values, values + logits.numel()));
    }
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace fathom::asr
