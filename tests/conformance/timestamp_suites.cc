// nemo_models/timestamps: when characters, words and segments were said, by models restored with other options of their
// decoding than they were saved with.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "plugins/asr/decoding/aed_decoding.h"
#include "tests/conformance/model_compare.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// "io.safetensors of this folder", or a file below the folder of all recordings and a remark.
std::vector<at::Tensor> recorded_clips(const Case& c) {
  const std::string said = c.body.at("audio");
  const std::string file = said.substr(0, said.find(' '));
  const fs::path folder(c.folder);
  std::map<std::string, at::Tensor> tensors;
  for (auto& [name, tensor] :
       checkpoint::load_safetensors(file.find('/') == std::string::npos ? folder / file : folder / "../.." / file)) {
    tensors[name] = tensor;
  }
  std::vector<at::Tensor> clips;
  for (size_t i = 0; tensors.count(fmt::format("clip{}.audio", i)) != 0; ++i)
    clips.push_back(tensors[fmt::format("clip{}.audio", i)]);
  return clips;
}

std::vector<Json> predict(const RestoredModel& restored, const std::vector<at::Tensor>& clips, size_t batch_size,
                          const Json& options) {
  const at::NoGradGuard no_grad;
  std::vector<Json> items;
  for (size_t begin = 0; begin < clips.size(); begin += batch_size) {
    const size_t end = std::min(begin + batch_size, clips.size());
    const PaddedAudio audio =
        padded({clips.begin() + static_cast<std::ptrdiff_t>(begin), clips.begin() + static_cast<std::ptrdiff_t>(end)});
    for (const Values& item :
         restored.model.predict_step({{"audio_signal", audio.signal}, {"a_sig_length", audio.lengths}}, options)) {
      items.push_back(json_of(item.items()));
    }
  }
  return items;
}

bool case_is_hybrid(const Case& c) { return c.body.value("class", "").find("Hybrid") != std::string::npos; }

// Texts with times between their words, as models of the prompt format canary2 give them.
Outcome run_time_tokens(const Case& c) {
  Differences differences;
  for (const auto& one : c.body.at("cases")) {
    const double seconds = one.at("window_stride").get<double>() * one.at("subsampling_factor").get<double>();
    for (const auto& expected : one.at("results")) {
      asr::Hypothesis hypothesis;
      hypothesis.text = expected.at("input").get<std::string>();
      asr::read_time_tokens(hypothesis);
      const Json item = {{"pred_text", hypothesis.text}, {"timestamps", asr::timestamps_json(hypothesis, seconds)}};
      compare_prediction(expected.at("input").get<std::string>(), item, expected, differences);
    }
  }
  return differences.outcome();
}

Outcome run_timestamps(const Case& c) {
  if (c.body.value("function", "").ends_with("process_aed_timestamp_outputs")) return run_time_tokens(c);
  if (!c.body.contains("model")) return skip("not supported yet: timestamps in the tokens of a text (" + c.id + ")");
  const fs::path model = fs::path(c.folder) / "../.." / c.body["model"].get<std::string>();
  const std::string nemo = model / (model.filename().string() + ".nemo");
  if (const std::string missing = missing_class(nemo); !missing.empty()) return skip("not supported yet: " + missing);
  Differences differences;
  std::vector<at::Tensor> clips = recorded_clips(c);
  for (const auto& one : c.body.at("cases")) {
    const std::string what = fmt::format("{} {} in batches of {}", one.at("decoder").get<std::string>(),
                                         one.at("case").get<std::string>(), one.at("batch_size").get<size_t>());
    const Json own = parse_text(json_text(one.at("options")));
    Json options = {{"timestamps", true}}, overrides = {{"decoding", own}};
    if (one.at("decoder") == "ctc" && case_is_hybrid(c)) {
      options["decoder_type"] = "ctc";
      overrides = {{"aux_ctc", {{"decoding", own}}}};
    }
    const RestoredModel restored = restore_nemo(nemo, {.overrides = overrides});
    const json& expected = one.at("hypotheses");
    if (expected.size() > clips.size()) {
      differences.add(fmt::format("{}: {} hypotheses of {} clips", what, expected.size(), clips.size()));
      continue;
    }
    const std::vector<at::Tensor> heard(clips.begin(), clips.begin() + static_cast<std::ptrdiff_t>(expected.size()));
    const auto items = predict(restored, heard, one.at("batch_size"), options);
    for (size_t i = 0; i < items.size(); ++i)
      compare_prediction(fmt::format("{}, item {}", what, i), items[i], expected[i], differences);
  }
  return differences.outcome();
}

}  // namespace

void add_timestamp_suites(std::vector<Suite>& suites) {
  suites.push_back({"nemo_models/timestamps", [](const Case& c) {
                      try {
                        return run_timestamps(c);
                      } catch (const Error& error) {
                        return fail(fmt::format("expected no error, got: {}", error.what()));
                      }
                    }});
}

}  // namespace fathom::conformance
