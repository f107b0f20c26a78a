#include "core/config/errors.h"
#include "core/experiment/run_parts.h"
#include "core/planning/data_section.h"
#include "core/plugins/tables.h"

namespace fathom {
namespace {

// NeMo's plan for one or several loaders, but for one of its traps: a single file may be called anything.
training::EvalLoaderPlan plan_loaders(const Json& given, training::EvalKind kind, const std::string& path) {
  training::EvalLoaderPlan plan;
  try {
    training::plan_eval_loaders(given, kind, plan);
  } catch (config::ConfigError& error) {
    if (plan.several || plan.sections.empty()) throw std::move(error).with_where(path);
    plan.names.clear();
  }
  return plan;
}

// What a dataset that a config names is told of the model it is for (fathom/dataset.h).
Json dataset_context(const ModelHandle& model, Stage stage) {
  Json artifacts = Json::object();
  for (const auto& [key, path] : model.artifacts()) artifacts[key] = path;
  const char* const names[] = {"train", "validation", "test", "predict"};
  return {{"stage", names[static_cast<size_t>(stage)]}, {"model", model.config()}, {"artifacts", std::move(artifacts)}};
}

std::unique_ptr<DataLoader> make_loader(const ModelHandle& model, Stage stage, const Json& section,
                                        const std::string& path, int64_t seed) {
  DataSection data = read_data_section(section, path);
  // What a model makes itself comes straight from its plugin.
  DatasetHandle dataset(data.names_dataset ? create_object(1u << FATHOM_KIND_DATASET, data.dataset, data.dataset_path,
                                                           dataset_context(model, stage))
                                           : plugins::adopt(model.make_dataset(stage, section, path).release()));
  if (!dataset) return nullptr;
  return std::make_unique<DataLoader>(std::move(dataset), LoaderOptions::from_section(data.loader, data.loader_path),
                                      static_cast<uint64_t>(seed), path);
}

}  // namespace

std::unique_ptr<DataLoader> make_train_loader(const ModelHandle& model, const Json& model_config, int64_t seed) {
  const Json& train = section_of(model_config, "train_ds");
  return train.empty() ? nullptr : make_loader(model, Stage::kTrain, train, "model.train_ds", seed);
}

std::vector<std::unique_ptr<DataLoader>> make_eval_loaders(const ModelHandle& model, Stage stage,
                                                           const Json& model_config, int64_t seed,
                                                           training::EvalLoaderPlan& plan) {
  std::vector<std::unique_ptr<DataLoader>> loaders;
  const bool test = stage == Stage::kTest;
  const std::string key = test ? "test_ds" : "validation_ds";
  const Json& given = section_of(model_config, key.c_str());
  if (given.empty()) return loaders;
  plan = plan_loaders(given, test ? training::EvalKind::kTest : training::EvalKind::kValidation, "model." + key);
  for (const auto& one : plan.sections) {
    if (auto loader = make_loader(model, stage, one, "model." + key, seed)) loaders.push_back(std::move(loader));
  }
  return loaders;
}

std::vector<std::unique_ptr<DataLoader>> make_predict_loaders(const ModelHandle& model, const Json& model_config,
                                                              int64_t seed) {
  const Json given = model_config.is_object() ? model_config.value("predict_ds", Json(nullptr)) : Json(nullptr);
  const Json sections = given.is_array() ? given : given.is_null() ? Json::array() : Json::array({given});
  std::vector<std::unique_ptr<DataLoader>> loaders;
  for (size_t i = 0; i < sections.size(); ++i) {
    const std::string path = "model.predict_ds" + (given.is_array() ? "[" + std::to_string(i) + "]" : "");
    if (auto loader = make_loader(model, Stage::kPredict, sections[i], path, seed))
      loaders.push_back(std::move(loader));
  }
  if (loaders.empty()) {
    throw Error(Code::kFailed, "there is no data to predict from")
        .at("model.predict_ds")
        .seen(given.is_null() ? "no such section" : json_text(given))
        .next("add it to the command line: '+model.predict_ds={manifest_filepath: FILE, batch_size: 8}'");
  }
  return loaders;
}

}  // namespace fathom
