#include "tests/conformance/classification_answers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace fathom::conformance {

namespace fs = std::filesystem;

Outcome compare_answers(const ModelHandle& model, const Case& c) {
  std::ifstream in(c.folder + "/transcripts.json");
  if (!in) return pass();
  const at::NoGradGuard no_grad;
  const auto test = nlohmann::json::parse(in)["test"];
  const fs::path data = fs::path(c.folder) / "../../../../data/fsdd";
  if (!fs::exists(data)) return skip("the audio data/fsdd is not beside the golden folder");
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
  return wrong == 0 ? pass() : fail(fmt::format("{} of {} answers differ, first: {}", wrong, rows.size(), first));
}

}  // namespace fathom::conformance
