#include "plugins/asr/models/multitask_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "fathom/adapter.h"
#include "plugins/asr/data/data_section.h"
#include "plugins/asr/modules/token_classifier.h"
#include "plugins/lib/nn/transformer.h"

namespace fathom::asr {
namespace {

constexpr const char* kTransformer = "nemo.collections.asr.modules.transformer.get_nemo_transformer";
constexpr const char* kClassifier = "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier";
constexpr double kShortestClip = 1.0;  // s; what is shorter gets silence around it in transcription, as in NeMo's

Value texts_value(const std::vector<std::string>& texts) { return std::vector<Value>(texts.begin(), texts.end()); }

int64_t width_of(const Json& defaults, const char* key, const std::string& path) {
  constexpr int64_t kWidest = 1 << 16;
  const Json value = defaults.contains(key) ? defaults[key] : Json(nullptr);
  if (value.is_number_integer() && value.get<int64_t>() > 0 && value.get<int64_t>() <= kWidest)
    return value.get<int64_t>();
  throw Error(Code::kFailed, "a multi-task model needs the widths of its parts")
      .at(path + "." + key)
      .seen(value.is_null() ? "nothing" : json_text(value))
      .expected("a number from 1 to " + std::to_string(kWidest));
}

}  // namespace

void EncDecMultiTaskModel::Options::describe(OptionSet<Options>& o) {
  o.include<SpeechModelOptions>();
  o("transf_encoder", &Options::transf_encoder, "a Transformer on the encoder's output; num_layers 0: none");
  o("transf_decoder", &Options::transf_decoder,
    "the decoder (get_nemo_transformer); its vocabulary is the tokenizer's");
  o("head", &Options::head, "from the decoder's states to classes (TokenClassifier)");
  o("loss", &Options::loss, "SmoothedCrossEntropyLoss; its pad_id is the tokenizer's");
  o("decoding", &Options::decoding, "from the encoder's output to text; greedy unless it says otherwise");
  o("model_defaults", &Options::model_defaults, "widths: {asr_enc_hidden, lm_enc_hidden, lm_dec_hidden}");
  o("prompt_format", &Options::prompt_format, "canary or canary2");
  o("prompt_defaults", &Options::prompt_defaults, "slots of prompts that nobody gave: [{role: user, slots}]");
  o("multitask_metrics_cfg", &Options::multitask_metrics_cfg, "what evaluations count; null: wer and bleu");
  o("use_loss_mask_for_prompt", &Options::use_loss_mask_for_prompt, "only the answer's labels count, not the prompt's");
  o("restore_timestamps_model", &Options::restore_timestamps_model,
    "accepted; a second model in the file, for timestamps, is not used");
  o("label_smoothing", &Options::label_smoothing, "a number for loss.label_smoothing to refer to");
}

EncDecMultiTaskModel::EncDecMultiTaskModel(Json config, ModelContext context)
    : SpeechModel(std::move(config), std::move(context),
                  {"asr.EncDecMultiTaskModel", {"transf_decoder", "head", "loss"}, nullptr, /*subwords=*/true}) {
  check_sections();
  const auto tokenizer = model_tokenizer().tokenizer();
  pad_ = tokenizer->special_ids().pad;
  if (tokenizer->special_ids().eos < 0 || pad_ < 0) {
    throw Error(Code::kFailed, "a multi-task model's tokenizer needs tokens for the end of an answer and for padding")
        .at(path_of("tokenizer"))
        .next(
            "name a tokenizer with special tokens: custom_tokenizer: {_target_: …CanaryTokenizer} for type agg, "
            "…CanaryBPETokenizer for bpe");
  }
  const Json format = config_.value("prompt_format", Json(nullptr));
  format_ = PromptFormat(format.is_string() ? format.get<std::string>() : "",
                         config_.value("prompt_defaults", Json(nullptr)), tokenizer, this->context().config_path);
  masks_prompt_ = config_.value("use_loss_mask_for_prompt", Json(nullptr)) == Json(true);
  make_decoder();
  config_["loss"]["pad_id"] = pad_;
  loss_ = make_child("loss", "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss");
  make_spec_augment();
  make_metrics();
  setup_adapters(*this, config_, "encoder");
  decoding_ = make_decoding();
}

void EncDecMultiTaskModel::check_sections() {
  if (!config_.contains("model_defaults") || !config_["model_defaults"].is_object()) {
    throw Error(Code::kFailed, "the model's config has no section 'model_defaults'")
        .at(path_of("model_defaults"))
        .expected("{asr_enc_hidden, lm_enc_hidden, lm_dec_hidden}");
  }
  const Json facts = encoder_properties();
  const int64_t given = width_of(config_["model_defaults"], "asr_enc_hidden", path_of("model_defaults"));
  if (facts.is_object() && facts.contains("feat_out") && facts["feat_out"] != Json(given)) {
    throw Error(Code::kFailed, "the encoder has another width than model_defaults says")
        .at(path_of("model_defaults") + ".asr_enc_hidden")
        .seen(std::to_string(given))
        .expected(json_text(facts["feat_out"]) + ", the encoder's");
  }
}

// The children behind the encoder, in NeMo's order.
void EncDecMultiTaskModel::make_decoder() {
  const Json& defaults = config_["model_defaults"];
  const std::string path = path_of("model_defaults");
  const int64_t heard = width_of(defaults, "asr_enc_hidden", path), width = width_of(defaults, "lm_dec_hidden", path);
  const int64_t middle = width_of(defaults, "lm_enc_hidden", path);
  const auto deviation = [](int64_t of) { return 1 / std::sqrt(static_cast<double>(of)); };
  if (heard != width) projection_ = register_module("encoder_decoder_proj", torch::nn::Linear(heard, width));
  const Json section = config_.value("transf_encoder", Json(nullptr));
  if (section.is_object() && section.value("num_layers", Json(0)) != Json(0)) {
    transf_encoder_ = make_child("transf_encoder",
                                 "nemo.collections.asr.modules.transformer.transformer_encoders.TransformerEncoder");
    nn::init_transformer(*transf_encoder_.torch_module(), deviation(middle), /*glorot=*/true);
  }
  // A multiple of eight, which matrices like.
  const int64_t classes = (model_tokenizer().tokenizer()->vocab_size() + 7) / 8 * 8;
  Json& decoder = config_["transf_decoder"];
  if (decoder.contains("config_dict") && decoder["config_dict"].is_object())
    decoder["config_dict"]["vocab_size"] = classes;
  transf_decoder_ = make_child("transf_decoder", kTransformer);
  config_["head"]["num_classes"] = classes;
  head_ = make_module(with_target(config_["head"], kClassifier), path_of("head"));
  add_child("log_softmax", head_);
  if (auto* classifier = dynamic_cast<TokenClassifier*>(head_.torch_module().get())) {
    const auto parameters = transf_decoder_.torch_module()->named_parameters();
    const at::Tensor* embedding = parameters.find("_embedding.token_embedding.weight");
    if (embedding != nullptr) classifier->tie_first_weight(*embedding);
  }
  // The head last: what it shares with the embedding has the head's weights at first.
  nn::init_transformer(*transf_decoder_.torch_module(), deviation(width), /*glorot=*/true);
  nn::init_transformer(*head_.torch_module(), deviation(width), /*glorot=*/true);
}

// multitask_metrics_cfg: {metrics: {NAME: {_target_, options}}}, of which WER and BLEU are here, for all items alike.
void EncDecMultiTaskModel::make_metrics() {
  Json bleu = {{"_target_", "asr.BLEU"}};
  const std::string path = path_of("multitask_metrics_cfg");
  const Json given = config_.value("multitask_metrics_cfg", Json(nullptr));
  const Json metrics = given.is_object() ? given.value("metrics", Json(nullptr)) : Json(nullptr);
  if (!given.is_null() && !metrics.is_object())
    throw Error(Code::kFailed, "no metrics are named").at(path + ".metrics").seen(json_text(metrics));
  const auto refuse = [](const std::string& where, const Json& seen, const char* why, const char* next) {
    throw Error(Code::kUnavailable, why).at(where).seen(json_text(seen)).next(next);
  };
  for (const auto& [name, metric] : metrics.items()) {
    const std::string where = path + ".metrics." + name;
    const Json target = metric.is_object() ? metric.value("_target_", Json(nullptr)) : Json(nullptr);
    const std::string kind = target.is_string() ? target.get<std::string>() : "";
    const bool is_bleu = kind.ends_with(".BLEU");
    if (!is_bleu && !kind.ends_with(".WER"))
      refuse(where, target, "an evaluation of this model counts word errors and BLEU", "leave the metric out");
    for (const auto& [key, value] : metric.items()) {
      if (key == "_target_") continue;
      if (key == "constraint" && (value.is_null() || value == "")) continue;
      if (key == "constraint")
        refuse(where + "." + key, value, "a metric counts all items, whatever their prompts", "leave it out");
      if (is_bleu)
        bleu[key] = value;
      else if (key != "use_cer" || value != Json(config_.value("use_cer", false)))
        refuse(where + "." + key, value, "the options of word errors are the model's", "set use_cer of the model");
    }
  }
  bleu_ = make_metric(bleu, path + ".metrics.bleu");
  batch_bleu_ = make_metric(bleu, path + ".metrics.bleu");
  add_child("bleu", bleu_);
}

AedDecoding EncDecMultiTaskModel::make_decoding() const {
  const Json section = config_.value("decoding", Json(nullptr));
  const auto config =
      parse_options<AedDecodingConfig>(section.is_object() ? section : Json::object(), path_of("decoding"));
  try {
    return {config, model_tokenizer().tokenizer()};
  } catch (Error& error) {  // of an option, which does not know whose it is
    error.locate_within(path_of("decoding"));
    throw;
  }
}

// --- from audio to log-probabilities ---------------------------------------------------------------------------------

Ports EncDecMultiTaskModel::inputs() const {
  Ports ports = SpeechModel::inputs();
  ports.push_back({"transcript", {"B T", LabelsType{}}, true});
  ports.push_back({"transcript_length", {"B", LengthsType{}}, true});
  return ports;
}

Ports EncDecMultiTaskModel::outputs() const {
  return {{"transf_log_probs", {"B T D", LogprobsType{}}, true},
          {"encoded_lengths", {"B", LengthsType{}}},
          {"encoder_states", {"B T D", ChannelType{}}},
          {"encoder_mask", {"B T", MaskType{}}}};
}

at::Tensor EncDecMultiTaskModel::mask_of(const at::Tensor& lengths, int64_t frames) {
  const at::Tensor place = at::arange(frames, lengths.options().dtype(at::kLong)).unsqueeze(0);
  return place < lengths.unsqueeze(1);
}

Value EncDecMultiTaskModel::head(const Value& encoder_output, const Value& lengths) {
  at::Tensor states = encoder_output.tensor().transpose(1, 2);
  if (projection_) states = projection_(states);
  if (!transf_encoder_) return states;
  return transf_encoder_(
      {{"encoder_states", states}, {"encoder_mask", mask_of(lengths.tensor(), states.size(1))}})["encoder_states"];
}

at::Tensor EncDecMultiTaskModel::log_probs_of(const at::Tensor& states, const at::Tensor& mask, const at::Tensor& ids,
                                              const at::Tensor& lengths) {
  const Values decoded = transf_decoder_({{"input_ids", ids},
                                          {"decoder_mask", mask_of(lengths, ids.size(1))},
                                          {"encoder_embeddings", states},
                                          {"encoder_mask", mask}});
  const Values out = head_({{"hidden_states", decoded.tensor("last_hidden_states")}});
  const Value* log_probs = out.find("log_probs");
  return log_probs != nullptr ? log_probs->tensor() : at::log_softmax(out.begin()->second.tensor(), -1);
}

Values EncDecMultiTaskModel::forward(const Values& in) {
  const Encoded encoded = encode_inputs(in);
  const at::Tensor states = encoded.output.tensor(), mask = mask_of(encoded.lengths.tensor(), states.size(1));
  Values out;
  if (const at::Tensor transcript = in.tensor_or_undefined("transcript"); transcript.defined())
    out.add("transf_log_probs", log_probs_of(states, mask, transcript, in.tensor("transcript_length")));
  out.add("encoded_lengths", encoded.lengths).add("encoder_states", states);
  return std::move(out.add("encoder_mask", mask.to(states.scalar_type())));
}

// --- training and evaluation -----------------------------------------------------------------------------------------

at::Tensor EncDecMultiTaskModel::label_mask(const Values& batch) const {
  if (!masks_prompt_) return {};
  const int64_t labels = batch.tensor("prompted_transcript").size(1) - 1;
  return mask_of(batch.tensor("prompted_transcript_length") - 1, labels)
      .logical_and(mask_of(batch.tensor("prompt_length") - 1, labels).logical_not());
}

at::Tensor EncDecMultiTaskModel::loss_of(const Encoded& encoded, const Values& batch) {
  const at::Tensor tokens = batch.tensor("prompted_transcript"), states = encoded.output.tensor();
  const at::Tensor log_probs = log_probs_of(states, mask_of(encoded.lengths.tensor(), states.size(1)),
                                            tokens.slice(1, 0, -1), batch.tensor("prompted_transcript_length") - 1);
  Values in{{"log_probs", log_probs}, {"labels", tokens.slice(1, 1)}};
  if (const at::Tensor mask = label_mask(batch); mask.defined()) in.add("output_mask", mask);
  return loss_(in).tensor("loss");
}

// Labels that count; without a mask, padding and all, as NeMo weighs a batch.
double EncDecMultiTaskModel::loss_weight(const Values& batch) const {
  const at::Tensor mask = label_mask(batch);
  if (mask.defined()) return static_cast<double>(mask.sum().item<int64_t>());
  const at::Tensor tokens = batch.tensor("prompted_transcript");
  return static_cast<double>(tokens.size(0) * (tokens.size(1) - 1));
}

void EncDecMultiTaskModel::remember_prompts(const Values& batch) {
  const at::Tensor ids = batch.tensor("prompt").to(at::kCPU, at::kLong).contiguous(),
                   lengths = batch.tensor("prompt_length").to(at::kCPU, at::kLong).contiguous();
  prompts_.clear();
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const int64_t* row = ids.const_data_ptr<int64_t>() + i * ids.size(1);
    prompts_.emplace_back(row, row + std::clamp<int64_t>(lengths.const_data_ptr<int64_t>()[i], 0, ids.size(1)));
  }
}

at::Tensor EncDecMultiTaskModel::training_step(const Values& batch, const Step& step) {
  remember_prompts(batch);
  return SpeechModel::training_step(batch, step);
}

void EncDecMultiTaskModel::validation_step(const Values& batch, const Step& step) {
  remember_prompts(batch);
  SpeechModel::validation_step(batch, step);
}

void EncDecMultiTaskModel::log_training(const Encoded& /*encoded*/, const Values& batch, const Step& step,
                                        bool errors) {
  if (errors) {
    batch_bleu_.reset();
    count_errors(texts_, batch, batch_bleu_);
    step.log("training_batch_bleu", batch_bleu_.compute().at("bleu"));
  }
  const at::Tensor tokens = batch.tensor("prompted_transcript"), lengths = batch.tensor("prompted_transcript_length");
  const auto total = static_cast<double>(tokens.numel());
  step.log("batch_size", static_cast<double>(tokens.size(0)));
  step.log("num_tokens", lengths.sum());
  step.log("output_to_padding_ratio", lengths.sum() / total);
  const at::Tensor audio = batch.tensor_or_undefined("audio_signal");
  if (!audio.defined()) return;
  const at::Tensor frames = batch.tensor("a_sig_length").sum();
  step.log("num_frames", frames);
  step.log("input_to_padding_ratio", frames / static_cast<double>(audio.numel()));
}

void EncDecMultiTaskModel::evaluate_also(const Encoded& /*encoded*/, const Values& batch) {
  count_errors(texts_, batch, bleu_);
}

void EncDecMultiTaskModel::log_evaluation(const Step& step, const std::string& prefix) {
  step.log(prefix + "bleu", bleu_.compute().at("bleu"));
}

void EncDecMultiTaskModel::reset_evaluation() {
  SpeechModel::reset_evaluation();
  bleu_.reset();
}

std::vector<std::string> EncDecMultiTaskModel::best_texts(const Encoded& encoded) const {
  texts_.clear();
  for (const Hypothesis& hypothesis : decode(encoded, {})) texts_.push_back(hypothesis.text);
  return texts_;
}

std::vector<Hypothesis> EncDecMultiTaskModel::decode(const Encoded& encoded, const TranscribeOptions& options) const {
  const at::NoGradGuard no_grad;
  // In training too, a search hears the whole decoder.
  const auto decoder = transf_decoder_.torch_module(), classifier = head_.torch_module();
  const bool decoder_trains = decoder->is_training(), classifier_trains = classifier->is_training();
  decoder->eval();
  classifier->eval();
  auto hypotheses =
      decoding_.decode(transf_decoder_, head_, {encoded.output.tensor().detach(), encoded.lengths.tensor()}, prompts_);
  decoder->train(decoder_trains);
  classifier->train(classifier_trains);
  if (options.timestamps) {
    for (Hypothesis& hypothesis : hypotheses) read_time_tokens(hypothesis);
  }
  return hypotheses;
}

// --- data ------------------------------------------------------------------------------------------------------------

MadeDataset EncDecMultiTaskModel::make_dataset(Stage stage, const Json& section, const std::string& config_path) {
  if (section.is_null() || section.empty()) return nullptr;
  Json own = section;
  const bool predicts = stage == Stage::kPredict;
  if (!predicts && (!own.contains("manifest_filepath") || own["manifest_filepath"].is_null())) {
    log_warning(config_path + " has no manifest_filepath: no data for it");
    return nullptr;
  }
  own.erase(
      "use_lhotse");  // NeMo's models of this kind know no other way; here a manifest's lines are items either way
  const bool shuffles = own.contains("shuffle") && own["shuffle"] == Json(true);
  for (const auto& [key, next] :
       {std::pair<const char*, const char*>{"seed", "leave it out: the run's seed orders data"},
        {"shard_seed", "leave it out: the run's seed orders data"},
        {"batch_duration", "use max_seconds, the most audio of a batch"},
        {"quadratic_duration", "use max_seconds, the most audio of a batch"},
        {"bucket_buffer_size", "leave it out: buckets are made of all items"},
        {"shuffle_buffer_size", "leave it out: all items are shuffled"}}) {
    if (!own.contains(key)) continue;
    const bool orders = std::string_view(key).ends_with("seed");
    if (!own[key].is_null() && (!orders || shuffles)) {
      throw Error(Code::kUnavailable, std::string("this way of feeding data is not available: ") + key)
          .at(config_path + "." + key)
          .seen(json_text(own[key]))
          .next(next);
    }
    own.erase(key);
  }
  audio::Manifest clips;
  if (predicts) {
    clips = predict_clips(own, config_path);
    own.erase("paths");
    own["manifest_filepath"] = "";
    if (!own.contains("pad_min_duration")) {
      own["pad_min_duration"] = kShortestClip;
      if (!own.contains("pad_direction")) own["pad_direction"] = "both";
    }
  }
  own = dataset_keys(own, option_names<PromptedAudioDataset::Options>(), config_path);
  if (!own.contains("sample_rate") || own["sample_rate"].is_null()) own["sample_rate"] = sample_rate();
  const auto options = parse_options<PromptedAudioDataset::Options>(own, config_path);
  if (!options.tokenizer.is_null() || options.prompt_format || !options.prompt_defaults.is_null()) {
    throw Error(Code::kFailed, "prompts and their tokenizer are the model's")
        .at(config_path)
        .seen("tokenizer, prompt_format or prompt_defaults")
        .next("leave them out");
  }
  if (options.sample_rate != sample_rate()) {
    throw Error(Code::kFailed, "the data's sample rate is not the front-end's")
        .at(config_path + ".sample_rate")
        .seen(std::to_string(options.sample_rate))
        .expected(std::to_string(sample_rate()));
  }
  try {
    if (predicts) return PromptedAudioDataset::for_inference(options, format_, std::move(clips));
    auto dataset = std::make_shared<PromptedAudioDataset>(options, format_, pad_);
    if (dataset->size() > 0) return dataset;
    throw Error(Code::kBadData, "no clip is left: min_duration or max_duration dropped them all").at(config_path);
  } catch (Error& error) {
    error.locate(config_path);
    throw;
  }
}

// --- transcription ---------------------------------------------------------------------------------------------------

PromptSlots EncDecMultiTaskModel::slots_of(const Json& entry, const PromptSlots& asked) const {
  PromptSlots given, fallback = {{"source_lang", "en"}, {"target_lang", "en"}, {"task", "asr"}, {"pnc", "yes"}};
  for (const auto& [slot, value] : format_.defaults()) fallback[slot] = value;
  for (const auto& [slot, value] : asked) fallback[slot] = value;
  for (const auto& [key, value] : entry.items()) {
    if (value.is_string()) given[key] = value.get<std::string>();
  }
  return format_.complete(given, fallback);
}

std::vector<Values> EncDecMultiTaskModel::predict_step(const Values& batch, const Json& options) {
  Json rest = options.is_object() ? options : Json::object();
  PromptSlots asked;
  std::vector<std::string> slots = format_.slots();
  if (format_.name() == "canary") slots.emplace_back("taskname");
  for (const std::string& slot : slots) {
    if (!rest.contains(slot)) continue;
    const Json value = rest[slot];
    rest.erase(slot);
    if (value.is_null()) continue;
    if (!value.is_string() && !value.is_boolean())
      throw Error(Code::kFailed, "a prompt's slot must be a text").at(slot).seen(json_text(value));
    asked[slot == "taskname" ? "task" : slot] = value.is_string() ? value.get<std::string>() : json_text(value);
  }
  if (rest.value("timestamps", Json(nullptr)) == Json(true)) {
    if (format_.name() == "canary") {
      throw Error(Code::kUnavailable, "a model of the prompt format 'canary' knows no timestamps")
          .at("timestamps")
          .seen("true")
          .next("leave them out, or take a model of the format canary2");
    }
    asked["timestamp"] = "timestamp";
  }
  const Value* entries = batch.find("entries");
  const at::Tensor features = batch.tensor_or_undefined("processed_signal");
  const int64_t count = features.defined() ? features.size(0) : batch.tensor("audio_signal").size(0);
  prompts_.clear();
  for (int64_t i = 0; i < count; ++i) {
    const Json entry =
        entries != nullptr ? parse_text(entries->list().at(static_cast<size_t>(i)).text()) : Json::object();
    try {
      prompts_.push_back(format_.prompt(slots_of(entry, asked)).context);
    } catch (const Error& error) {
      const std::string file = entry.contains("audio_filepath") ? entry["audio_filepath"].get<std::string>() : "item";
      throw Error(error.code(), "there is no prompt for an item: " + error.message())
          .at(file + (error.where().empty() ? "" : " (" + error.where() + ")"))
          .seen(error.seen())
          .expected(error.expected())
          .candidates(error.candidates());
    }
  }
  return SpeechModel::predict_step(batch, rest);
}

}  // namespace fathom::asr
