#include "plugins/tts/modules/speaker_encoder.h"

#include <ATen/ATen.h>

#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr int64_t kMostSpeakers = 1 << 24, kWidestVoice = 1 << 16;

Ports voice_table_inputs() { return {{"speaker", {"B", Index{}}}}; }
Ports voice_inputs() {
  return {{"batch_size", {std::nullopt, ElementType{"ElementType", Json::object()}}, /*is_optional=*/true},
          {"speaker", {"B", Index{}}, /*is_optional=*/true},
          {"reference_spec", {"B D T", MelSpectrogramType{}}, /*is_optional=*/true},
          {"reference_spec_lens", {"B", LengthsType{}}, /*is_optional=*/true}};
}
Ports voice_outputs() { return {{"embs", {"B D", EncodedRepresentation{}}}}; }

}  // namespace

void SpeakerLookupTable::Options::describe(OptionSet<Options>& o) {
  o.required("n_speakers", &Options::n_speakers, "voices").example(2);
  o.required("embedding_dim", &Options::embedding_dim, "width of a voice's embedding").example(384);
}

SpeakerLookupTable::SpeakerLookupTable(const Options& o) {
  check_range("n_speakers", o.n_speakers, 1, kMostSpeakers);
  check_range("embedding_dim", o.embedding_dim, 1, kWidestVoice);
  table_ = register_module("table", torch::nn::Embedding(o.n_speakers, o.embedding_dim));
}

Ports SpeakerLookupTable::inputs() const { return voice_table_inputs(); }
Ports SpeakerLookupTable::outputs() const { return voice_outputs(); }
void SpeakerLookupTable::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(voice_table_inputs());
  schema["outputs"] = ports_json(voice_outputs());
}

Values SpeakerLookupTable::forward(const Values& in) {
  const at::Tensor& speaker = in.tensor("speaker");
  if (speaker.numel() > 0) {
    const auto least = speaker.min().item<int64_t>(), most = speaker.max().item<int64_t>();
    if (least < 0 || most >= table_->weight.size(0)) {
      throw Error(Code::kBadData, "the model has no such speaker")
          .seen(std::to_string(least < 0 ? least : most))
          .expected("0 to " + std::to_string(table_->weight.size(0) - 1));
    }
  }
  return {{"embs", table_(speaker)}};
}

Values SpeakerLookupTable::input_example() const {
  return {{"speaker", at::zeros({2}, table_->weight.options().dtype(at::kLong).requires_grad(false))}};
}

void SpeakerEncoder::Options::describe(OptionSet<Options>& o) {
  o("lookup_module", &Options::lookup_module, "voices by number (SpeakerLookupTable); null: none");
  o("gst_module", &Options::gst_module, "voices by a recording (GlobalStyleToken); null: none");
  o("precomputed_embedding_dim", &Options::precomputed_embedding_dim,
    "width of the one embedding that a model for a single voice holds; null: none");
}

SpeakerEncoder::SpeakerEncoder(const Options& o) {
  if (o.precomputed_embedding_dim) {
    check_range("precomputed_embedding_dim", *o.precomputed_embedding_dim, 1, kWidestVoice);
    precomputed_ = register_parameter("precomputed_emb", at::zeros({*o.precomputed_embedding_dim}));
  }
  if (o.lookup_module.is_object()) {
    lookup_ = make_module(o.lookup_module, "lookup_module");
    register_module("lookup_module", lookup_.torch_module());
  }
  if (o.gst_module.is_object()) {
    style_ = make_module(o.gst_module, "gst_module");
    register_module("gst_module", style_.torch_module());
  }
  if (!precomputed_.defined() && !lookup_ && !style_) {
    throw Error(Code::kFailed, "the speaker encoder has nothing that tells voices apart")
        .at("speaker_encoder")
        .expected("lookup_module, gst_module or precomputed_embedding_dim");
  }
}

Ports SpeakerEncoder::inputs() const { return voice_inputs(); }
Ports SpeakerEncoder::outputs() const { return voice_outputs(); }
void SpeakerEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(voice_inputs());
  schema["outputs"] = ports_json(voice_outputs());
}

Json SpeakerEncoder::properties() const {
  const Json table = lookup_ ? lookup_.properties() : Json();
  return {{"n_speakers", table.is_object() ? table.value("n_speakers", int64_t{0}) : 0},
          {"reference", static_cast<bool>(style_)},
          {"precomputed", precomputed_.defined()}};
}

Values SpeakerEncoder::forward(const Values& in) {
  const at::Tensor speaker = in.tensor_or_undefined("speaker"), spec = in.tensor_or_undefined("reference_spec");
  if (precomputed_.defined()) {
    const Value* given = in.find("batch_size");
    const int64_t batch = given != nullptr && !given->is_none() ? given->integer()
                          : speaker.defined()                   ? speaker.size(0)
                          : spec.defined()                      ? spec.size(0)
                                                                : 1;
    return {{"embs", precomputed_.unsqueeze(0).repeat({batch, 1})}};
  }
  at::Tensor embedding;
  if (lookup_ && speaker.defined()) embedding = lookup_({{"speaker", speaker}}).tensor("embs");
  if (style_ && spec.defined()) {
    const at::Tensor style = style_({{"inp", spec}, {"inp_lengths", in.tensor("reference_spec_lens")}}).tensor("gst");
    embedding = embedding.defined() ? embedding + style : style;
  }
  if (!embedding.defined()) {
    const Json info = properties();
    const std::string by_number = "a speaker from 0 to " + std::to_string(info["n_speakers"].get<int64_t>() - 1);
    throw Error(Code::kBadData, "the model has several voices, and none is chosen")
        .expected(!style_    ? by_number
                  : !lookup_ ? "a reference recording"
                             : by_number + ", or a reference recording")
        .next(lookup_ ? "--speaker N, or speaker_id among sup_data_types"
                      : "--option reference_audio=FILE, or reference_audio among sup_data_types");
  }
  return {{"embs", embedding}};
}

Values SpeakerEncoder::input_example() const {
  if (lookup_) return {{"speaker", at::zeros({2}, at::kLong)}};
  if (!style_) return {{"speaker", at::zeros({2}, at::kLong)}};
  const Values example = style_.input_example();
  return {{"reference_spec", example["inp"]}, {"reference_spec_lens", example["inp_lengths"]}};
}

}  // namespace fathom::tts
