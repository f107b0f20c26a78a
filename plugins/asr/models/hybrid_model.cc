#include "plugins/asr/models/hybrid_model.h"

#include <ATen/ATen.h>

namespace fathom::asr {
namespace {

constexpr const char* kDefaultCtcDecoder = "nemo.collections.asr.modules.ConvASRDecoder";

}  // namespace

void AuxCtcOptions::describe(OptionSet<AuxCtcOptions>& o) {
  o("ctc_loss_weight", &AuxCtcOptions::ctc_loss_weight, "share of the CTC head's loss");
  o("ctc_reduction", &AuxCtcOptions::ctc_reduction, "how its losses of a batch become one");
  o("use_cer", &AuxCtcOptions::use_cer, "its error rates count characters, not words");
  o("decoder", &AuxCtcOptions::decoder, "the head (ConvASRDecoder)");
  o("decoding", &AuxCtcOptions::decoding, "from its log-probabilities to text");
}

void HybridModelOptions::describe(OptionSet<HybridModelOptions>& o) {
  o.include<RNNTModelOptions>();
  o("aux_ctc", &HybridModelOptions::aux_ctc,
    "the CTC head: ctc_loss_weight, decoder, decoding, ctc_reduction, use_cer");
}

std::vector<PretrainedModelInfo> EncDecHybridRNNTCTCBPEModel::list_available_models() {
  std::vector<PretrainedModelInfo> out;
  const std::pair<const char*, const char*> kLanguages[] = {{"en", "English"}, {"de", "German"}, {"it", "Italian"},
                                                            {"es", "Spanish"}, {"fr", "French"}, {"ru", "Russian"}};
  for (const auto& [code, language] : kLanguages) {
    const std::string name = std::string("stt_") + code + "_fastconformer_hybrid_large_pc";
    out.push_back(
        {name, std::string("FastConformer, transducer and CTC, with punctuation, for ") + language,
         "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/" + name + "/versions/1.21.0/files/" + name + ".nemo"});
  }
  return out;
}

EncDecHybridRNNTCTCModel::EncDecHybridRNNTCTCModel(Json config, ModelContext context, Kind kind)
    : EncDecRNNTModel(std::move(config), std::move(context), std::move(kind)) {
  if (!config_.contains("aux_ctc") || !config_["aux_ctc"].is_object()) {
    throw Error(Code::kFailed, "a hybrid model needs the section of its CTC head")
        .at(path_of("aux_ctc"))
        .seen(config_.contains("aux_ctc") ? json_text(config_["aux_ctc"]) : "nothing")
        .expected("{ctc_loss_weight, decoder, decoding}");
  }
  make_transducer();
  const auto options = parse_options<AuxCtcOptions>(config_["aux_ctc"], path_of("aux_ctc"));
  weight_ = options.ctc_loss_weight;
  if (!(weight_ >= 0 && weight_ <= 1)) {
    throw Error(Code::kFailed, "the CTC head's share of the loss lies between 0 and 1")
        .at(path_of("aux_ctc") + ".ctc_loss_weight")
        .seen(json_text(Json(weight_)));
  }
  Json& decoder = config_["aux_ctc"]["decoder"];
  if (!decoder.is_object()) decoder = Json::object();
  const Json facts = encoder_properties();
  const bool has_width = decoder.contains("feat_in") && !decoder["feat_in"].is_null() && decoder["feat_in"] != 0;
  if (!has_width && facts.is_object() && facts.contains("feat_out")) decoder["feat_in"] = facts["feat_out"];
  decoder["vocabulary"] = labels();
  decoder["num_classes"] = static_cast<int64_t>(labels().size());
  ctc_decoder_ = make_module(with_target(decoder, kDefaultCtcDecoder), path_of("aux_ctc.decoder"));
  add_child("ctc_decoder", ctc_decoder_);
  ctc_loss_ = make_ctc_loss();
  add_child("ctc_loss", ctc_loss_);
  ctc_decoding_ = make_ctc_decoding();
  const Json wer = {{"_target_", "asr.WER"}, {"use_cer", options.use_cer}};
  ctc_wer_ = make_metric(wer, path_of("ctc_wer"));
  batch_ctc_wer_ = make_metric(wer, path_of("ctc_wer"));
  add_child("ctc_wer", ctc_wer_);
  set_inter_ctc(wer);
}

ModuleHandle EncDecHybridRNNTCTCModel::make_ctc_loss() const {
  const Json reduction = config_["aux_ctc"].value("ctc_reduction", Json("mean_batch"));
  return make_module({{"_target_", "nemo.collections.asr.losses.ctc.CTCLoss"},
                      {"num_classes", static_cast<int64_t>(labels().size())},
                      {"zero_infinity", true},
                      {"reduction", reduction}},
                     path_of("aux_ctc"));
}

CtcDecoding EncDecHybridRNNTCTCModel::make_ctc_decoding() const {
  const Json section = config_["aux_ctc"].value("decoding", Json(nullptr));
  const std::string path = path_of("aux_ctc.decoding");
  const auto config = parse_options<CtcDecodingConfig>(section.is_object() ? section : Json::object(), path);
  try {
    return {config, vocabulary()};
  } catch (Error& error) {  // of an option, which does not know whose it is
    error.locate_within(path);
    throw;
  }
}

void EncDecHybridRNNTCTCModel::relabel(const std::vector<std::string>& labels, bool keep_weights) {
  const ModuleHandle decoder =
      keep_weights ? ctc_decoder_
                   : make_relabelled(ctc_decoder_, with_target(config_["aux_ctc"]["decoder"], kDefaultCtcDecoder),
                                     "aux_ctc.decoder", labels);
  EncDecRNNTModel::relabel(labels, keep_weights);
  config_["aux_ctc"]["decoder"]["vocabulary"] = labels;
  config_["aux_ctc"]["decoder"]["num_classes"] = static_cast<int64_t>(labels.size());
  ctc_decoding_ = make_ctc_decoding();
  if (keep_weights) return;
  ctc_decoder_ = decoder;
  replace_child("ctc_decoder", ctc_decoder_);
  ctc_loss_ = make_ctc_loss();
  replace_child("ctc_loss", ctc_loss_);
}

at::Tensor EncDecHybridRNNTCTCModel::ctc_log_probs(const Encoded& encoded) const {
  return ctc_decoder_({{"encoder_output", encoded.output}}).tensor("logprobs");
}

std::vector<std::string> EncDecHybridRNNTCTCModel::ctc_texts(const Encoded& encoded) const {
  const at::NoGradGuard no_grad;
  const at::Tensor log_probs = log_probs_.defined() ? log_probs_ : ctc_log_probs(encoded);
  return ctc_decoding_.decode_predictions(log_probs.argmax(-1), encoded.lengths.tensor());
}

at::Tensor EncDecHybridRNNTCTCModel::ctc_loss_of(const at::Tensor& log_probs, const Value& lengths,
                                                 const Values& batch) const {
  return ctc_loss_({{"log_probs", log_probs},
                    {"targets", batch["transcripts"]},
                    {"input_lengths", lengths},
                    {"target_lengths", batch["transcript_length"]}})
      .tensor("loss");
}

InterCtc::Head EncDecHybridRNNTCTCModel::inter_ctc_head(const Values& batch) {
  return {[this](const Value& encoded) { return ctc_log_probs({encoded, {}}); },
          [this, &batch](const at::Tensor& log_probs, const at::Tensor& lengths) {
            return ctc_loss_of(log_probs, lengths, batch);
          },
          [this, &batch](const at::Tensor& log_probs, const at::Tensor& lengths, const MetricHandle& wer) {
            count_errors(ctc_decoding_.decode_predictions(log_probs.argmax(-1), lengths), batch, wer);
          }};
}

at::Tensor EncDecHybridRNNTCTCModel::loss_of(const Encoded& encoded, const Values& batch) {
  const at::Tensor rnnt = EncDecRNNTModel::loss_of(encoded, batch);
  if (!rnnt.defined() || weight_ <= 0) return rnnt;
  const at::Tensor log_probs = ctc_log_probs(encoded);
  const at::Tensor ctc = ctc_loss_of(log_probs, encoded.lengths, batch);
  log_probs_ = log_probs.detach();
  rnnt_part_ = rnnt.detach();
  ctc_part_ = ctc.detach();
  return (1 - weight_) * rnnt + weight_ * ctc;
}

void EncDecHybridRNNTCTCModel::log_training(const Encoded& encoded, const Values& batch, const Step& step,
                                            bool errors) {
  if (weight_ <= 0) return;
  step.log("train_rnnt_loss", rnnt_part_);
  step.log("train_ctc_loss", ctc_part_);
  if (errors) {
    batch_ctc_wer_.reset();
    count_errors(ctc_texts(encoded), batch, batch_ctc_wer_);
    step.log("training_batch_wer_ctc", batch_ctc_wer_.compute().at("wer"));
  }
  log_probs_.reset();
}

void EncDecHybridRNNTCTCModel::evaluate_also(const Encoded& encoded, const Values& batch) {
  count_errors(ctc_texts(encoded), batch, ctc_wer_);
  log_probs_.reset();
}

void EncDecHybridRNNTCTCModel::log_evaluation(const Step& step, const std::string& prefix) {
  step.log(prefix + "wer_ctc", ctc_wer_.compute().at("wer"));
}

void EncDecHybridRNNTCTCModel::reset_evaluation() {
  EncDecRNNTModel::reset_evaluation();
  ctc_wer_.reset();
}

std::vector<Hypothesis> EncDecHybridRNNTCTCModel::decode(const Encoded& encoded,
                                                         const TranscribeOptions& options) const {
  if (options.decoder_type != "ctc") return EncDecRNNTModel::decode(encoded, options);
  return ctc_decoding_.decode(ctc_log_probs(encoded), encoded.lengths.tensor(), options.timestamps);
}

}  // namespace fathom::asr
