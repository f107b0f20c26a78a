// Recorded FastPitch models: what they make of texts, and one teacher-forced pass with its losses.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "core/base/file.h"
#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "fathom/synthesis.h"
#include "plugins/tts/losses/fastpitch_losses.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/model_compare.h"
#include "tests/conformance/synthesis_model_case.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;

std::map<std::string, at::Tensor> by_name(const std::string& file) {
  std::map<std::string, at::Tensor> out;
  for (auto& [name, tensor] : checkpoint::load_safetensors(file)) out[name] = tensor;
  return out;
}

class FastPitchCase {
 public:
  FastPitchCase(const std::string& nemo, std::map<std::string, at::Tensor> recorded, Bounds bounds)
      : restored_(restore_nemo(nemo)), recorded_(std::move(recorded)), bounds_(bounds) {}
  ModelHandle& model() { return restored_.model; }
  bool has(const std::string& name) const { return recorded_.count(name) > 0; }
  const at::Tensor& tensor(const std::string& name) {
    compared_.insert(name);
    return recorded_.at(name);
  }
  void compare(const std::string& name, const at::Tensor& got, std::optional<Bounds> bounds = {}) {
    if (!has(name)) return;
    differences_.add(tensor_difference(name, got, tensor(name), bounds.value_or(bounds_)));
  }
  void compare_all(const std::string& prefix, const Values& out) {
    for (const auto& [name, value] : out) compare(prefix + name, value.tensor());
  }
  void ignore(const std::string& name) { compared_.insert(name); }
  Outcome outcome() {
    for (const auto& [name, tensor] : recorded_) {
      if (compared_.count(name) == 0) differences_.add(name + ": recorded, and no comparison is known for it");
    }
    return differences_.outcome();
  }
  Differences& differences() { return differences_; }
  Values mel_of(const at::Tensor& audio, const at::Tensor& lengths) {
    for (auto& [name, child] : restored_.model.modules()) {
      if (name == "preprocessor") return child({{"input_signal", audio}, {"length", lengths}});
    }
    return {};
  }
  // The text's tokens as the model's own tokenizer makes them, against recorded ones.
  void compare_tokens(const std::string& what, const std::string& text, const at::Tensor& expected) {
    const Values parsed = SpeechSynthesizerHandle(restored_.model.object()).parse(text);
    differences_.add(tensor_difference(what, parsed.tensor("tokens"), expected, bounds_));
  }

 private:
  RestoredModel restored_;
  std::map<std::string, at::Tensor> recorded_;
  Bounds bounds_;
  std::set<std::string> compared_;
  Differences differences_;
};

// One teacher-forced pass, and its losses.
template <typename AddVoice>
void compare_alignment(FastPitchCase& one, const Case& c, const AddVoice& add_voice) {
  at::Tensor audio = one.tensor("align.audio");
  if (audio.dim() == 1) audio = audio.unsqueeze(0);
  const at::Tensor lengths =
      one.has("align.audio_len") ? one.tensor("align.audio_len") : at::full({1}, audio.size(1), at::kLong);
  const Values mel = one.mel_of(audio, lengths);
  one.compare("align.spec", mel.tensor("processed_signal"));
  one.compare("align.spec_len", mel.tensor("processed_length"));
  const at::Tensor& tokens = one.tensor("align.tokens");
  if (c.body.contains("align_text")) one.compare_tokens("align.tokens", c.body["align_text"], tokens);
  const at::Tensor token_count =
      one.has("align.token_len") ? one.tensor("align.token_len") : at::full({1}, tokens.size(1), at::kLong);
  Values in = {{"text", tokens},
               {"pitch", one.tensor("align.pitch_in")},
               {"spec", mel["processed_signal"]},
               {"mel_lens", mel["processed_length"]},
               {"input_lens", token_count}};
  if (one.has("align.prior")) in.add("attn_prior", one.tensor("align.prior"));
  if (one.has("align.energy_in")) in.add("energy", one.tensor("align.energy_in"));
  add_voice(in, "align.");
  const Values out = one.model().forward(in);
  one.compare_all("align.", out);
  const auto value = [&](const char* name) { return out.tensor(name); };
  // As components, whose default scales are those of a model that learns the alignment.
  const auto compare_loss = [&](const char* name, const std::string& target, const Values& given) {
    if (!one.has(name)) return;
    const ModuleHandle loss = make_module({{"_target_", "nemo.collections.tts.losses." + target}}, "loss");
    one.compare(name, loss(given).begin()->second.tensor());
  };
  compare_loss("loss.mel", "fastpitchloss.MelLoss",
               {{"spect_predicted", value("spect")}, {"spect_tgt", mel["processed_signal"]}});
  compare_loss("loss.duration", "fastpitchloss.DurationLoss",
               {{"log_durs_predicted", value("log_durs_predicted")},
                {"durs_tgt", value("attn_hard_dur")},
                {"len", token_count}});
  compare_loss("loss.pitch", "fastpitchloss.PitchLoss",
               {{"pitch_predicted", value("pitch_predicted")}, {"pitch_tgt", value("pitch")}, {"len", token_count}});
  if (out.find("energy_tgt") != nullptr) {
    compare_loss(
        "loss.energy", "fastpitchloss.EnergyLoss",
        {{"energy_predicted", value("energy_pred")}, {"energy_tgt", value("energy_tgt")}, {"length", token_count}});
  }
  compare_loss(
      "loss.forward_sum", "aligner_loss.ForwardSumLoss",
      {{"attn_logprob", value("attn_logprob")}, {"in_lens", token_count}, {"out_lens", mel["processed_length"]}});
  compare_loss("loss.bin", "aligner_loss.BinLoss",
               {{"hard_attention", value("attn_hard")}, {"soft_attention", value("attn_soft")}});
}

}  // namespace

Outcome run_fastpitch(const Case& c, const std::string& nemo) {
  Bounds bounds;
  bounds.absolute = c.body["tolerance"].value("abs", bounds.absolute);
  bounds.relative = c.body["tolerance"].value("rel", bounds.relative);
  FastPitchCase one(nemo, by_name(c.folder + "/io.safetensors"), bounds);
  const at::NoGradGuard no_grad;
  const bool parses = c.body.value("parses", true);
  // Whose voice it is, where the model has several.
  const auto add_voice = [&](Values& in, const std::string& prefix) {
    for (const char* name : {"speaker", "reference_spec", "reference_spec_lens"})
      if (one.has(prefix + name)) in.add(name, one.tensor(prefix + name));
  };
  for (size_t i = 0; i < c.body["texts"].size(); ++i) {
    const std::string text = fmt::format("text{}.", i);
    const at::Tensor& tokens = one.tensor(text + "tokens");
    if (parses) one.compare_tokens(text + "tokens", c.body["texts"][i], tokens);
    const SpeechSynthesizerHandle speaks(one.model().object());
    for (const auto& pace : c.body["paces"]) {
      const std::string prefix = fmt::format("{}pace{:.1f}.", text, pace.get<double>());
      Values in = {{"text", tokens}, {"pace", pace.get<double>()}};
      add_voice(in, text);
      one.compare_all(prefix, one.model().forward(in));
      if (one.has(text + "reference_spec")) continue;  // `fathom synthesize` takes a recording
      Json options = {{"pace", pace.get<double>()}};
      if (one.has(text + "speaker")) options["speaker"] = one.tensor(text + "speaker").item<int64_t>();
      one.compare(prefix + "spect", speaks.synthesize({{"tokens", tokens}}, options).tensor("spect"));
    }
    if (c.body.contains("prosody") && c.body["prosody"][i].is_object())
      one.compare(text + "infer.spect",
                  speaks.synthesize({{"tokens", tokens}}, Json::parse(c.body["prosody"][i].dump())).tensor("spect"));
  }
  if (one.has("align.audio")) compare_alignment(one, c, add_voice);
  return one.outcome();
}

Outcome run_v1_fastpitch(const Case& c) {
  constexpr Bounds kValues{2e-4, 1e-3}, kLoss{1e-5, 1e-4};
  FastPitchCase one(c.folder + "/model.nemo", by_name(c.folder + "/batch.safetensors"), kValues);
  const at::Tensor lengths = one.tensor("audio_len"), text_lengths = one.tensor("text_len");
  const Values mel = one.mel_of(one.tensor("audio"), lengths);
  one.compare("mel", mel.tensor("processed_signal"));
  one.compare("mel_len", mel.tensor("processed_length"));
  const Values out = one.model().forward({{"text", one.tensor("text")},
                                          {"pitch", one.tensor("pitch_in")},
                                          {"spec", mel["processed_signal"]},
                                          {"mel_lens", mel["processed_length"]},
                                          {"input_lens", text_lengths}});
  const auto value = [&](const char* name) { return out.tensor(name); };
  one.compare("mel_pred", value("spect"));
  one.compare("log_durs_pred", value("log_durs_predicted"));
  one.compare("pitch_pred", value("pitch_predicted"));
  one.compare("pitch_target", value("pitch"));
  for (const char* name : {"attn_soft", "attn_logprob", "attn_hard", "attn_hard_dur"}) one.compare(name, value(name));
  const at::Tensor mel_part = tts::mel_loss(value("spect"), mel.tensor("processed_signal"));
  const at::Tensor durations =
      tts::duration_loss(value("log_durs_predicted"), value("attn_hard_dur"), text_lengths) * 0.1;
  const at::Tensor pitch = tts::token_loss(value("pitch_predicted"), value("pitch"), text_lengths) * 0.1;
  const at::Tensor ctc = tts::forward_sum_loss(value("attn_logprob"), text_lengths, mel.tensor("processed_length"));
  const at::Tensor bin = tts::bin_loss(value("attn_hard"), value("attn_soft"));
  one.compare("mel_loss", mel_part.reshape({1}), kLoss);
  one.compare("dur_loss", durations.reshape({1}), kLoss);
  one.compare("pitch_loss", pitch.reshape({1}), kLoss);
  one.compare("ctc_loss", ctc.reshape({1}), kLoss);
  one.compare("bin_loss", bin.reshape({1}), kLoss);
  // Recorded in the middle of the binarization's warm-up.
  const at::Tensor loss = mel_part + durations + ctc + bin * 0.5 + pitch;
  one.compare("loss", loss.reshape({1}), kLoss);
  loss.backward();
  compare_gradients(*one.model().torch_module(), c.folder + "/grads.json", "", one.differences());

  const at::NoGradGuard no_grad;
  const auto recorded = by_name(c.folder + "/infer.safetensors");
  const json infer = parse_lenient_json(read_file(c.folder + "/infer.json"));
  for (size_t i = 0; i < infer["items"].size(); ++i) {
    const std::string item = std::to_string(i) + ".";
    const at::Tensor& tokens = recorded.at(item + "tokens");
    one.compare_tokens(item + "tokens", infer["items"][i]["text"], tokens);
    const Values spoken = one.model().forward({{"text", tokens}});
    for (const auto& [name, output] : {std::pair{"num_frames", "num_frames"},
                                       {"durs_pred", "durs_predicted"},
                                       {"log_durs_pred", "log_durs_predicted"},
                                       {"pitch_pred", "pitch_predicted"},
                                       {"spect_pace1.0", "spect"}}) {
      if (recorded.count(item + name) > 0)
        one.differences().add(tensor_difference(item + name, spoken.tensor(output), recorded.at(item + name), kValues));
    }
    if (recorded.count(item + "spect_pace0.7") > 0) {
      one.differences().add(tensor_difference(item + "spect_pace0.7",
                                              one.model().forward({{"text", tokens}, {"pace", 0.7}}).tensor("spect"),
                                              recorded.at(item + "spect_pace0.7"), kValues));
    }
  }
  return one.outcome();
}

}  // namespace fathom::conformance
