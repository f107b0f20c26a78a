#include "plugins/asr/models/ctc_model.h"

#include <ATen/ATen.h>

#include "fathom/adapter.h"

namespace fathom::asr {
namespace {

constexpr const char* kDefaultDecoder = "nemo.collections.asr.modules.ConvASRDecoder";

}  // namespace

void EncDecCTCModel::Options::describe(OptionSet<Options>& o) {
  o.include<SpeechModelOptions>();
  o("decoder", &Options::decoder, "from the encoder's output to log-probabilities (ConvASRDecoder)");
  o("decoding", &Options::decoding, "from log-probabilities to text; greedy unless it says otherwise");
  o("ctc_reduction", &Options::ctc_reduction, "how the losses of a batch become one: mean_batch, mean, sum, …");
}

// Those that NeMo's class lists, of NVIDIA's catalogue.
std::vector<PretrainedModelInfo> EncDecCTCModel::list_available_models() {
  const std::string catalogue = "https://api.ngc.nvidia.com/v2/models/nvidia/";
  std::vector<PretrainedModelInfo> out = {
      {"QuartzNet15x5Base-En", "QuartzNet 15x5 for English, of six data sets; WER 3.79 % on LibriSpeech dev-clean",
       catalogue + "nemospeechmodels/versions/1.0.0a5/files/QuartzNet15x5Base-En.nemo"},
      {"stt_en_jasper10x5dr", "Jasper 10x5 DR for English",
       catalogue + "nemo/stt_en_jasper10x5dr/versions/1.0.0rc1/files/stt_en_jasper10x5dr.nemo"}};
  const std::pair<const char*, const char*> kLanguages[] = {{"en", "English"}, {"ca", "Catalan"}, {"de", "German"},
                                                            {"es", "Spanish"}, {"fr", "French"},  {"it", "Italian"},
                                                            {"pl", "Polish"},  {"ru", "Russian"}};
  for (const auto& [code, language] : kLanguages) {
    const std::string name = std::string("stt_") + code + "_quartznet15x5";
    out.push_back({name, std::string("QuartzNet 15x5 for ") + language,
                   catalogue + "nemo/" + name + "/versions/1.0.0rc1/files/" + name + ".nemo"});
  }
  return out;
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
  return CtcDecoding(parse_options<CtcDecodingConfig>(section, path_of("decoding")), vocabulary());
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

Value EncDecCTCModel::head(const Value& encoder_output) {
  return decoder_({{"encoder_output", encoder_output}})["logprobs"];
}

at::Tensor EncDecCTCModel::loss_of(const Encoded& encoded, const Values& batch) {
  return loss_({{"log_probs", encoded.output},
                {"targets", batch["transcripts"]},
                {"input_lengths", encoded.lengths},
                {"target_lengths", batch["transcript_length"]}})
      .tensor("loss");
}

std::vector<std::string> EncDecCTCModel::best_texts(const Encoded& encoded) const {
  return decoding_.decode_predictions(encoded.output.tensor().detach().argmax(-1), encoded.lengths.tensor());
}

std::vector<Hypothesis> EncDecCTCModel::decode(const Encoded& encoded, bool timestamps) const {
  return decoding_.decode(encoded.output.tensor(), encoded.lengths.tensor(), timestamps);
}

}  // namespace fathom::asr
