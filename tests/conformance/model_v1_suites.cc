// nemo_models_v1/ctc_*, rnnt_*: models of NeMo 1.23.0 with a batch, its loss and gradients, and their own
// transcriptions.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "core/base/file.h"
#include "core/checkpoint/torch_file.h"
#include "core/inference/predictor.h"
#include "core/models/nemo_file.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/model_compare.h"
#include "tests/conformance/nlp_cases.h"
#include "tests/conformance/synthesis_model_case.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
constexpr Bounds kV1Bounds{2e-4, 1e-3};
constexpr double kLossRelative = 1e-5;

std::map<std::string, at::Tensor> tensors_of(const std::string& file) {
  std::map<std::string, at::Tensor> out;
  for (auto& [name, tensor] : checkpoint::load_safetensors(file)) out[name] = tensor;
  return out;
}

class V1Case {
 public:
  explicit V1Case(const Case& c) : folder_(c.folder), nemo_(c.folder + "/model.nemo") {}
  const std::string& nemo() const { return nemo_; }

  Outcome run() {
    compare_batch();
    compare_transcription();
    return differences_.outcome();
  }

 private:
  // Front-end, encoder, head and loss in eval mode, and what the loss gives back to each parameter.
  void compare_batch() {
    const auto recorded = tensors_of(folder_ + "/batch.safetensors");
    const RestoredModel restored = restore_nemo(nemo_);
    std::map<std::string, ModuleHandle> children;
    for (auto& [name, child] : restored.model.modules()) children[name] = std::move(child);
    const Values features =
        children.at("preprocessor")({{"input_signal", recorded.at("audio")}, {"length", recorded.at("audio_len")}});
    const Values encoded = children.at("encoder")(
        {{"audio_signal", features["processed_signal"]}, {"length", features["processed_length"]}});
    if (children.count("joint") != 0) return compare_transducer(restored, children, recorded, features, encoded);
    const Values out = children.at("decoder")({{"encoder_output", encoded["outputs"]}});
    const Values loss = children.at("loss")({{"log_probs", out["logprobs"]},
                                             {"targets", recorded.at("targets")},
                                             {"input_lengths", encoded["encoded_lengths"]},
                                             {"target_lengths", recorded.at("target_len")}});
    const auto compare = [&](const char* name, const at::Tensor& got, Bounds bounds = kV1Bounds) {
      differences_.add(tensor_difference(name, got, recorded.at(name), bounds));
    };
    compare("features", features.tensor("processed_signal"));
    compare("features_len", features.tensor("processed_length"));
    compare("encoded", encoded.tensor("outputs"));
    compare("encoded_len", encoded.tensor("encoded_lengths"));
    compare("log_probs", out.tensor("logprobs"));
    compare("greedy", out.tensor("logprobs").argmax(-1));
    compare("loss", loss.tensor("loss").reshape({1}), {0, kLossRelative});
    loss.tensor("loss").backward();
    compare_gradients(*restored.model.torch_module(), folder_ + "/grads.json", "", differences_);
  }

  void compare_transducer(const RestoredModel& restored, std::map<std::string, ModuleHandle>& children,
                          const std::map<std::string, at::Tensor>& recorded, const Values& features,
                          const Values& encoded) {
    const at::Tensor &targets = recorded.at("targets"), &target_lengths = recorded.at("target_len");
    const Values decoded = children.at("decoder")({{"targets", targets}, {"target_length", target_lengths}});
    const Values out =
        children.at("joint")({{"encoder_outputs", encoded["outputs"]}, {"decoder_outputs", decoded["outputs"]}});
    const Values loss = children.at("loss")({{"log_probs", out["outputs"]},
                                             {"targets", targets},
                                             {"input_lengths", encoded["encoded_lengths"]},
                                             {"target_lengths", target_lengths}});
    const auto compare = [&](const char* name, const at::Tensor& got, Bounds bounds = kV1Bounds) {
      if (recorded.count(name) == 0) return;
      differences_.add(tensor_difference(name, got, recorded.at(name), bounds));
    };
    compare("features", features.tensor("processed_signal"));
    compare("encoded", encoded.tensor("outputs"));
    compare("encoded_len", encoded.tensor("encoded_lengths"));
    compare("decoder", decoded.tensor("outputs"));
    compare("joint_log_probs", out.tensor("outputs"));
    compare("loss", loss.tensor("loss").reshape({1}), {0, kLossRelative});
    loss.tensor("loss").backward();
    compare_gradients(*restored.model.torch_module(), folder_ + "/grads.json", "", differences_);
  }

  // NeMo's transcribe() pads no features.
  void compare_transcription() {
    const json infer = parse_lenient_json(read_file(folder_ + "/infer.json"));
    PredictRequest request;
    request.model = nemo_;
    request.batch_size = 2;
    std::vector<std::string> paths;
    for (const auto& file : infer.at("files")) paths.push_back(folder_ + "/" + file.get<std::string>());
    request.data = {{"paths", paths}};
    std::vector<std::string> texts;
    run_prediction(request, [&](const Json& item) { texts.push_back(item.at("pred_text")); });
    const json& expected = infer.contains("hypotheses") ? infer.at("hypotheses") : infer.at("transcribe");
    if (json(texts) != expected)
      differences_.add(fmt::format("transcription: expected {}, got {}", json_text(expected), json_text(json(texts))));
    if (!fs::exists(folder_ + "/transcribe.safetensors")) return;
    // Two at a time, as they were heard: what is behind a clip's end shows in its last frame.
    const auto audio = tensors_of(folder_ + "/batch.safetensors");
    const RestoredModel restored = restore_nemo(nemo_, {.overrides = {{"preprocessor", {{"pad_to", 0}}}}});
    const at::NoGradGuard no_grad;
    for (const auto& [name, expected] : tensors_of(folder_ + "/transcribe.safetensors")) {
      const int64_t index = std::stoll(name), first = index / 2 * 2;
      const at::Tensor lengths = audio.at("audio_len").slice(0, first, first + 2);
      const at::Tensor signal = audio.at("audio").slice(0, first, first + 2).slice(1, 0, lengths.max().item<int64_t>());
      const Values out = restored.model.forward({{"input_signal", signal}, {"input_signal_length", lengths}});
      differences_.add(tensor_difference("transcribe " + name,
                                         out.tensor("log_probs")[index - first].slice(0, 0, expected.size(0)), expected,
                                         kV1Bounds));
    }
  }

  const std::string folder_, nemo_;
  Differences differences_;
};

Outcome run_v1(const Case& c) {
  try {
    if (fs::exists(c.folder + "/io.safetensors")) return run_v1_encoder(c);
    V1Case one(c);
    if (!fs::exists(one.nemo())) return fail("expected a recorded model (model.nemo), found none");
    if (const std::string missing = missing_class(one.nemo()); !missing.empty())
      return skip("not supported yet: " + missing);
    if (c.id.starts_with("textcls")) return run_v1_text_classification(c, one.nemo());
    if (c.id.starts_with("hifigan")) return run_v1_vocoder(c);
    if (c.id.starts_with("fastpitch")) return run_v1_fastpitch(c);
    if (!c.id.starts_with("ctc_") && !c.id.starts_with("rnnt_"))
      return fail("no comparison is known for " + c.body.value("class", c.id));
    return one.run();
  } catch (const Error& error) {
    return fail(fmt::format("expected no error, got: {}", error.what()));
  }
}

}  // namespace

void add_v1_model_suites(std::vector<Suite>& suites) { suites.push_back({"nemo_models_v1", run_v1}); }

}  // namespace fathom::conformance
