#include "plugins/asr/models/ctc_model.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "fathom/adapter.h"

namespace fathom::asr {
namespace {

constexpr auto kInfo = LogLevel::kInfo, kWarning = LogLevel::kWarning;
constexpr const char* kComponent = "asr.EncDecCTCModel";

// The convention of NeMo before 2.5: reflected edges, one frame more.
bool is_before_2_5(const std::string& version) {
  int major = 0, minor = 0;
  return std::sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major < 2 || (major == 2 && minor < 5));
}

// Keys of a data section that belong to the loader, or that say nothing about maps of clips.
constexpr std::array kLoaderKeys = {
    "batch_size", "shuffle",  "num_workers", "pin_memory", "drop_last",     "prefetch_factor", "persistent_workers",
    "name",       "_target_", "cls",         "ds_item",    "use_bucketing", "num_buckets"};
// NeMo's ways of feeding data that are not here: accepted where they are switched off.
constexpr std::array kOffKeys = {"is_tarred",
                                 "tarred_audio_filepaths",
                                 "tarred_shard_strategy",
                                 "shuffle_n",
                                 "shard_manifests",
                                 "bucketing_strategy",
                                 "bucketing_batch_size",
                                 "bucketing_weights",
                                 "use_lhotse",
                                 "use_dali",
                                 "is_concat",
                                 "concat_sampling_technique",
                                 "concat_shuffle",
                                 "concat_sampling_temperature",
                                 "concat_sampling_scale",
                                 "use_start_end_token",
                                 "load_audio",
                                 "max_number",
                                 "vocab",
                                 "defer_setup"};

bool is_off(const std::string& key, const Json& value, const Json& section) {
  if (value.is_null() || value == Json(false)) return true;
  if (value.is_string() && (value == "" || value == "na" || value == "None")) return true;
  if (value.is_array() && value.empty()) return true;
  // Details of a switch that is itself off.
  const auto off = [&](const char* name) {
    return !section.contains(name) || section[name].is_null() || section[name] == Json(false);
  };
  if (key == "shuffle_n" || key == "tarred_shard_strategy" || key == "shard_manifests") return off("is_tarred");
  if (key.starts_with("bucketing_")) return off("is_tarred");
  if (key.starts_with("concat_")) return off("is_concat");
  return key == "use_start_end_token" && value == Json(false);
}

std::string module_of(const Json& section) {
  const auto text = [&](const char* key) {
    return section.contains(key) && section[key].is_string() ? section[key].get<std::string>() : "";
  };
  const std::string target = text("_target_").empty() ? text("cls") : text("_target_");
  return target.substr(target.rfind('.') + 1);
}

Json with_target(Json section, const char* target) {
  if (!section.contains("_target_") && !section.contains("cls")) section["_target_"] = target;
  return section;
}

}  // namespace

EncDecCTCModel::EncDecCTCModel(Json config, ModelContext context) : Model(std::move(config), std::move(context)) {
  for (const char* key : {"preprocessor", "encoder", "decoder"}) {
    if (!config_.contains(key) || !config_[key].is_object()) {
      throw Error(Code::kFailed, std::string("the model's config has no section '") + key + "'")
          .at(this->context().config_path);
    }
  }
  use_cer_ = config_.value("use_cer", false);
  log_prediction_ = config_.value("log_prediction", false);
  errors_ = WerCounter(use_cer_);
  sample_rate_ = config_["preprocessor"].value("sample_rate", config_.value("sample_rate", int64_t{16000}));
  choose_front_end();
  fill_vocabulary();

  preprocessor_ = make_child("preprocessor", "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor");
  encoder_ = make_child("encoder", "nemo.collections.asr.modules.ConvASREncoder");
  decoder_ = make_child("decoder", "nemo.collections.asr.modules.ConvASRDecoder");
  if (config_.contains("spec_augment") && config_["spec_augment"].is_object()) {
    spec_augmentation_ =
        make_module(with_target(config_["spec_augment"], "nemo.collections.asr.modules.SpectrogramAugmentation"),
                    path_of("spec_augment"));
    add_child("spec_augmentation", spec_augmentation_);
  }
  loss_ = make_loss();
  add_child("loss", loss_);
  setup_adapters(*this, config_, "encoder");
  decoding_ = make_decoding();
}

std::string EncDecCTCModel::path_of(const char* section) const {
  const std::string& path = context().config_path;
  return path.empty() ? std::string(section) : path + "." + section;
}

ModuleHandle EncDecCTCModel::make_loss() const {
  return make_module({{"_target_", "nemo.collections.asr.losses.ctc.CTCLoss"},
                      {"num_classes", static_cast<int64_t>(labels_.size())},
                      {"zero_infinity", true},
                      {"reduction", config_.value("ctc_reduction", std::string("mean_batch"))}},
                     path_of("loss"));
}

CtcDecoding EncDecCTCModel::make_decoding() const {
  const Json section =
      config_.contains("decoding") && config_["decoding"].is_object() ? config_["decoding"] : Json::object();
  return CtcDecoding(parse_options<CtcDecodingConfig>(section, path_of("decoding")),
                     text::Vocabulary(labels_, text::Vocabulary::Kind::kCharacters));
}

void EncDecCTCModel::change_vocabulary(const std::vector<std::string>& vocabulary) {
  if (vocabulary.empty()) throw Error(Code::kFailed, "the new vocabulary is empty").expected("a list of labels");
  if (vocabulary == labels_) {
    fathom::log(kWarning, kComponent, "the new vocabulary is the old one: nothing changes");
    return;
  }
  Json section = config_["decoder"];
  section["vocabulary"] = vocabulary;
  section["num_classes"] = static_cast<int64_t>(vocabulary.size());
  const ModuleHandle decoder =
      make_module(with_target(section, "nemo.collections.asr.modules.ConvASRDecoder"), path_of("decoder"));
  // Nothing has changed so far, and nothing below fails but for memory.
  const auto old = decoder_.torch_module()->parameters();
  decoder.torch_module()->to(old.front().device(), old.front().scalar_type());
  decoder.torch_module()->train(decoder_.torch_module()->is_training());
  labels_ = vocabulary;
  config_["decoder"] = section;
  if (config_.contains("labels")) config_["labels"] = vocabulary;
  for (const char* data : {"train_ds", "validation_ds", "test_ds"}) {
    if (config_.contains(data) && config_[data].is_object()) config_[data]["labels"] = vocabulary;
  }
  decoder_ = decoder;
  replace_child("decoder", decoder_);
  loss_ = make_loss();
  replace_child("loss", loss_);
  decoding_ = make_decoding();
  fathom::log(kInfo, kComponent, "changed the vocabulary: " + std::to_string(labels_.size()) + " labels");
}

// Weights of a NeMo before 2.5 were trained on its front-end; the config may say otherwise.
void EncDecCTCModel::choose_front_end() {
  Json& section = config_["preprocessor"];
  if (!context().restoring || section.contains("front_end") || !config_.contains("nemo_version")) return;
  const Json& version = config_["nemo_version"];
  if (version.is_string() && is_before_2_5(version.get<std::string>())) section["front_end"] = "nemo1";
}

// labels, decoder.vocabulary, decoder.num_classes and decoder.feat_in stand for each other where one is left out.
void EncDecCTCModel::fill_vocabulary() {
  Json& decoder = config_["decoder"];
  const auto is_list = [](const Json& section, const char* key) {
    return section.contains(key) && section[key].is_array() && !section[key].empty();
  };
  if (!is_list(decoder, "vocabulary")) {
    if (!is_list(config_, "labels")) {
      throw Error(Code::kFailed, "the model has no labels")
          .at(context().config_path.empty() ? "labels" : context().config_path + ".labels")
          .expected("a list of characters in labels or decoder.vocabulary");
    }
    decoder["vocabulary"] = config_["labels"];
  }
  for (const auto& label : decoder["vocabulary"]) {
    if (!label.is_string())
      throw Error(Code::kFailed, "a label is not a text").at("decoder.vocabulary").seen(label.dump());
    labels_.push_back(label.get<std::string>());
  }
  const auto count = static_cast<int64_t>(labels_.size());
  const bool has_count = decoder.contains("num_classes") && decoder["num_classes"].is_number_integer();
  if (!has_count || decoder["num_classes"].get<int64_t>() < 1) {
    decoder["num_classes"] = count;
  } else if (decoder["num_classes"].get<int64_t>() != count) {
    throw Error(Code::kFailed, "decoder.num_classes and the vocabulary disagree")
        .at("decoder.num_classes")
        .seen(decoder["num_classes"].dump() + ", and " + std::to_string(count) + " labels")
        .next("leave num_classes out, or set it to -1");
  }
  const Json& encoder = config_["encoder"];
  const bool has_width = decoder.contains("feat_in") && decoder["feat_in"].is_number_integer();
  if (!has_width && is_list(encoder, "jasper"))
    decoder["feat_in"] = encoder["jasper"].back().value("filters", int64_t{0});
}

Ports EncDecCTCModel::inputs() const {
  return {{"input_signal", {"B T", AudioSignal{sample_rate_}}, true},
          {"input_signal_length", {"B", LengthsType{}}, true},
          {"processed_signal", {"B D T", SpectrogramType{}}, true},
          {"processed_signal_length", {"B", LengthsType{}}, true},
          {"sample_id", {"B", LengthsType{}}, true}};
}

Ports EncDecCTCModel::outputs() const {
  return {{"log_probs", {"B T D", LogprobsType{}}},
          {"encoded_lengths", {"B", LengthsType{}}},
          {"greedy_predictions", {"B T", LabelsType{}}}};
}

Values EncDecCTCModel::input_example() const {
  const int64_t samples = sample_rate_;
  return {{"input_signal", at::zeros({1, samples})}, {"input_signal_length", at::full({1}, samples, at::kLong)}};
}

EncDecCTCModel::Encoded EncDecCTCModel::encode_features(at::Tensor features, at::Tensor lengths) {
  // A model of another precision than its front-end (precision: 64-true) gets its own.
  const auto weights = encoder_.torch_module()->parameters();
  if (!weights.empty() && features.scalar_type() != weights.front().scalar_type())
    features = features.to(weights.front().scalar_type());
  if (spec_augmentation_ && is_training()) {
    features = spec_augmentation_({{"input_spec", features}, {"length", lengths}}).tensor("augmented_spec");
  }
  const Values encoded = encoder_({{"audio_signal", features}, {"length", lengths}});
  return {decoder_({{"encoder_output", encoded["outputs"]}}).tensor("logprobs"), encoded.tensor("encoded_lengths")};
}

EncDecCTCModel::Encoded EncDecCTCModel::encode(const Values& batch) {
  const at::Tensor processed = batch.tensor_or_undefined("processed_signal");
  if (processed.defined()) return encode_features(processed, batch.tensor("processed_signal_length"));
  const bool from_forward = batch.find("input_signal") != nullptr;
  const at::Tensor& signal = batch.tensor(from_forward ? "input_signal" : "audio_signal");
  const at::Tensor& length = batch.tensor(from_forward ? "input_signal_length" : "a_sig_length");
  const Values features = preprocessor_({{"input_signal", signal}, {"length", length}});
  return encode_features(features.tensor("processed_signal"), features.tensor("processed_length"));
}

Values EncDecCTCModel::forward(const Values& in) {
  const auto has = [&](const char* name) { return in.tensor_or_undefined(name).defined(); };
  const bool audio = has("input_signal") && has("input_signal_length");
  const bool features = has("processed_signal") && has("processed_signal_length");
  if (audio == features) {
    throw Error(Code::kFailed, "forward takes audio or features, with their lengths")
        .at(owner_name())
        .expected("input_signal and input_signal_length, or processed_signal and processed_signal_length");
  }
  const Encoded out = encode(in);
  return {
      {"log_probs", out.log_probs}, {"encoded_lengths", out.lengths}, {"greedy_predictions", out.log_probs.argmax(-1)}};
}

at::Tensor EncDecCTCModel::loss_of(const Encoded& encoded, const Values& batch) {
  return loss_({{"log_probs", encoded.log_probs},
                {"targets", batch.tensor("transcripts")},
                {"input_lengths", encoded.lengths},
                {"target_lengths", batch.tensor("transcript_length")}})
      .tensor("loss");
}

WerCounter EncDecCTCModel::count_errors(const Encoded& encoded, const Values& batch) const {
  const auto hypotheses = decoding_.decode_predictions(encoded.log_probs.detach().argmax(-1), encoded.lengths);
  const auto references = decoding_.decode_references(batch.tensor("transcripts"), batch.tensor("transcript_length"));
  WerCounter counter(use_cer_);
  for (size_t i = 0; i < hypotheses.size(); ++i) counter.add(hypotheses[i], references[i]);
  if (log_prediction_ && !hypotheses.empty()) {
    fathom::log(kInfo, kComponent, "reference: " + references[0]);
    fathom::log(kInfo, kComponent, "predicted: " + hypotheses[0]);
  }
  return counter;
}

at::Tensor EncDecCTCModel::training_step(const Values& batch, const Step& step) {
  const Encoded encoded = encode(batch);
  at::Tensor loss = loss_of(encoded, batch);
  step.log("train_loss", loss.detach());
  step.log("learning_rate", step.learning_rate());
  step.log("global_step", static_cast<double>(step.global_step()));
  if (step.log_every_n_steps() > 0 && (step.batch_idx() + 1) % step.log_every_n_steps() == 0) {
    step.log("training_batch_wer", count_errors(encoded, batch).rate());
  }
  return loss;
}

void EncDecCTCModel::validation_step(const Values& batch, const Step& step) {
  if (step.batch_idx() == 0) {  // an evaluation that was broken off leaves nothing behind
    loss_sum_ = 0;
    batches_ = 0;
    errors_.reset();
  }
  const Encoded encoded = encode(batch);
  loss_sum_ += loss_of(encoded, batch).item<double>();
  ++batches_;
  const WerCounter batch_errors = count_errors(encoded, batch);
  errors_.add_counts(batch_errors.errors(), batch_errors.units());
}

void EncDecCTCModel::eval_epoch_end(const Step& step) {
  const std::string prefix = step.stage() == Stage::kTest ? "test_" : "val_";
  if (batches_ > 0) {
    step.log(prefix + "loss", loss_sum_ / static_cast<double>(batches_));
    step.log(prefix + "wer", errors_.rate());
  }
  loss_sum_ = 0;
  batches_ = 0;
  errors_.reset();
}

AudioToCharDataset::Options EncDecCTCModel::dataset_options(const Json& section, const std::string& config_path) const {
  Json own = Json::object();
  for (const auto& [key, value] : section.items()) {
    const auto is = [&](const char* name) { return key == name; };
    if (std::any_of(kLoaderKeys.begin(), kLoaderKeys.end(), is)) continue;
    if (std::any_of(kOffKeys.begin(), kOffKeys.end(), is)) {
      if (is_off(key, value, section)) continue;
      throw Error(Code::kUnavailable, "this way of feeding data is not available: " + key)
          .at(config_path + "." + key)
          .seen(value.dump())
          .next("use a plain manifest: manifest_filepath");
    }
    own[key] = value;
  }
  if (!own.contains("sample_rate") || own["sample_rate"].is_null()) own["sample_rate"] = sample_rate_;
  if (!own.contains("labels") || own["labels"].is_null()) own["labels"] = labels_;
  auto options = parse_options<AudioToCharDataset::Options>(own, config_path);
  if (options.labels != labels_) {
    fathom::log(kWarning, kComponent,
                config_path + ".labels differ from the model's labels: transcripts and predictions will not match");
  }
  if (options.sample_rate != sample_rate_) {
    throw Error(Code::kFailed, "the data's sample rate is not the front-end's")
        .at(config_path + ".sample_rate")
        .seen(std::to_string(options.sample_rate))
        .expected(std::to_string(sample_rate_));
  }
  return options;
}

MadeDataset EncDecCTCModel::make_dataset(Stage stage, const Json& section, const std::string& config_path) {
  if (section.is_null() || section.empty()) return nullptr;
  if (stage == Stage::kPredict) return make_predict_dataset(section, config_path);
  if (!section.contains("manifest_filepath") || section["manifest_filepath"].is_null()) {
    fathom::log(kWarning, kComponent, config_path + " has no manifest_filepath: no data for it");
    return nullptr;
  }
  try {
    auto dataset = std::make_shared<AudioToCharDataset>(dataset_options(section, config_path));
    if (dataset->size() == 0) {
      throw Error(Code::kBadData, "no clip is left: min_duration, max_duration or the text parser dropped them all")
          .at(config_path);
    }
    return dataset;
  } catch (Error& error) {
    error.locate(config_path);
    throw;
  }
}

std::shared_ptr<Dataset> EncDecCTCModel::make_predict_dataset(const Json& section,
                                                              const std::string& config_path) const {
  Json own = section;
  std::vector<audio::ManifestEntry> entries;
  if (own.contains("paths")) {
    if (!own["paths"].is_array())
      throw Error(Code::kFailed, "paths must be a list of audio files")
          .at(config_path + ".paths")
          .seen(own["paths"].dump());
    for (const auto& path : own["paths"]) {
      if (!path.is_string())
        throw Error(Code::kFailed, "a path must be a text").at(config_path + ".paths").seen(path.dump());
      audio::ManifestEntry entry;
      entry.audio_file = entry.named_as = path.get<std::string>();
      entries.push_back(std::move(entry));
    }
    own.erase("paths");
    own["manifest_filepath"] = "";
  } else if (own.contains("manifest_filepath") && !own["manifest_filepath"].is_null()) {
    entries = audio::read_manifests(audio::manifest_paths(own["manifest_filepath"], config_path + ".manifest_filepath"),
                                    false);
  } else {
    throw Error(Code::kFailed, "there is nothing to transcribe").at(config_path).expected("paths or manifest_filepath");
  }
  return AudioToCharDataset::for_inference(dataset_options(own, config_path), std::move(entries));
}

// Dither and padding to a multiple are options of the front-end's constructor: inference has a second one with the
// first one's window and filters.
ModuleHandle& EncDecCTCModel::inference_preprocessor() {
  const auto original = preprocessor_.torch_module();
  const c10::InferenceMode normal_tensors(false);  // buffers made in inference mode could not be written outside it
  if (!inference_preprocessor_) {
    Json section =
        with_target(config_["preprocessor"], "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor");
    const std::string kind = module_of(section);
    if (kind == "AudioToMelSpectrogramPreprocessor") {
      section["dither"] = 0.0;
      section["pad_to"] = int64_t{0};
    }
    inference_preprocessor_ =
        make_module(section, context().config_path.empty() ? "preprocessor" : context().config_path + ".preprocessor");
  }
  const auto copy = inference_preprocessor_.torch_module();
  copy->eval();
  at::NoGradGuard no_grad;
  auto to = copy->named_buffers();
  for (const auto& buffer : original->named_buffers()) {
    at::Tensor* mine = to.find(buffer.key());
    if (mine == nullptr) continue;
    if (mine->device() != buffer.value().device() || mine->scalar_type() != buffer.value().scalar_type()) {
      copy->to(buffer.value().device(), buffer.value().scalar_type());
      to = copy->named_buffers();
      mine = to.find(buffer.key());
    }
    mine->copy_(buffer.value());
  }
  return inference_preprocessor_;
}

double EncDecCTCModel::seconds_per_frame() const {
  const Json& front = config_["preprocessor"];
  double stride = 0.01;
  if (front.contains("n_window_stride") && front["n_window_stride"].is_number()) {
    stride = front["n_window_stride"].get<double>() / static_cast<double>(sample_rate_);
  } else if (front.contains("window_stride") && front["window_stride"].is_number()) {
    stride = front["window_stride"].get<double>();
  }
  return stride * encoder_.properties().value("subsampling_factor", 1.0);
}

std::vector<Values> EncDecCTCModel::predict_step(const Values& batch, const Json& options) {
  bool timestamps = false;
  for (const auto& [key, value] : options.items()) {
    if (key != "timestamps")
      throw Error(Code::kFailed, "transcription has no option '" + key + "'").expected("timestamps");
    if (!value.is_null() && !value.is_boolean())
      throw Error(Code::kFailed, "timestamps must be true or false").seen(value.dump());
    timestamps = value == Json(true);
  }
  at::NoGradGuard no_grad;
  Encoded encoded;
  if (batch.tensor_or_undefined("processed_signal").defined()) {
    encoded = encode(batch);
  } else {
    const Values features =
        inference_preprocessor()({{"input_signal", batch["audio_signal"]}, {"length", batch["a_sig_length"]}});
    encoded = encode_features(features.tensor("processed_signal"), features.tensor("processed_length"));
  }
  const auto hypotheses = decoding_.decode(encoded.log_probs, encoded.lengths, timestamps);
  const Value* entries = batch.find("entries");
  std::vector<Values> out;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const Json entry = entries != nullptr ? Json::parse(entries->list().at(i).text()) : Json::object();
    Values item;
    if (entry.contains("audio_filepath")) item.add("audio_filepath", value_of(entry["audio_filepath"]));
    item.add("pred_text", hypotheses[i].text);
    for (const char* key : {"text", "duration", "offset"}) {
      if (entry.contains(key)) item.add(key, value_of(entry[key]));
    }
    if (timestamps) item.add("timestamps", value_of(timestamps_json(hypotheses[i], seconds_per_frame())));
    out.push_back(std::move(item));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> EncDecCTCModel::wiring() const {
  std::vector<std::pair<std::string, std::string>> edges = {{"batch.audio_signal", "preprocessor.input_signal"},
                                                            {"batch.a_sig_length", "preprocessor.length"}};
  if (spec_augmentation_) {
    edges.insert(edges.end(), {{"preprocessor.processed_signal", "spec_augmentation.input_spec"},
                               {"preprocessor.processed_length", "spec_augmentation.length"},
                               {"spec_augmentation.augmented_spec", "encoder.audio_signal"}});
  } else {
    edges.emplace_back("preprocessor.processed_signal", "encoder.audio_signal");
  }
  edges.insert(edges.end(), {{"preprocessor.processed_length", "encoder.length"},
                             {"encoder.outputs", "decoder.encoder_output"},
                             {"decoder.logprobs", "loss.log_probs"},
                             {"batch.transcripts", "loss.targets"},
                             {"encoder.encoded_lengths", "loss.input_lengths"},
                             {"batch.transcript_length", "loss.target_lengths"}});
  return edges;
}

}  // namespace fathom::asr
