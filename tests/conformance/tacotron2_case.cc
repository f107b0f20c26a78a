// Recorded Tacotron 2 models: tokens, encodings, a teacher-forced pass and a free one.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "fathom/synthesis.h"
#include "plugins/tts/modules/tacotron2_decoder.h"
#include "tests/conformance/model_compare.h"
#include "tests/conformance/synthesis_model_case.h"

namespace fathom::conformance {
namespace {

// The decoder of the record: all its dropout off, that of the pre-net included, which no config of the archive says.
std::shared_ptr<tts::Tacotron2Decoder> decoder_without_dropout(const RestoredModel& restored) {
  nlohmann::json section = restored.config.at("decoder");
  section.erase("_target_");
  for (const char* key : {"p_attention_dropout", "p_decoder_dropout", "prenet_p_dropout"}) section[key] = 0.0;
  auto made = std::make_shared<tts::Tacotron2Decoder>(parse_options<tts::Tacotron2DecoderOptions>(section, "decoder"));
  const at::NoGradGuard no_grad;
  const auto from = restored.model.torch_module()->named_children()["decoder"]->named_parameters();
  for (auto& item : made->named_parameters()) item.value().copy_(from[item.key()]);
  return made;
}

}  // namespace

Outcome run_tacotron2(const Case& c, const std::string& nemo) {
  Bounds bounds;
  const nlohmann::json tolerance = c.body.value("tolerance", nlohmann::json::object());
  bounds.absolute = tolerance.value("abs", bounds.absolute);
  bounds.relative = tolerance.value("rel", bounds.relative);
  RestoredModel restored = restore_nemo(nemo);
  std::map<std::string, ModuleHandle> children;
  for (auto& [name, child] : restored.model.modules()) children[name] = std::move(child);
  const auto decoder = decoder_without_dropout(restored);
  const at::Tensor embeddings = restored.model.torch_module()->named_parameters()["text_embedding.weight"];
  std::map<std::string, at::Tensor> recorded;
  for (auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/io.safetensors")) recorded[name] = tensor;

  Differences differences;
  std::set<std::string> compared;
  const auto compare = [&](const std::string& name, const at::Tensor& got) {
    compared.insert(name);
    differences.add(tensor_difference(name, got, recorded.at(name), bounds));
  };
  const auto postnet = [&](const at::Tensor& mel) {
    return children.at("postnet")({{"mel_spec", mel}}).tensor("mel_spec");
  };
  const at::NoGradGuard no_grad;
  const auto& texts = c.body.at("texts");
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text = fmt::format("text{}.", i);
    const SpeechSynthesizerHandle speaker(restored.model.object());
    const Values parsed = speaker.parse(texts[i].get<std::string>());
    compare(text + "tokens", parsed.tensor("tokens"));
    const at::Tensor lengths = at::full({1}, parsed.tensor("tokens").size(1), at::kLong);
    const at::Tensor embedded = at::embedding(embeddings, parsed.tensor("tokens")).transpose(1, 2);
    const at::Tensor memory =
        children.at("encoder")({{"token_embedding", embedded}, {"token_len", lengths}}).tensor("encoder_embedding");
    compare(text + "encoder_out", memory);
    const at::Tensor& given = recorded.at(text + "tf.spec_in");
    compared.insert(text + "tf.spec_in");
    const auto followed = decoder->follow(memory, lengths, given);
    compare(text + "tf.spec_dec", followed.mel);
    compare(text + "tf.gate", followed.gate);
    compare(text + "tf.alignments", followed.alignments);
    compare(text + "tf.spec_postnet", postnet(followed.mel));
    const auto spoken = decoder->speak(memory, lengths, std::nullopt);
    compare(text + "infer.spec_dec", spoken.mel);
    compare(text + "infer.gate", spoken.gate);
    compare(text + "infer.alignments", spoken.alignments);
    compare(text + "infer.len", spoken.lengths);
    compare(text + "infer.spec_postnet", postnet(spoken.mel));
    // The model itself, with its dropout: the same seed, the same sound.
    const at::Tensor once = speaker.synthesize(parsed, {{"seed", 7}}).tensor("spect");
    if (!once.equal(speaker.synthesize(parsed, {{"seed", 7}}).tensor("spect")))
      differences.add(text + "the same seed gives two spectrograms");
  }
  // What is recorded and nobody compares would look as if it passed.
  for (const auto& [name, tensor] : recorded) {
    if (compared.count(name) == 0) differences.add(name + ": recorded, and no comparison is known for it");
  }
  return differences.outcome();
}

}  // namespace fathom::conformance
