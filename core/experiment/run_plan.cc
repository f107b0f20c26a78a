#include "core/experiment/run_plan.h"

#include <cstdlib>
#include <ctime>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model_files/pretrained.h"
#include "core/models/adapters_file.h"
#include "core/planning/component_plan.h"
#include "core/plugins/registry.h"

namespace fathom {
namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d_%H-%M-%S", &local);
  return text;
}

// "" where it is absent or null.
std::string text_of(const Json& config, const char* key, const char* expected) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return "";
  if (!found->is_string()) throw Error(Code::kFailed, "is no path").at(key).seen(json_text(*found)).expected(expected);
  return found->get<std::string>();
}

// `seed` in the config, else PL_GLOBAL_SEED, else 0.
int64_t run_seed(const Json& config) {
  for (const char* key : {"seed", "seed_everything"}) {
    if (!config.contains(key) || config[key].is_null()) continue;
    if (!config[key].is_number_integer())
      throw Error(Code::kFailed, "the seed is no integer").at(key).seen(json_text(config[key]));
    return config[key].get<int64_t>();
  }
  const char* text = std::getenv("PL_GLOBAL_SEED");
  if (text == nullptr || *text == '\0') return 0;
  char* end = nullptr;
  const int64_t seed = std::strtoll(text, &end, 10);
  if (*end != '\0') throw Error(Code::kFailed, "the environment variable PL_GLOBAL_SEED is no integer").seen(text);
  return seed;
}

// The file's adapters join those of the model's section, so that the model is built with them.
void add_adapters_of_file(ModelPlan& plan) {
  if (plan.adapters.empty()) return;
  const Json from_file = read_adapters_section(plan.adapters);
  Json& adapters = plan.section["adapters"];
  if (adapters.is_null()) adapters = Json::object();
  for (const auto& [name, adapter] : from_file.items()) {
    if (!adapters.contains(name)) adapters[name] = adapter;
  }
}

bool names_class(const Json& config, const Json& model) {
  return model.contains("_target_") || model.contains("target") || config.contains("target");
}

void add_class(const Json& config, Json& model) {
  if (model.empty())
    throw Error(Code::kFailed, "the config has no model section").next("see configs/ for complete experiments");
  if (model.contains("_target_")) return;
  if (!names_class(config, model)) {
    throw Error(Code::kFailed, "the config does not name the model's class")
        .at("model")
        .expected("model._target_, such as asr.EncDecCTCModel")
        .candidates(plugins::registry().names(1u << FATHOM_KIND_MODEL, /*with_aliases=*/false))
        .next("add +model._target_=CLASS to the command line");
  }
  model["_target_"] = model.contains("target") ? model["target"] : config["target"];
}

// Fine-tuning, as NeMo's speech_to_text_finetune does it: no class in the model section, so the whole model is the one
// of init_from_nemo_model, and the section's other keys change it.
bool fine_tunes(const Json& config) {
  return !names_class(config, section_of(config, "model")) && config.contains("init_from_nemo_model") &&
         config["init_from_nemo_model"].is_string();
}

ModelPlan plan_model(const Json& config) {
  ModelPlan plan;
  plan.section = section_of(config, "model");
  plan.adapters = text_of(config, "init_from_adapters", "FILE.pt");
  if (fine_tunes(config)) {
    plan.nemo = config["init_from_nemo_model"].get<std::string>();
  } else {
    add_class(config, plan.section);
  }
  add_adapters_of_file(plan);
  return plan;
}

// ckpt_path: a file, or Lightning's word for one. "": none.
std::string checkpoint_named(const Json& config, const RunPlan& plan) {
  const std::string given = text_of(config, "ckpt_path", "a checkpoint to resume from");
  if (given == "best" || given == "hpc") {
    throw Error(Code::kFailed, "is a word for a checkpoint that a run has only when it has begun")
        .at("ckpt_path")
        .seen(given)
        .expected("the path of a checkpoint, or last");
  }
  if (given != "last") return given;
  std::vector<std::string> folders = {plan.folder.checkpoint_dir};
  if (plan.trainer.callbacks.is_array()) {
    for (const Json& callback : plan.trainer.callbacks) {
      if (callback.is_object() && callback.contains("dirpath") && callback["dirpath"].is_string())
        folders.push_back(callback["dirpath"].get<std::string>());
    }
  }
  const std::string last = newest_last_checkpoint(folders);
  if (last.empty()) {
    log_warning("experiment", "ckpt_path=last: there is no last checkpoint in {}; training starts afresh",
                join(folders, ", "));
  }
  return last;
}

}  // namespace

const Json& section_of(const Json& config, const char* key) {
  static const Json kEmpty = Json::object();
  return config.is_object() && config.contains(key) && !config[key].is_null() ? config[key] : kEmpty;
}

bool switched_on(const Json& section, const char* key, const std::string& path) {
  const auto found = section.find(key);
  if (found == section.end() || found->is_null()) return false;
  if (!found->is_boolean())
    throw Error(Code::kFailed, "is no switch")
        .at(path.empty() ? key : path + "." + key)
        .seen(json_text(*found))
        .expected("true or false");
  return found->get<bool>();
}

RunPlan plan_training(const RunRequest& request) {
  const Json& config = request.config;
  RunPlan plan;
  plan.config = config;
  plan.threads = request.threads;
  plan.trainer = read_trainer_options(section_of(config, "trainer"), "trainer");
  if (config.is_object() && config.contains("exp_manager") && !config["exp_manager"].is_null()) {
    Json given = config["exp_manager"];  // an empty one too: NeMo's defaults
    if (given.is_object() && !given.contains("name") && config.contains("name")) given["name"] = config["name"];
    plan.manager = read_exp_manager_options(given, "exp_manager");
    plan.trainer.max_time_per_run = plan.manager->max_time_per_run;
  }
  check_contradictions(plan.trainer, plan.exp_manager());
  plan.seed = run_seed(config);
  plan.model = plan_model(config);
  plan.folder = plan.manager ? plan_run_folder(*plan.manager, now_text())
                             : plan_lightning_folder(plan.trainer.default_root_dir.value_or("."));
  plan.resume_from = plan.folder.resume_from;
  if (plan.resume_from.empty()) plan.resume_from = checkpoint_named(config, plan);
  return plan;
}

RunPlan plan_evaluation(const RunRequest& request, Stage stage) {
  const Json& config = request.config;
  RunPlan plan;
  plan.config = config;
  plan.threads = request.threads;
  plan.evaluates = stage;
  Json trainer = section_of(config, "trainer");
  trainer["max_epochs"] = 1;  // not trained here; keeps the reader from warning about it
  plan.trainer = read_trainer_options(trainer, "trainer");
  plan.seed = run_seed(config);
  plan.model.nemo = text_of(config, "model_path", "FILE.nemo");
  if (!plan.model.nemo.empty()) plan.model.nemo = model_files::model_file(plan.model.nemo, "model_path");
  plan.model.override_config_path = text_of(config, "override_config_path", "FILE.yaml");
  if (config.contains("restore_strict") && !config["restore_strict"].is_null())
    plan.model.strict = switched_on(config, "restore_strict", "");
  plan.weights = text_of(config, "ckpt_path", "FILE.ckpt");
  if (plan.model.nemo.empty() && plan.weights.empty()) {
    throw Error(Code::kFailed, "no weights to evaluate")
        .expected("model_path=FILE.nemo or ckpt_path=FILE.ckpt")
        .next("add model_path=FILE.nemo to the command line");
  }
  if (plan.model.nemo.empty()) plan.model = plan_model(config);
  if (const auto options = config.find("predict_options"); options != config.end() && !options->is_null()) {
    if (!options->is_object()) {
      throw Error(Code::kFailed, "is no section of options")
          .at("predict_options")
          .seen(json_text(*options))
          .expected("options of the model's predict step, such as {timestamps: true}");
    }
    plan.predict_options = *options;
  }
  return plan;
}

}  // namespace fathom
