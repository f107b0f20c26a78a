// nemo_models/models, classification: a .nemo of NeMo's restores, and its features, logits and answers are NeMo's.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, at::Tensor>;

Tensors recorded_tensors(const Case& c) {
  const std::string clips = c.folder + "/clips.safetensors";
  Tensors out;
  for (auto& [name, tensor] : checkpoint::load_safetensors(fs::exists(clips) ? clips : c.folder + "/io.safetensors"))
    out[name] = tensor;
  return out;
}

std::string compare_numbers(const std::string& what, const at::Tensor& got, const at::Tensor& expected, double abs,
                            double rel) {
  if (got.sizes() != expected.sizes())
    return fmt::format("{}: expected shape {}, got {}", what, c10::str(expected.sizes()), c10::str(got.sizes()));
  if (at::allclose(got.to(at::kDouble), expected.to(at::kDouble), rel, abs)) return "";
  return fmt::format("{}: differs by {:.2e}, allowed {:.0e}", what,
                     (got.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(), abs);
}

// Every answer of a recorded evaluation: batches of the test data, clip by clip.
std::string compare_answers(const ModelHandle& model, const Case& c) {
  std::ifstream in(c.folder + "/transcripts.json");
  if (!in) return "";
  const auto test = nlohmann::json::parse(in)["test"];
  const fs::path data = fs::path(c.folder) / "../../../../data/fsdd";
  if (!fs::exists(data)) return "the audio data/fsdd is not beside the golden folder";
  const DatasetHandle clips =
      model.make_dataset(Stage::kTest, {{"manifest_filepath", (data / "test.json").string()}}, "test_ds");
  const auto batch_size = test["batch_size"].get<int64_t>();
  const auto& rows = test["rows"];
  size_t wrong = 0;
  std::string first;
  for (int64_t start = 0; start < clips.size(); start += batch_size) {
    std::vector<DatasetHandle::Sample> items;
    for (int64_t i = start; i < std::min(start + batch_size, clips.size()); ++i) items.push_back(clips.get(i, 0));
    const Values batch = clips.collate(items);
    const Values out =
        model.forward({{"input_signal", batch["audio_signal"]}, {"input_signal_length", batch["a_sig_length"]}});
    const at::Tensor best = out.tensor("logits").argmax(-1);
    for (int64_t i = 0; i < best.size(0); ++i) {
      const auto& row = rows[static_cast<size_t>(start + i)];
      const std::string answer = c.body["class_order"][static_cast<size_t>(best[i].item<int64_t>())];
      if (answer == row["hyp"].get<std::string>()) continue;
      if (wrong++ == 0)
        first = fmt::format("{}: expected {}, got {}", json_text(row["audio"]), json_text(row["hyp"]), answer);
    }
  }
  return wrong == 0 ? "" : fmt::format("{} of {} answers differ, first: {}", wrong, rows.size(), first);
}

Outcome run_classifier(const Case& c) {
  set_log_level(LogLevel::kError);
  const RestoredModel restored = restore_nemo(c.folder + "/" + c.body["nemo_file"].get<std::string>());
  const Tensors tensors = recorded_tensors(c);
  const auto& tolerance = c.body["tolerance"];
  const double abs = tolerance.value("abs", tolerance.value("log_probs_abs", 2e-4)), rel = tolerance.value("rel", 1e-3);
  const at::NoGradGuard no_grad;
  const auto logits = [&](const at::Tensor& audio, const at::Tensor& lengths) {
    return restored.model.forward({{"input_signal", audio}, {"input_signal_length", lengths}}).tensor("logits");
  };
  std::vector<at::Tensor> clips;
  std::vector<int64_t> lengths;
  for (int64_t i = 0; tensors.count(fmt::format("clip{}.audio", i)) > 0; ++i) {
    const std::string name = fmt::format("clip{}", i);
    const at::Tensor audio = tensors.at(name + ".audio").flatten();
    clips.push_back(audio);
    lengths.push_back(audio.size(0));
    const std::string difference =
        compare_numbers(name + ".logits", logits(audio.unsqueeze(0), at::full({1}, audio.size(0), at::kLong)),
                        tensors.at(name + ".logits"), abs, rel);
    if (!difference.empty()) return fail(difference);
  }
  if (clips.empty()) return fail("no clips are recorded");
  at::Tensor batch = at::zeros({static_cast<int64_t>(clips.size()), *std::max_element(lengths.begin(), lengths.end())});
  for (size_t i = 0; i < clips.size(); ++i)
    batch.select(0, static_cast<int64_t>(i)).narrow(0, 0, lengths[i]).copy_(clips[i]);
  std::string difference = compare_numbers("batch.logits", logits(batch, at::tensor(lengths, at::kLong)),
                                           tensors.at("batch.logits"), abs, rel);
  if (difference.empty()) difference = compare_answers(restored.model, c);
  return difference.empty() ? pass() : fail(difference);
}

}  // namespace

void add_classification_suites(std::vector<Suite>& suites) {
  for (const char* name : {"matchboxnet_digits", "matchboxnet_random", "marblenet_vad"})
    suites.push_back({std::string("nemo_models/models/") + name, run_classifier});
}

}  // namespace fathom::conformance
