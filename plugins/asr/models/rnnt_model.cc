#include "plugins/asr/models/rnnt_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "fathom/adapter.h"
#include "plugins/asr/losses/transducer_loss_options.h"

namespace fathom::asr {
namespace {

constexpr const char* kDefaultPrediction = "nemo.collections.asr.modules.RNNTDecoder";
constexpr const char* kDefaultJoint = "nemo.collections.asr.modules.RNNTJoint";

PretrainedModelInfo catalogue_transducer(const std::string& name, const std::string& version,
                                         const std::string& description) {
  return {
      name, description,
      "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/" + name + "/versions/" + version + "/files/" + name + ".nemo"};
}

bool is_on(const Json& config, const char* key) { return config.contains(key) && config[key] == Json(true); }

}  // namespace

void RNNTModelOptions::describe(OptionSet<RNNTModelOptions>& o) {
  using Options = RNNTModelOptions;
  o.include<SpeechModelOptions>();
  o("decoder", &Options::decoder, "the prediction network (RNNTDecoder)");
  o("joint", &Options::joint, "from both networks to the tokens (RNNTJoint)");
  o("model_defaults", &Options::model_defaults,
    "enc_hidden and pred_hidden, for the joint network; others may refer to it");
  o("loss", &Options::loss, "loss_name: default (RNN-T), tdt or multiblank_rnnt, and its keywords in NAME_kwargs");
  o("decoding", &Options::decoding, "from the networks to text; greedy_batch unless it says otherwise");
  o("rnnt_reduction", &Options::rnnt_reduction, "how the losses of a batch become one: mean_batch, mean, sum, …");
  o("compute_eval_loss", &Options::compute_eval_loss, "whether evaluations have a loss; off: error rates only");
  o("variational_noise", &Options::variational_noise, "noise on the prediction network's gradients: {std, start_step}");
  o("interctc", &Options::interctc, "losses on layers of the encoder: loss_weights, apply_at_layers; of hybrids alone");
  o("normalize_joint_txu", &Options::normalize_joint_txu,
    "divide the encoder's gradients by the batch's most tokens, the prediction network's by its most frames");
  o("normalize_encoder_norm", &Options::normalize_encoder_norm, "make each of the encoder's gradients of norm 1");
  o("normalize_decoder_norm", &Options::normalize_decoder_norm,
    "make each of the prediction network's gradients of norm 1");
  o("normalize_joint_norm", &Options::normalize_joint_norm, "make each of the joint network's gradients of norm 1");
}

// Some of those that NeMo's classes list, of NVIDIA's catalogue.
std::vector<PretrainedModelInfo> EncDecRNNTModel::list_available_models() { return {}; }

std::vector<PretrainedModelInfo> EncDecRNNTBPEModel::list_available_models() {
  return {
      catalogue_transducer("stt_en_contextnet_256", "1.6.0", "ContextNet 256 for English"),
      catalogue_transducer("stt_en_contextnet_512", "1.6.0", "ContextNet 512 for English"),
      catalogue_transducer("stt_en_contextnet_1024", "1.9.0", "ContextNet 1024 for English"),
      catalogue_transducer("stt_en_conformer_transducer_small", "1.6.0", "Conformer transducer, small, for English"),
      catalogue_transducer("stt_en_conformer_transducer_medium", "1.6.0", "Conformer transducer, medium, for English"),
      catalogue_transducer("stt_en_conformer_transducer_large", "1.10.0", "Conformer transducer, large, for English"),
      catalogue_transducer("stt_en_conformer_transducer_xlarge", "1.10.0",
                           "Conformer transducer, very large, for English")};
}

EncDecRNNTModel::EncDecRNNTModel(Json config, ModelContext context)
    : EncDecRNNTModel(std::move(config), std::move(context), kind_of("asr.EncDecRNNTModel", false)) {
  make_transducer();
}

EncDecRNNTModel::EncDecRNNTModel(Json config, ModelContext context, Kind kind)
    : SpeechModel(std::move(config), std::move(context), std::move(kind)) {}

void EncDecRNNTModel::make_transducer() {
  refuse_what_is_missing();
  gradients_ = TransducerGradients(config_, path_of("variational_noise"));
  complete_sections();
  decoder_ = make_child("decoder", kDefaultPrediction);
  joint_ = JointHandle(make_child("joint", kDefaultJoint));
  loss_ = make_module(loss_config(), path_of("loss"));
  loss_text_ = json_text(loss_config());
  add_child("loss", loss_);
  make_spec_augment();
  compute_eval_loss_ = config_.value("compute_eval_loss", Json(true)) != Json(false);
  setup_adapters(*this, config_, "encoder");
  decoding_ = make_decoding();
}

// What NeMo's training does besides and this does not: better said than left out.
void EncDecRNNTModel::refuse_what_is_missing() const {
  const auto refuse = [&](const std::string& key, const std::string& what) {
    throw Error(Code::kUnavailable, what + " is not supported").at(path_of(key.c_str())).next("leave it out");
  };
  const Json inter = config_.value("interctc", Json(nullptr));
  const bool has_head = config_.contains("aux_ctc") && config_["aux_ctc"].is_object();
  if (!has_head && inter.is_object() && inter.contains("loss_weights") && !inter["loss_weights"].empty()) {
    if (!context().restoring) refuse("interctc", "a loss on layers of the encoder, of a model without a CTC head,");
    log_warning(path_of("interctc") + " has no effect: a transducer without a CTC head reads no layers");
  }
}

std::string EncDecRNNTModel::loss_name() const {
  const Json section = config_.value("loss", Json(nullptr));
  const Json name = section.is_object() ? section.value("loss_name", Json(nullptr)) : Json(nullptr);
  return name.is_string() ? name.get<std::string>() : "default";
}

// What the config leaves to the model: the decoder's and the joint network's sizes, and how many outputs the loss adds.
void EncDecRNNTModel::complete_sections() {
  const Json& defaults = config_["model_defaults"];
  const auto width = [&](const char* key) -> Json {
    if (defaults.contains(key) && defaults[key].is_number_integer()) return defaults[key];
    throw Error(Code::kFailed, std::string("the joint network needs the width of ") +
                                   (std::string_view(key) == "enc_hidden" ? "the encoder" : "the prediction network"))
        .at(path_of("model_defaults") + "." + key)
        .seen(defaults.contains(key) ? json_text(defaults[key]) : "nothing")
        .expected("a number");
  };
  Json& joint = config_["joint"];
  if (!joint.contains("jointnet") || !joint["jointnet"].is_object())
    throw Error(Code::kFailed, "the joint network has no section 'jointnet'").at(path_of("joint"));
  joint["jointnet"]["encoder_hidden"] = width("enc_hidden");
  joint["jointnet"]["pred_hidden"] = width("pred_hidden");
  config_["decoder"]["vocab_size"] = static_cast<int64_t>(labels().size());

  const Json facts = encoder_properties();
  if (facts.is_object() && facts.contains("feat_out") && facts["feat_out"] != joint["jointnet"]["encoder_hidden"]) {
    throw Error(Code::kFailed, "the encoder has another width than model_defaults.enc_hidden")
        .at(path_of("model_defaults") + ".enc_hidden")
        .seen(json_text(joint["jointnet"]["encoder_hidden"]) + ", and an encoder of " + json_text(facts["feat_out"]))
        .expected("the encoder's");
  }
  const Json options = loss_config();
  const char* key = loss_name().starts_with("tdt") ? "durations" : "big_blank_durations";
  const Json& kwargs = options["loss_kwargs"];
  const bool adds = loss_name().starts_with("tdt") || loss_name().starts_with("multiblank");
  const auto added = static_cast<int64_t>(adds && kwargs.is_object() && kwargs.contains(key) ? kwargs[key].size() : 0);
  const int64_t extra = joint.value("num_extra_outputs", int64_t{0});
  if (extra != added) {
    throw Error(Code::kFailed, "the joint network has another number of extra outputs than the loss has durations")
        .at(path_of("joint") + ".num_extra_outputs")
        .seen(std::to_string(extra) + ", and " + std::to_string(added) + " durations of the loss '" + loss_name() + "'")
        .expected("as many");
  }
}

Json EncDecRNNTModel::loss_config() const {
  const Json section = config_.value("loss", Json(nullptr));
  const std::string name = loss_name();
  const std::string key = loss_kwargs_key(name);
  const Json kwargs = section.is_object() ? section.value(key, Json(nullptr)) : Json(nullptr);
  const Json reduction = config_.value("rnnt_reduction", Json("mean_batch"));
  const int64_t extra = name.starts_with("multiblank") ? config_["joint"].value("num_extra_outputs", int64_t{0}) : 0;
  return {{"_target_", "nemo.collections.asr.losses.rnnt.RNNTLoss"},
          {"num_classes", static_cast<int64_t>(labels().size()) + extra},
          {"loss_name", name},
          {"reduction", reduction},
          {"loss_kwargs", kwargs}};
}

// The decoding of a model follows its loss, as NeMo's set_decoding_type_according_to_loss.
TransducerDecoding EncDecRNNTModel::make_decoding() const {
  Json section = config_.contains("decoding") && config_["decoding"].is_object() ? config_["decoding"] : Json::object();
  const Json kwargs = loss_config()["loss_kwargs"];
  const std::string name = loss_name();
  if (name.starts_with("tdt")) {
    section["model_type"] = "tdt";
    section["durations"] = kwargs["durations"];
  } else if (name.starts_with("multiblank")) {
    section["model_type"] = "multiblank";
    section["big_blank_durations"] = kwargs["big_blank_durations"];
  } else {
    section["model_type"] = "rnnt";
  }
  const auto config = parse_options<TransducerDecodingConfig>(section, path_of("decoding"));
  try {
    return {config, vocabulary()};
  } catch (Error& error) {  // of an option, which does not know whose it is
    error.locate_within(path_of("decoding"));
    throw;
  }
}

void EncDecRNNTModel::relabel(const std::vector<std::string>& labels, bool keep_weights) {
  ModuleHandle decoder = decoder_, joint = joint_.module();
  if (!keep_weights) {
    Json section = with_target(config_["decoder"], kDefaultPrediction);
    section["vocab_size"] = static_cast<int64_t>(labels.size());
    decoder = make_like(decoder_, section, "decoder");
    joint = make_relabelled(joint_.module(), with_target(config_["joint"], kDefaultJoint), "joint", labels);
  }
  // Nothing has changed so far, and nothing below fails but for memory.
  set_labels(labels);
  config_["decoder"]["vocab_size"] = static_cast<int64_t>(labels.size());
  decoding_ = make_decoding();
  if (keep_weights) return;
  decoder_ = decoder;
  replace_child("decoder", decoder_);
  joint_ = JointHandle(joint);
  replace_child("joint", joint);
  loss_ = make_module(loss_config(), path_of("loss"));
  loss_text_ = json_text(loss_config());
  replace_child("loss", loss_);
}

Ports EncDecRNNTModel::outputs() const {
  return {{"outputs", {"B D T", AcousticEncodedRepresentation{}}}, {"encoded_lengths", {"B", LengthsType{}}}};
}

Values EncDecRNNTModel::forward(const Values& in) {
  const Encoded out = encode_inputs(in);
  return {{"outputs", out.output}, {"encoded_lengths", out.lengths}};
}

at::Tensor EncDecRNNTModel::loss_of(const Encoded& encoded, const Values& batch) {
  if (!compute_eval_loss_ && !is_training()) return {};
  const Value &targets = batch["transcripts"], &target_lengths = batch["transcript_length"];
  if (gradients_.needs_lengths() && is_training()) {
    gradients_.set_lengths(encoded.lengths.tensor().max().item<int64_t>(),
                           target_lengths.tensor().max().item<int64_t>());
  }
  const Value decoded = decoder_({{"targets", targets}, {"target_length", target_lengths}})["outputs"];
  if (joint_.has_parts()) {
    return joint_.loss(loss_text_, {{"encoder_outputs", encoded.output},
                                    {"decoder_outputs", decoded},
                                    {"encoder_lengths", encoded.lengths},
                                    {"transcripts", targets},
                                    {"transcript_lengths", target_lengths}});
  }
  const Value out = joint_.module()({{"encoder_outputs", encoded.output}, {"decoder_outputs", decoded}})["outputs"];
  return loss_({{"log_probs", out},
                {"targets", targets},
                {"input_lengths", encoded.lengths},
                {"target_lengths", target_lengths}})
      .tensor("loss");
}

void EncDecRNNTModel::on_after_backward(const Step& step) { gradients_.change(*this, step.global_step()); }

double EncDecRNNTModel::training_error_rate(const std::vector<std::string>& texts, const Values& batch) {
  const Json& joint = config_["joint"];
  const Json given = joint.value("fused_batch_size", Json(nullptr));
  const auto slice = is_on(joint, "fuse_loss_wer") && given.is_number_integer() && given.get<int64_t>() > 0
                         ? given.get<size_t>()
                         : texts.size();
  double sum = 0;
  size_t slices = 0;
  for (size_t first = 0; first < texts.size(); first += slice, ++slices)
    sum += error_rate_of(texts, batch, first, std::min(first + slice, texts.size()));
  return slices == 0 ? 0 : sum / static_cast<double>(slices);
}

std::vector<std::string> EncDecRNNTModel::best_texts(const Encoded& encoded) const {
  std::vector<std::string> texts;
  for (const auto& hypothesis : decode(encoded, {})) texts.push_back(hypothesis.text);
  return texts;
}

std::vector<Hypothesis> EncDecRNNTModel::decode(const Encoded& encoded, const TranscribeOptions& options) const {
  return decoding_.decode(decoder_, joint_, encoded.output.tensor().detach(), encoded.lengths.tensor(),
                          options.timestamps);
}

}  // namespace fathom::asr
