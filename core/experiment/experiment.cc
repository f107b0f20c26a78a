#include "core/experiment/experiment.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/checkpoint/torch_file.h"
#include "core/config/errors.h"
#include "core/data/data_section.h"
#include "core/experiment/adapters_file.h"
#include "core/experiment/init_from.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "core/plugins/tables.h"
#include "core/training/json_pickle.h"
#include "core/training/model_wiring.h"
#include "fathom/adapter.h"
#include "fathom/vocabulary.h"

namespace fathom {
namespace {

const Json kEmpty = Json::object();

const Json& section(const Json& config, const char* key) {
  return config.is_object() && config.contains(key) && !config[key].is_null() ? config[key] : kEmpty;
}

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d_%H-%M-%S", &local);
  return text;
}

// A plugin section with defaults below what the config says.
Json with_defaults(Json defaults, const Json& given) {
  if (given.is_object()) {
    for (const auto& [key, value] : given.items()) defaults[key] = value;
  }
  return defaults;
}

std::vector<LoggerHandle> make_loggers(const Json& config, const training::TrainerParts&, const TrainerOptions& trainer,
                                       const ExpManagerOptions* manager, const RunFolder& run) {
  std::vector<LoggerHandle> loggers;
  const Json context = {{"save_dir", run.log_dir}, {"name", run.name}, {"version", run.version}};
  const auto add = [&](const Json& given, const std::string& path) {
    loggers.emplace_back(create_object(1u << FATHOM_KIND_LOGGER, given, path, context));
  };
  const bool off = trainer.logger.is_boolean() && !trainer.logger.get<bool>();
  if (trainer.logger.is_object()) add(trainer.logger, "trainer.logger");
  if (trainer.logger.is_array()) {
    for (size_t i = 0; i < trainer.logger.size(); ++i)
      add(trainer.logger[i], "trainer.logger[" + std::to_string(i) + "]");
  }
  if (!loggers.empty() || trainer.barebones || trainer.fast_dev_run.get<int64_t>() > 0) return loggers;
  if (manager != nullptr) {  // NeMo's configs set trainer.logger=false because exp_manager makes its own
    if (manager->create_csv_logger) add({{"name", "csv"}}, "exp_manager");
    if (manager->create_tensorboard_logger) {
      add(with_defaults({{"name", "tensorboard"}}, manager->summary_writer_kwargs),
          "exp_manager.summary_writer_kwargs");
    }
  } else if (!off) {
    add({{"name", "csv"}}, "trainer.logger");
    add({{"name", "tensorboard"}}, "trainer.logger");
  }
  return loggers;
}

std::vector<CallbackHandle> make_callbacks(const TrainerOptions& trainer, const ExpManagerOptions* manager,
                                           const RunFolder& run, bool has_validation) {
  std::vector<CallbackHandle> callbacks;
  const Json context = {{"run_dir", run.log_dir}, {"checkpoint_dir", run.checkpoint_dir}, {"name", run.name}};
  std::vector<std::string> configured;
  const auto add = [&](const Json& given, const std::string& path) {
    callbacks.emplace_back(create_object(1u << FATHOM_KIND_CALLBACK, given, path, context));
    configured.push_back(callbacks.back().name());
  };
  const auto has = [&](const char* part) {
    for (const auto& name : configured) {
      if (name.find(part) != std::string::npos) return true;
    }
    return false;
  };
  if (trainer.callbacks.is_array()) {
    for (size_t i = 0; i < trainer.callbacks.size(); ++i)
      add(trainer.callbacks[i], "trainer.callbacks[" + std::to_string(i) + "]");
  } else if (trainer.callbacks.is_object()) {
    for (const auto& [key, given] : trainer.callbacks.items()) add(given, "trainer.callbacks." + key);
  }
  if (trainer.enable_progress_bar && !has("Progress")) add({{"name", "ProgressBar"}}, "trainer.enable_progress_bar");
  if (trainer.enable_model_summary && !has("ModelSummary"))
    add({{"name", "ModelSummary"}}, "trainer.enable_model_summary");
  const bool fast = trainer.fast_dev_run.get<int64_t>() > 0;
  if (manager != nullptr && !fast) {
    if (manager->create_early_stopping_callback) {
      add(with_defaults({{"name", "EarlyStopping"}, {"min_delta", 0.001}, {"patience", 10}},
                        manager->early_stopping_callback_params),
          "exp_manager.early_stopping_callback_params");
    }
    if (manager->log_step_timing)
      add(with_defaults({{"name", "TimingCallback"}}, manager->step_timing_kwargs), "exp_manager.step_timing_kwargs");
    if (Json ema = manager->ema; ema.is_object() && ema.value("enable", false)) {
      ema.erase("enable");
      add(with_defaults({{"name", "EMA"}}, ema), "exp_manager.ema");
    }
    if (manager->create_checkpoint_callback) {
      Json params = with_defaults({{"name", "NeMoModelCheckpoint"}}, manager->checkpoint_callback_params);
      if (!has_validation && !params.contains("monitor")) params["monitor"] = nullptr;
      add(params, "exp_manager.checkpoint_callback_params");
    }
  } else if (trainer.enable_checkpointing && !fast && !has("ModelCheckpoint")) {
    add({{"name", "ModelCheckpoint"}}, "trainer.enable_checkpointing");
  }
  return callbacks;
}

void note_run(const RunRequest& request, const RunFolder& run) {
  set_log_file(run.log_dir + "/nemo_log_globalrank-0_localrank-0.txt");
  write_file_atomically(run.log_dir + "/cmd-args.log", join(request.command_line, " ") + "\n");
  write_file_atomically(run.log_dir + "/config.yaml", request.config_yaml);
}

void set_threads(int threads) {
  if (threads > 0) plugins::set_thread_budget(threads);
  at::set_num_threads(plugins::thread_budget());
}

}  // namespace

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

namespace {

// A switch that may be absent or null: then off.
bool flag(const Json& section, const char* key, const std::string& path) {
  const auto found = section.find(key);
  if (found == section.end() || found->is_null()) return false;
  if (!found->is_boolean())
    throw Error(Code::kFailed, "is no switch").at(path + "." + key).seen(json_text(*found)).expected("true or false");
  return found->get<bool>();
}

// The file of `init_from_adapters`, if the config names one.
std::optional<std::string> adapters_file(const Json& config) {
  const auto found = config.find("init_from_adapters");
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (!found->is_string())
    throw Error(Code::kFailed, "is no path").at("init_from_adapters").seen(json_text(*found)).expected("FILE.pt");
  return found->get<std::string>();
}

// The file's adapters join those of the model's section, so that the model is built with them.
void add_adapters_of_file(const Json& config, Json& model) {
  const auto file = adapters_file(config);
  if (!file) return;
  const Json from_file = read_adapters_section(*file);
  Json& adapters = model["adapters"];
  if (adapters.is_null()) adapters = Json::object();
  for (const auto& [name, adapter] : from_file.items()) {
    if (!adapters.contains(name)) adapters[name] = adapter;
  }
}

}  // namespace

ModelHandle make_model(const Json& config) {
  Json model = section(config, "model");
  if (model.empty())
    throw Error(Code::kFailed, "the config has no model section").next("see configs/ for complete experiments");
  if (!model.contains("_target_")) {
    if (model.contains("target"))
      model["_target_"] = model["target"];
    else if (config.contains("target"))
      model["_target_"] = config["target"];
    else {
      throw Error(Code::kFailed, "the config does not name the model's class")
          .at("model")
          .expected("model._target_, such as asr.EncDecCTCModel")
          .candidates(plugins::registry().names(1u << FATHOM_KIND_MODEL, /*with_aliases=*/false))
          .next("add +model._target_=CLASS to the command line");
    }
  }
  add_adapters_of_file(config, model);
  return ModelHandle(
      create_object(1u << FATHOM_KIND_MODEL, model, "model", {{"restoring", false}, {"seed", run_seed(config)}}));
}

namespace {

// Fine-tuning, as NeMo's speech_to_text_finetune does it: no class in the model section, so the whole model is the one
// of init_from_nemo_model, and the section's other keys change it; `char_labels` gives it another vocabulary.
bool fine_tunes(const Json& config) {
  const Json& model = section(config, "model");
  return !model.contains("_target_") && !model.contains("target") && !config.contains("target") &&
         config.contains("init_from_nemo_model") && config["init_from_nemo_model"].is_string();
}

RestoredModel fine_tuned_model(const Json& config) {
  Json changes = section(config, "model");
  const Json labels = section(changes, "char_labels");
  changes.erase("char_labels");
  add_adapters_of_file(config, changes);
  const std::string path = config["init_from_nemo_model"].get<std::string>();
  RestoredModel restored = restore_nemo(path, changes);
  restored.model.torch_module()->train();
  if (labels.value("update_labels", false)) {
    const Json given = labels.value("labels", Json());
    const auto is_text = [](const Json& label) { return label.is_string(); };
    if (!given.is_array() || !std::all_of(given.begin(), given.end(), is_text)) {
      throw Error(Code::kFailed, "there are no labels to change to")
          .at("model.char_labels.labels")
          .seen(json_text(given))
          .expected("a list of characters")
          .next("give the list, or set update_labels=false to keep the labels of " + path);
    }
    change_vocabulary(restored.model.object(), given.get<std::vector<std::string>>());
  }
  log_info("restore", "init_from_nemo_model: the model of {}", path);
  return restored;
}

// NeMo's plan for one or several loaders, but for two of its traps: a single manifest may be called anything, and a
// list with a file that is not there is still a list, so that the file is named.
training::EvalLoaderPlan plan_loaders(const Json& given, training::EvalKind kind, const std::string& path) {
  training::EvalLoaderPlan plan;
  try {
    training::plan_eval_loaders(given, kind, plan);
  } catch (config::ConfigError& error) {
    if (plan.several || plan.sections.empty()) throw std::move(error).with_where(path);
    plan.names.clear();
  }
  constexpr const char* kManifest = "manifest_filepath";
  if (!plan.several && plan.sections[0].contains(kManifest) && plan.sections[0][kManifest].is_array()) {
    const Json section = plan.sections[0];
    plan.sections.clear();
    for (const auto& manifest : section[kManifest]) {
      plan.sections.push_back(section);
      plan.sections.back()[kManifest] = manifest;
    }
  }
  return plan;
}

std::unique_ptr<DataLoader> make_loader(const ModelHandle& model, Stage stage, const Json& section,
                                        const std::string& path, uint64_t seed) {
  DataSection data = read_data_section(section, path);
  // What a model makes itself comes straight from its plugin.
  DatasetHandle dataset(data.names_dataset ? create_object(1u << FATHOM_KIND_DATASET, data.dataset, data.dataset_path)
                                           : plugins::adopt(model.make_dataset(stage, section, path).release()));
  if (!dataset) return nullptr;
  return std::make_unique<DataLoader>(std::move(dataset), LoaderOptions::from_section(data.loader, data.loader_path),
                                      seed, path);
}

}  // namespace

std::vector<std::unique_ptr<DataLoader>> make_eval_loaders(const ModelHandle& model, Stage stage,
                                                           const Json& model_config, uint64_t seed,
                                                           training::EvalLoaderPlan& plan) {
  std::vector<std::unique_ptr<DataLoader>> loaders;
  const bool test = stage == Stage::kTest;
  const std::string key = test ? "test_ds" : "validation_ds";
  const Json& given = section(model_config, key.c_str());
  if (given.empty()) return loaders;
  plan = plan_loaders(given, test ? training::EvalKind::kTest : training::EvalKind::kValidation, "model." + key);
  for (const auto& one : plan.sections) {
    if (auto loader = make_loader(model, stage, one, "model." + key, seed)) loaders.push_back(std::move(loader));
  }
  return loaders;
}

void run_training(const RunRequest& request, RunSummary& summary) {
  const Json& config = request.config;
  set_threads(request.threads);
  const TrainerOptions trainer_options = read_trainer_options(section(config, "trainer"), "trainer");
  std::optional<ExpManagerOptions> manager;
  if (const Json& given = section(config, "exp_manager"); !given.empty()) {
    Json named = given;
    if (!named.contains("name") && config.contains("name")) named["name"] = config["name"];
    manager = read_exp_manager_options(named, "exp_manager");
  }
  const int64_t seed = run_seed(config);
  at::manual_seed(static_cast<uint64_t>(seed));

  training::TrainerParts parts;
  RestoredModel restored;  // holds the artifacts of a fine-tuned model
  if (fine_tunes(config)) {
    restored = fine_tuned_model(config);
    parts.model = std::move(restored.model);
  } else {
    parts.model = make_model(config);
    init_weights(*parts.model.torch_module(), config);
  }
  const Json model_config = parts.model.config();
  if (const auto file = adapters_file(config)) load_adapters(*parts.model.torch_module(), *file);
  const Json adapters = section(model_config, "adapters");
  const bool adapters_only =
      flag(section(adapters, AdapterModuleMixin::kGlobalConfigKey), "train_only", "model.adapters.global_cfg");
  if (adapters_only) train_adapters_only(parts.model);
  if (const Json& train = section(model_config, "train_ds"); !train.empty())
    parts.train = make_loader(parts.model, Stage::kTrain, train, "model.train_ds", static_cast<uint64_t>(seed));
  parts.validation = make_eval_loaders(parts.model, Stage::kValidate, model_config, static_cast<uint64_t>(seed),
                                       parts.validation_plan);
  parts.test = make_eval_loaders(parts.model, Stage::kTest, model_config, static_cast<uint64_t>(seed), parts.test_plan);
  parts.wiring =
      parts.train ? training::record_training(parts.model, *parts.train) : training::record_forward(parts.model);
  for (const auto* loaders : {&parts.validation, &parts.test}) {
    for (const auto& loader : *loaders) training::check_batch_ports(parts.wiring, *loader, loader->where());
  }

  const Json& freeze_updates = section(model_config, "freeze_updates");
  training::check_freeze_updates(freeze_updates, *parts.model.torch_module(), parts.model.typed_children(),
                                 "model.freeze_updates");

  // NeMo's: a step whose gradients are not all finite is left out.
  parts.skip_nan_grad = flag(model_config, "skip_nan_grad", "model");

  const RunFolder run = manager ? plan_run_folder(*manager, timestamp())
                                : plan_lightning_folder(trainer_options.default_root_dir.value_or("."));
  parts.callbacks = make_callbacks(trainer_options, manager ? &*manager : nullptr, run, !parts.validation.empty());

  // What can be wrong with the input has been said: from here on files are written.
  if (manager)
    make_run_folder(*manager, run);
  else
    create_directories(run.log_dir);
  note_run(request, run);
  summary.log_dir = run.log_dir;
  log_info("experiment", "run folder {}", run.log_dir);

  parts.loggers = make_loggers(config, parts, trainer_options, manager ? &*manager : nullptr, run);
  parts.optim = model_config.contains("optim") ? model_config["optim"] : Json(nullptr);
  parts.optim_param_groups =
      model_config.contains("optim_param_groups") ? model_config["optim_param_groups"] : Json(nullptr);
  parts.freeze_updates = freeze_updates;
  parts.hyper_parameters = {{"cfg", model_config}};
  parts.seed = seed;
  for (const auto& logger : parts.loggers) logger.log_hyperparams(config);

  TrainerOptions options = trainer_options;
  if (manager && manager->max_time_per_run && !options.max_time) options.max_time = manager->max_time_per_run;
  training::Trainer trainer(options, std::move(parts));
  trainer.on_save_nemo([&](const std::string& path) {
    save_nemo(trainer.model(), path);
    if (adapters_only) {
      const std::string file = path.substr(0, path.size() - (path.ends_with(".nemo") ? 5 : 0)) + ".adapters.pt";
      save_adapters(*trainer.model().torch_module(), adapters, file);
      log_info("adapters", "saved {}", file);
    }
    summary.nemo = path;
  });
  const auto note = [&](const training::FitResult& result) {
    summary.status = result.status;
    summary.reason = result.reason;
    summary.epochs = result.epochs;
    summary.global_step = result.global_step;
    summary.seconds = result.seconds;
    summary.checkpoints = result.checkpoints;
    summary.metrics = trainer.metrics();
    const Json best = trainer.best_checkpoint();
    summary.best_path = best.value("path", std::string());
    summary.best_score = best.value("score", 0.0);
  };
  const std::string resume = !run.resume_from.empty() ? run.resume_from
                             : config.contains("ckpt_path") && config["ckpt_path"].is_string()
                                 ? config["ckpt_path"].get<std::string>()
                                 : "";
  note(trainer.fit(resume));
  if (summary.status == "interrupted") return;
  if (trainer.has_test_data()) {
    trainer.evaluate(Stage::kTest);
    summary.metrics = trainer.metrics();
  }
}

RunSummary run_evaluation(const RunRequest& request, Stage stage) {
  const Json& config = request.config;
  set_threads(request.threads);
  Json trainer_section = section(config, "trainer");
  trainer_section["max_epochs"] = 1;  // not trained here; keeps the reader from warning about it
  const TrainerOptions options = read_trainer_options(trainer_section, "trainer");
  const int64_t seed = run_seed(config);
  const auto text = [&](const char* key) {
    return config.contains(key) && config[key].is_string() ? config[key].get<std::string>() : std::string();
  };
  const std::string nemo = text("model_path"), checkpoint = text("ckpt_path");
  if (nemo.empty() && checkpoint.empty()) {
    throw Error(Code::kFailed, "no weights to evaluate")
        .expected("model_path=FILE.nemo or ckpt_path=FILE.ckpt")
        .next("add model_path=FILE.nemo to the command line");
  }
  RestoredModel restored;
  training::TrainerParts parts;
  Json model_config = section(config, "model");
  if (!nemo.empty()) {
    restored = restore_nemo(nemo);
    for (const char* key : {"validation_ds", "test_ds"}) {
      if (!model_config.contains(key) && restored.config.contains(key)) model_config[key] = restored.config[key];
    }
    parts.model = std::move(restored.model);
  } else {
    parts.model = make_model(config);
    model_config = parts.model.config();
  }
  const bool test = stage == Stage::kTest;
  (test ? parts.test : parts.validation) = make_eval_loaders(
      parts.model, stage, model_config, static_cast<uint64_t>(seed), test ? parts.test_plan : parts.validation_plan);
  parts.seed = seed;
  training::Trainer trainer(options, std::move(parts));
  if (nemo.empty()) trainer.load_weights(checkpoint);
  RunSummary summary;
  const auto started = std::chrono::steady_clock::now();
  summary.metrics = trainer.evaluate(stage);
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  summary.status = "finished";
  return summary;
}

}  // namespace fathom
