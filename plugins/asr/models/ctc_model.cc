#include "plugins/asr/models/ctc_model.h"

#include <ATen/ATen.h>

#include "fathom/adapter.h"

namespace fathom::asr {
namespace {

constexpr const char* kDefaultDecoder = "nemo.collections.asr.modules.ConvASRDecoder";

PretrainedModelInfo catalogue_model(const std::string& name, const std::string& version,
                                    const std::string& description) {
  return {
      name, description,
      "https://api.ngc.nvidia.com/v2/models/nvidia/nemo/" + name + "/versions/" + version + "/files/" + name + ".nemo"};
}

}  // namespace

void EncDecCTCModel::Options::describe(OptionSet<Options>& o) {
  o.include<SpeechModelOptions>();
  o("decoder", &Options::decoder, "from the encoder's output to log-probabilities (ConvASRDecoder)");
  o("decoding", &Options::decoding, "from log-probabilities to text; greedy unless it says otherwise");
  o("interctc", &Options::interctc, "losses on layers of the encoder: loss_weights, apply_at_layers");
  o("ctc_reduction", &Options::ctc_reduction, "how the losses of a batch become one: mean_batch, mean, sum, …");
}

// Those that NeMo's classes list, of NVIDIA's catalogue.
std::vector<PretrainedModelInfo> EncDecCTCModel::list_available_models() {
  std::vector<PretrainedModelInfo> out = {
      {"QuartzNet15x5Base-En", "QuartzNet 15x5 for English, of six data sets; WER 3.79 % on LibriSpeech dev-clean",
       "https://api.ngc.nvidia.com/v2/models/nvidia/nemospeechmodels/versions/1.0.0a5/files/QuartzNet15x5Base-En.nemo"},
      catalogue_model("stt_en_jasper10x5dr", "1.0.0rc1", "Jasper 10x5 DR for English")};
  const std::pair<const char*, const char*> kLanguages[] = {{"en", "English"}, {"ca", "Catalan"}, {"de", "German"},
                                                            {"es", "Spanish"}, {"fr", "French"},  {"it", "Italian"},
                                                            {"pl", "Polish"},  {"ru", "Russian"}};
  for (const auto& [code, language] : kLanguages) {
    out.push_back(catalogue_model(std::string("stt_") + code + "_quartznet15x5", "1.0.0rc1",
                                  std::string("QuartzNet 15x5 for ") + language));
  }
  return out;
}

std::vector<PretrainedModelInfo> EncDecCTCModelBPE::list_available_models() {
  return {catalogue_model("stt_en_citrinet_256", "1.0.0rc1", "Citrinet 256 for English"),
          catalogue_model("stt_en_citrinet_512", "1.0.0rc1", "Citrinet 512 for English"),
          catalogue_model("stt_en_citrinet_1024", "1.0.0rc1", "Citrinet 1024 for English"),
          catalogue_model("stt_es_citrinet_512", "1.0.0", "Citrinet 512 for Spanish"),
          catalogue_model("stt_en_conformer_ctc_small", "1.6.0", "Conformer, small, for English"),
          catalogue_model("stt_en_conformer_ctc_medium", "1.6.0", "Conformer, medium, for English"),
          catalogue_model("stt_en_conformer_ctc_large", "1.10.0", "Conformer, large, for English"),
          catalogue_model("stt_en_conformer_ctc_xlarge", "1.10.0", "Conformer, very large, for English")};
}

EncDecCTCModel::EncDecCTCModel(Json config, ModelContext context)
    : EncDecCTCModel(std::move(config), std::move(context), {"asr.EncDecCTCModel", {"decoder"}, "decoder"}) {}

EncDecCTCModel::EncDecCTCModel(Json config, ModelContext context, Kind kind)
    : SpeechModel(std::move(config), std::move(context), std::move(kind)) {
  // The width that the encoder gives, where the config leaves it out.
  Json& decoder = config_["decoder"];
  const bool has_width = decoder.contains("feat_in") && !decoder["feat_in"].is_null() && decoder["feat_in"] != 0;
  const Json facts = has_width ? Json(nullptr) : encoder_properties();
  if (facts.is_object() && facts.contains("feat_out")) decoder["feat_in"] = facts["feat_out"];

  decoder_ = make_child("decoder", kDefaultDecoder);
  make_spec_augment();
  loss_ = make_loss();
  add_child("loss", loss_);
  setup_adapters(*this, config_, "encoder");
  decoding_ = make_decoding();
  set_inter_ctc({{"_target_", "asr.WER"}, {"use_cer", config_.value("use_cer", false)}});
}

ModuleHandle EncDecCTCModel::make_loss() const {
  return make_module({{"_target_", "nemo.collections.asr.losses.ctc.CTCLoss"},
                      {"num_classes", static_cast<int64_t>(labels().size())},
                      {"zero_infinity", true},
                      {"reduction", config_.value("ctc_reduction", std::string("mean_batch"))}},
                     path_of("loss"));
}

CtcDecoding EncDecCTCModel::make_decoding() const {
  const Json section =
      config_.contains("decoding") && config_["decoding"].is_object() ? config_["decoding"] : Json::object();
  const auto config = parse_options<CtcDecodingConfig>(section, path_of("decoding"));
  try {
    return CtcDecoding(config, vocabulary());
  } catch (Error& error) {  // of an option, which does not know whose it is
    error.locate_within(path_of("decoding"));
    throw;
  }
}

void EncDecCTCModel::relabel(const std::vector<std::string>& labels, bool keep_weights) {
  const ModuleHandle decoder =
      keep_weights ? decoder_
                   : make_relabelled(decoder_, with_target(config_["decoder"], kDefaultDecoder), "decoder", labels);
  // Nothing has changed so far, and nothing below fails but for memory.
  set_labels(labels);
  decoding_ = make_decoding();
  if (keep_weights) return;
  decoder_ = decoder;
  replace_child("decoder", decoder_);
  loss_ = make_loss();
  replace_child("loss", loss_);
}

Ports EncDecCTCModel::outputs() const {
  return {{"log_probs", {"B T D", LogprobsType{}}},
          {"encoded_lengths", {"B", LengthsType{}}},
          {"greedy_predictions", {"B T", LabelsType{}}}};
}

Values EncDecCTCModel::forward(const Values& in) {
  const Encoded out = encode_inputs(in);
  return {{"log_probs", out.output},
          {"encoded_lengths", out.lengths},
          {"greedy_predictions", out.output.tensor().argmax(-1)}};
}

Value EncDecCTCModel::head(const Value& encoder_output, const Value& /*lengths*/) {
  return decoder_({{"encoder_output", encoder_output}})["logprobs"];
}

at::Tensor EncDecCTCModel::loss_of(const Encoded& encoded, const Values& batch) {
  return loss_({{"log_probs", encoded.output},
                {"targets", batch["transcripts"]},
                {"input_lengths", encoded.lengths},
                {"target_lengths", batch["transcript_length"]}})
      .tensor("loss");
}

InterCtc::Head EncDecCTCModel::inter_ctc_head(const Values& batch) {
  return {[this](const Value& encoded) { return head(encoded, {}).tensor(); },
          [this, &batch](const at::Tensor& log_probs, const at::Tensor& lengths) {
            return loss_of({log_probs, lengths}, batch);
          },
          [this, &batch](const at::Tensor& log_probs, const at::Tensor& lengths, const MetricHandle& wer) {
            count_errors(best_texts({log_probs, lengths}), batch, wer);
          }};
}

std::vector<std::string> EncDecCTCModel::best_texts(const Encoded& encoded) const {
  return decoding_.decode_predictions(encoded.output.tensor().detach().argmax(-1), encoded.lengths.tensor());
}

std::vector<Hypothesis> EncDecCTCModel::decode(const Encoded& encoded, const TranscribeOptions& options) const {
  return decoding_.decode(encoded.output.tensor(), encoded.lengths.tensor(), options.timestamps);
}

}  // namespace fathom::asr
