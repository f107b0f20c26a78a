// What NeMo reads from a model's sections: names of evaluation loaders and of their metrics, old component sections.
#include <fmt/format.h>

#include "core/base/temporary_folder.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/upgrade.h"
#include "core/hydra/job_output.h"
#include "core/planning/eval_loaders.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using training::EvalKind;

EvalKind kind_of(const Json& body) { return body["kind"] == "test" ? EvalKind::kTest : EvalKind::kValidation; }

// The files that the recording's README lists, in a folder that is the working folder meanwhile.
class RecordedFiles {
 public:
  RecordedFiles() {
    for (const char* name :
         {"dev_clean.json", "dev-other.json", "manifest.json", "dataset.json", "train_manifest.json",
          "my-dataset-v2.json", "x.tar.gz", "sub/dev_clean.json", "noext", "_under_.json", "manifest-dataset.json",
          "a b.json", "dev.clean.json", ".hidden", "UPPER.JSON", "\xC3\xA9.json"}) {
      folder_.write(name, "{}\n");
    }
    working_folder_.emplace(folder_.path());
  }

 private:
  TemporaryFolder folder_;
  std::optional<config::WorkingFolder> working_folder_;
};

std::string differs(const char* what, const Json& expected, const Json& got) {
  return expected == got ? "" : fmt::format("{}: expected {}, got {}", what, json_text(expected), json_text(got));
}

Outcome run_multi_loaders(const Case& c) {
  const RecordedFiles files;
  const Json body = parse_text(c.text), expect = body["expect"];
  training::EvalLoaderPlan plan;
  std::string error;
  try {
    training::plan_eval_loaders(body["config"], kind_of(body), plan);
  } catch (const config::ConfigError& problem) {
    error = problem.kind();
  }
  const std::string wanted = expect["status"] == "ok" ? "" : expect["error"].get<std::string>();
  const Json names = plan.names.empty() && expect["names"].is_null() ? Json(nullptr) : Json(plan.names);
  for (const std::string& difference :
       {differs("error", wanted, error), differs("key", expect["key"], plan.data_key),
        differs("loader_list", expect["loader_list"], plan.several),
        differs("setup_calls", expect["setup_calls"], Json(plan.sections)), differs("names", expect["names"], names),
        differs("dl_idx", expect["dl_idx"], plan.dl_idx)}) {
    if (!difference.empty()) return fail(difference);
  }
  return pass();
}

Outcome run_dataset_names(const Case& c) {
  const RecordedFiles files;
  const Json body = parse_text(c.text);
  Json got = Json::object();
  try {
    got = {{"result", training::dataset_prefix(body["value"])}};
  } catch (const config::ConfigError& problem) {
    got = {{"error", problem.kind()}};
  }
  const char* key = body.contains("error") ? "error" : "result";
  const std::string difference = differs(key, body[key], got.contains(key) ? got[key] : got);
  return difference.empty() ? pass() : fail(difference);
}

// NeMo's models return an epoch's metrics and NeMo merges what several loaders returned (multi_validation_epoch_end);
// ours log them, under the names that eval_metric_names() gives. This is NeMo's merging on those names. A null returned
// nothing; `logged` holds what is logged, `returned` the rest.
struct MergedEpochEnd {
  Json logged = Json::object(), returned = Json::object();
};
MergedEpochEnd merge_epoch_end(const std::vector<Json>& returns, const training::EvalLoaderPlan& plan,
                               training::EvalKind kind) {
  MergedEpochEnd merged;
  if (returns.size() == 1) {
    if (!returns[0].is_object()) return merged;
    for (const auto& [key, value] : returns[0].items()) (key == "log" ? merged.logged : merged.returned[key]) = value;
    return merged;
  }
  const std::string loss = kind == training::EvalKind::kTest ? "test_loss" : "val_loss";
  std::set<std::string> logged;
  for (size_t i = 0; i < returns.size(); ++i) {
    if (!returns[i].is_object()) continue;
    const bool is_main = static_cast<int64_t>(i) == plan.dl_idx;
    const std::string prefix = plan.prefix(kind, i);
    if (is_main && returns[i].contains(loss) && !merged.returned.contains(loss))
      merged.returned[loss] = returns[i][loss];
    for (const auto& [key, value] : returns[i].items()) {
      if (key != "log") {
        merged.returned[prefix + key] = value;
        continue;
      }
      for (const auto& [name, number] : value.items()) {
        for (const std::string& full : training::eval_metric_names(prefix, name, is_main, logged)) {
          merged.logged[full] = number;
          logged.insert(full);
        }
      }
    }
  }
  return merged;
}

Outcome run_epoch_end_merge(const Case& c) {
  const Json body = parse_text(c.text), expect = body["expect"];
  training::EvalLoaderPlan plan;
  if (!body["names"].is_null()) plan.names = body["names"].get<std::vector<std::string>>();
  plan.dl_idx = body["dl_idx"].get<int64_t>();
  const auto merged = merge_epoch_end(body["returns"].get<std::vector<Json>>(), plan, kind_of(body));
  const auto sorted = [](const Json& map) { return Json(nlohmann::json::parse(json_text(map))); };
  for (const std::string& difference : {differs("logged", sorted(expect["logged"]), sorted(merged.logged)),
                                        differs("returned", sorted(expect["returned"]), sorted(merged.returned))}) {
    if (!difference.empty()) return fail(difference);
  }
  return pass();
}

Outcome run_config_upgrade(const Case& c) {
  config::Node section = config::from_json(parse_text(c.text)["config"]);
  // The recording resolves first, and ${other} is a key of the section itself.
  config::resolve(section);
  config::upgrade_component_config(section, "model");
  const nlohmann::json got = nlohmann::json::parse(json_text(config::to_json(section)));
  return got == c.body["result"] ? pass() : fail("expected " + json_text(c.body["result"]) + ", got " + json_text(got));
}

}  // namespace

void add_loader_suites(std::vector<Suite>& suites) {
  suites.push_back({"neural_module_core/config_upgrade", run_config_upgrade});
  suites.push_back({"module_semantics/multi_loaders", run_multi_loaders});
  suites.push_back({"module_semantics/dataset_names", run_dataset_names});
  suites.push_back({"module_semantics/epoch_end_merge", run_epoch_end_merge});
}

}  // namespace fathom::conformance
