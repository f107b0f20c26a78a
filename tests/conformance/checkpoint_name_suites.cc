// checkpoint_names: which files the checkpoint callbacks write and remove, and when, by whole runs (planned, made, run)
// in a scratch folder; which folders exp_manager chooses; how names are formatted.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <utility>

#include "core/archive/json_pickle.h"
#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/checkpoint/torch_file.h"
#include "core/config/access.h"
#include "core/config/json.h"
#include "plugins/callbacks/checkpoint_name.h"
#include "tests/conformance/folder_operations.h"
#include "tests/conformance/recorded_hooks.h"
#include "tests/conformance/suites.h"
#include "tests/support/scripted_run.h"

namespace fathom::conformance {
namespace {

namespace fs = std::filesystem;

// The run at work: what is seen of its files.
struct SavingRun {
  FolderOperations* operations = nullptr;
  std::string prefix;  // before the names of files in the log: the folder, where the record has it
  Json log = Json::array();
  bool training = false;  // what goes before the first batch is not of the trainer
};
SavingRun* g_saving = nullptr;

// Called after the callback before it at every event.
class SavingWatcher final : public HookCallback {
 public:
  explicit SavingWatcher(const Options&) {}
  Order order() const override { return Order::kCheckpoint; }

 private:
  void called(const std::string& hook, fathom::Trainer& trainer) override {
    SavingRun& run = *g_saving;
    const fathom_progress p = trainer.progress();
    run.training = run.training || hook == "on_train_batch_start" || hook == "on_train_end";
    for (const auto& [what, file] : run.operations->take()) {
      // NeMo's averages and markers are no operations of its trainer.
      if (!run.training || file.ends_with("-unfinished") || file.find("-EMA.") != std::string::npos) continue;
      const bool model = what == "save" && file.ends_with(".nemo");
      if (file.ends_with(".nemo") && !model) continue;
      run.log.push_back({model ? "save_nemo" : what, p.epoch, p.global_step, run.prefix + file});
    }
    static const std::set<std::string> kLooks = {"on_train_batch_end", "on_train_epoch_end", "on_validation_end",
                                                 "on_train_end"};
    if (kLooks.count(hook) == 0) return;
    std::vector<std::string> now = run.operations->listing();
    if (!listing_ || now != *listing_)
      run.log.push_back({hook.substr(std::string_view("on_").size()), p.epoch, p.global_step, now});
    listing_ = std::move(now);
  }
  std::optional<std::vector<std::string>> listing_;
};

void add_saving_components(Registry& registry) {
  registry.add<SavingWatcher>("conformance.SavingWatcher", "looks at files");
}
Json watcher() { return {{"_target_", "conformance.SavingWatcher"}}; }

// The working folder for as long as a case runs, and the environment that exp_manager looks at.
class Scratch {
 public:
  Scratch() : before_(fs::current_path()) {
    fs::current_path(folder_.path());
    ::unsetenv("NEMO_EXPM_VERSION");
  }
  ~Scratch() {
    ::unsetenv("NEMO_EXPM_VERSION");
    std::error_code error;
    fs::current_path(before_, error);
  }
  // As records name files: within the folder, times as <DATETIME>.
  std::string recorded(const std::string& path) const {
    if (path.empty()) return "";
    const std::string inside = fs::absolute(path).lexically_relative(folder_.path());
    static const std::regex kTime("[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}");
    return std::regex_replace(inside, kTime, "<DATETIME>");
  }
  const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  fs::path before_;
};

Json json_of(const nlohmann::json& value) { return parse_text(json_text(value)); }

std::vector<double> numbers_of(const nlohmann::json& given) {
  std::vector<double> numbers;
  if (!given.is_array()) return numbers;
  for (const auto& value : given) {
    const auto text = value.is_object() ? value.at("$float").get<std::string>() : value.dump();
    numbers.push_back(std::strtod(text.find('"') == 0 ? text.c_str() + 1 : text.c_str(), nullptr));
  }
  return numbers;
}

// A case: its script, its scratch folder, and the checkpoint of a run's end, for the state of its callbacks.
struct SavingCase {
  explicit SavingCase(const nlohmann::json& body) : body(body), state_file(scratch.path() + "/state.ckpt") {
    add_suite_plugin<add_saving_components>("conformance_saving");
    g_saving = &run;
    script.val_loss = numbers_of(body.at("val_loss"));
    if (body.contains("train_x")) script.train_x = numbers_of(body.at("train_x"));
    script.val_name = body.value("val_name", "val_loss");
    const Json stop_at = body.contains("stop_at") ? json_of(body.at("stop_at")) : Json(nullptr);
    script.look = [this, stop_at](const std::string& hook, Trainer& trainer) {
      const fathom_progress p = trainer.progress();
      if (hook == "on_train_batch_end" && stop_at == Json{p.epoch, p.batch_idx}) trainer.stop("asked to stop");
      if (hook == "on_fit_end") trainer.save_checkpoint(state_file);
    };
  }
  RunRequest request(const nlohmann::json& trainer) const {
    return scripted_request(json_of(trainer), body.value("n_train", 1), !body.value("no_val", false));
  }
  // The error in words, or "".
  std::string run_once(const RunRequest& request, const std::string& folder, RunSummary& summary) {
    try {
      fs::create_directories(folder);
      FolderOperations operations(folder);
      run.operations = &operations;
      run.log = Json::array();
      run.training = false;
      run_scripted(request, script, summary, [](const RunPlan& plan, RunParts& parts) {
        if (plan.manager && plan.trainer.fast_dev_run == 0)  // after what exp_manager makes, which then makes nothing
          parts.trainer.callbacks.emplace_back(create_object(1u << FATHOM_KIND_CALLBACK, watcher(), "callback"));
      });
    } catch (const std::exception& problem) {
      return problem.what();
    }
    return "";
  }

  const nlohmann::json& body;
  const Scratch scratch;
  Script script;
  SavingRun run;
  const std::string state_file;
};

// "" or the first entry that differs.
std::string log_difference(const Json& wanted, const Json& got) {
  for (size_t i = 0; i < std::max(wanted.size(), got.size()); ++i) {
    const std::string a = i < wanted.size() ? json_text(wanted[i]) : "the end",
                      b = i < got.size() ? json_text(got[i]) : "the end";
    if (a != b) return fmt::format("operation {}: expected {}, got {}", i, a, b);
  }
  return "";
}

bool same_value(const Json& wanted, const Json& got) {
  const auto number = [](const Json& value) {
    return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr) : value.get<double>();
  };
  const bool special = wanted == "inf" || wanted == "-inf" || wanted == "nan";
  if (wanted.is_number() || special) {
    if (!got.is_number() && !got.is_string()) return false;
    const double a = number(wanted), b = number(got);
    return a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= 1e-6;
  }
  return wanted == got;
}

// The states of the callbacks in a checkpoint, by their keys, with names of files as records have them.
Json states_in(const std::string& checkpoint, const std::function<std::string(const std::string&)>& recorded) {
  Json states = checkpoint::pickle_to_json(checkpoint::load_torch_file(checkpoint).at("callbacks"));
  for (auto& [key, state] : states.items()) {
    if (!state.is_object()) continue;
    for (const char* name : {"best_model_path", "kth_best_model_path", "last_model_path"}) {
      if (state.contains(name)) state[name] = recorded(state[name].get<std::string>());
    }
    Json models = Json::object();
    if (state.contains("best_k_models")) {
      for (const auto& [path, score] : state["best_k_models"].items()) models[recorded(path)] = score;
      state["best_k_models"] = std::move(models);
    }
  }
  return states;
}

std::string state_difference(const nlohmann::json& record, const Json& states) {
  const auto key = record.at("state_key").get<std::string>();
  if (!states.contains(key)) return "expected a state under " + key + ", got " + json_text(states);
  const Json& state = states[key];
  const Json wanted = json_of(record.at("state_dict"));
  for (const char* field : {"monitor", "best_model_path", "kth_best_model_path", "last_model_path", "best_model_score",
                            "current_score", "kth_value"}) {
    if (!same_value(wanted[field], state[field]))
      return fmt::format("state {}: expected {}, got {}", field, json_text(wanted[field]), json_text(state[field]));
  }
  const Json &models = wanted["best_k_models"], &got = state["best_k_models"];
  bool same = models.size() == got.size();
  for (const auto& [path, score] : models.items()) same = same && got.contains(path) && same_value(score, got[path]);
  return same ? "" : "state best_k_models: expected " + json_text(models) + ", got " + json_text(got);
}

std::string newest_in(const std::string& folder) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (newest.empty() || entry.last_write_time() >= fs::last_write_time(newest)) newest = entry.path();
  }
  return newest;
}

Outcome run_model_checkpoint(const Case& c) {
  SavingCase work(c.body);
  const Scratch& scratch = work.scratch;
  SavingRun& run = work.run;
  const Json params = json_of(c.body.at("params"));
  const nlohmann::json runs = c.body.value("runs", nlohmann::json::array({nlohmann::json::object()}));
  Json states;
  std::string before;  // the folder of the run before
  for (size_t i = 0; i < runs.size(); ++i) {
    const nlohmann::json &one = runs[i], &expect = c.body.at("expect").at(i);
    const std::string folder = scratch.path() + "/" + one.value("dir", "checkpoints");
    Json callbacks = Json::array();
    for (Json callback : params.is_array() ? params : Json::array({params})) {
      callback["_target_"] = "ModelCheckpoint";
      callback["dirpath"] = folder;
      callbacks.push_back(std::move(callback));
      callbacks.push_back(watcher());
    }
    run.prefix = one.contains("dir") ? "<TMP>/" + one["dir"].get<std::string>() + "/" : "";
    Json trainer = json_of(one.value("trainer", c.body.at("trainer")));
    trainer["callbacks"] = std::move(callbacks);
    RunRequest request = work.request(trainer);
    if (const std::string ckpt = one.value("ckpt", ""); ckpt == "best-file")
      request.config["ckpt_path"] = before + "/" + states.front()["best_model_path"].get<std::string>();
    else if (ckpt == "last-file")
      request.config["ckpt_path"] = before + "/" + states.front()["last_model_path"].get<std::string>();
    else if (ckpt == "newest-file")
      request.config["ckpt_path"] = newest_in(before);
    else if (!ckpt.empty())
      request.config["ckpt_path"] = ckpt;
    RunSummary summary;
    const std::string error = work.run_once(request, folder, summary);
    if (error.empty() != (expect.at("status") == "ok")) return fail(error.empty() ? "expected an error" : error);
    if (std::string problem = log_difference(json_of(expect.at("log")), run.log); !problem.empty())
      return fail(fmt::format("run {}, {}", i, problem));
    const Json files = fs::exists(folder) ? Json(FolderOperations(folder).listing()) : Json::array();
    if (files != json_of(expect.at("files")))
      return fail(fmt::format("run {}: expected {}, got {}", i, json_text(expect.at("files")), json_text(files)));
    if (!error.empty()) continue;
    before = folder;
    states = states_in(work.state_file, [&](const std::string& path) {
      return path.empty() ? "" : run.prefix + fs::path(path).lexically_relative(folder).string();
    });
    for (const auto& callback : expect.at("callbacks")) {
      if (std::string problem = state_difference(callback, states); !problem.empty())
        return fail(fmt::format("run {}, {}", i, problem));
    }
  }
  return pass();
}

// What a case does to the files between two runs.
void change_files(const nlohmann::json& one, const Json& states) {
  for (const char* action : {"mark_unfinished", "delete"}) {
    if (!one.contains(action)) continue;
    const bool last = one[action] == "last";
    const std::string file = states.front()[last ? "last_model_path" : "best_model_path"];
    if (std::string_view(action) == "delete")
      fs::remove(file);
    else
      std::ofstream(unfinished_marker_of(file)).put('\n');
  }
}

Outcome run_nemo_checkpoint(const Case& c) {
  SavingCase work(c.body);
  const Scratch& scratch = work.scratch;
  SavingRun& run = work.run;
  const auto& runs = c.body.at("runs");
  Json states;
  for (size_t i = 0; i < runs.size(); ++i) {
    const nlohmann::json &one = runs[i], &expect = c.body.at("expect").at(i);
    if (i > 0) change_files(one, states);
    Json manager = json_of(c.body.at("exp_manager"));
    manager["create_tensorboard_logger"] = manager["create_csv_logger"] = manager["log_step_timing"] = false;
    manager["checkpoint_callback_params"] = json_of(c.body.at("checkpoint_callback_params"));
    if (one.contains("cb")) manager["checkpoint_callback_params"].update(json_of(one["cb"]));
    RunRequest request = work.request(one.value("trainer", c.body.at("trainer")));
    request.config["exp_manager"] = std::move(manager);
    std::string chosen, folder;
    try {
      const RunPlan plan = plan_training(request);
      chosen = scratch.recorded(plan.resume_from);
      folder = plan.folder.checkpoint_dir;
      // The folder is made below, to be watched; the run is to take it all the same.
      if (!plan.folder.version.empty()) request.config["exp_manager"]["version"] = plan.folder.version;
    } catch (const std::exception&) {  // the run below says the same
      folder = scratch.path();
    }
    if (const auto& params = c.body.at("checkpoint_callback_params"); params.is_object() && params.contains("filepath"))
      folder = fs::absolute(params["filepath"].get<std::string>()).parent_path();
    run.prefix = scratch.recorded(folder) + "/";
    RunSummary summary;
    const std::string error = work.run_once(request, folder, summary);
    if (error.empty() != (expect.at("status") == "ok")) return fail(error.empty() ? "expected an error" : error);
    const auto wanted = expect.contains("ckpt_path") && expect["ckpt_path"].is_string()
                            ? expect["ckpt_path"].get<std::string>()
                            : std::string();
    if (error.empty() && chosen != wanted)
      return fail(fmt::format("run {}: expected to resume from '{}', got '{}'", i, wanted, chosen));
    if (std::string problem = log_difference(json_of(expect.at("log")), run.log); !problem.empty())
      return fail(fmt::format("run {}, {}", i, problem));
    if (!error.empty()) continue;
    std::set<std::string> files, recorded;
    for (const auto& file : FolderOperations(folder).listing()) files.insert(run.prefix + file);
    for (const auto& file : expect.at("files")) {
      if (const auto name = file.get<std::string>(); name.starts_with(run.prefix)) recorded.insert(name);
    }
    if (files != recorded)
      return fail(fmt::format("run {}: expected {}, got {}", i, json_text(Json(recorded)), json_text(Json(files))));
    if (!expect.contains("final")) continue;  // of a run that exp_manager takes no part in
    const auto& end = expect.at("final");
    if (end.at("current_epoch") != summary.epochs || end.at("global_step") != summary.global_step)
      return fail(fmt::format("run {}: expected {}, got epoch {}, step {}", i, json_text(end), summary.epochs,
                              summary.global_step));
    states = states_in(work.state_file, [&](const std::string& path) { return scratch.recorded(path); });
    if (!expect.contains("callback")) continue;
    if (std::string problem = state_difference(expect.at("callback"), states); !problem.empty())
      return fail(fmt::format("run {}, {}", i, problem));
  }
  return pass();
}

// --- exp_manager
// ------------------------------------------------------------------------------------------------------------

// What a planned run is made of, in the words of the record.
struct Managed {
  std::string log_dir, resume_from;
  std::vector<std::string> loggers, callbacks;
};

Json resolved(const Json& config) {
  config::Node node = config::from_json(config);
  config::resolve(node, config::default_resolvers());
  return config::to_json(node);
}

Managed manage(const RunRequest& request, const Scratch& scratch) {
  const RunPlan plan = plan_training(request);
  Managed managed;
  if (plan.trainer.fast_dev_run.get<int64_t>() == 0 && plan.manager) {
    make_run_folder(*plan.manager, plan.folder);
    write_file_atomically(plan.folder.log_dir + "/cmd-args.log", "fathom train\n");
    managed.log_dir = scratch.recorded(plan.folder.log_dir);
  }
  managed.resume_from = scratch.recorded(plan.resume_from);
  for (const std::string& logger : make_loggers(plan).names()) {
    // The metrics.csv that every run has is ours.
    if (logger != "csv") managed.loggers.push_back(logger == "tensorboard" ? "TensorBoardLogger" : logger);
  }
  for (const auto& callback : make_callbacks(plan, true)) managed.callbacks.push_back(callback.name());
  // A timer of NeMo's; the trainer itself looks at the time here.
  if (plan.trainer.max_time_per_run) managed.callbacks.push_back("StatelessTimer");
  return managed;
}

// Whether each file of the case is where the record has it afterwards.
std::string tree_difference(const nlohmann::json& existing, const nlohmann::json& tree) {
  std::set<std::string> recorded;
  for (const auto& name : tree) recorded.insert(name.get<std::string>());
  for (const auto& given : existing) {
    const auto name = given.get<std::string>();
    if ((recorded.count(name) > 0) != fs::exists(name))
      return fmt::format("expected {} {}, got the contrary", name,
                         recorded.count(name) > 0 ? "to stay" : "to be moved");
  }
  for (const auto& name : recorded) {
    const fs::path path = name;
    if (path.string().find("/run_") != std::string::npos && name.ends_with("/") && !fs::exists(path))
      return "expected " + name + ", which is not there";
  }
  return "";
}

Outcome run_exp_manager(const Case& c) {
  const Scratch scratch;
  for (const auto& given : c.body.at("existing")) {
    const fs::path path = given.get<std::string>();
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    if (path.has_filename()) std::ofstream(path) << "x";
  }
  for (int call = 0; call < c.body.at("calls").get<int>(); ++call) {
    const auto& expect = c.body.at("expect").at(static_cast<size_t>(call));
    for (const auto& [name, value] : c.body.at("env").items()) {
      if (name != "_keep") ::setenv(name.c_str(), value.get<std::string>().c_str(), 1);
    }
    Json trainer = json_of(c.body.at("trainer"));
    const Json logger = trainer.value("logger", Json(false));
    trainer.erase("logger");
    if (trainer.value("checkpoint_callback", false)) {
      trainer.erase("checkpoint_callback");
      trainer["callbacks"] = Json::array({{{"_target_", "ModelCheckpoint"}}});
    }
    RunRequest request = scripted_request(std::move(trainer), 1);
    request.config["trainer"]["max_epochs"] = 1;
    if (logger == "true")
      request.config["trainer"]["logger"] = true;
    else if (logger.is_string())
      request.config["trainer"]["logger"] = {
          {"_target_",
           logger == "csv" ? "lightning.pytorch.loggers.CSVLogger" : "lightning.pytorch.loggers.TensorBoardLogger"},
          {"save_dir", "lgdir"},
          {"name", "lgname"}};
    const Json cfg = json_of(c.body.at("cfg"));
    request.config["exp_manager"] = cfg.is_object() ? resolved(cfg) : cfg;
    if (cfg.is_null()) request.config["trainer"]["enable_checkpointing"] = false;  // as NeMo's configs have it
    // That it is there is seen to only when it is loaded, in NeMo.
    if (cfg.is_object() && cfg.contains("resume_from_checkpoint")) {
      const fs::path named = cfg["resume_from_checkpoint"].get<std::string>();
      fs::create_directories(named.parent_path());
      std::ofstream(named) << "x";
    }
    Managed managed;
    std::string error;
    try {
      managed = manage(request, scratch);
    } catch (const std::exception& problem) {
      error = problem.what();
    }
    if (error.empty() != (expect.at("status") == "ok"))
      return fail(fmt::format("call {}: {}", call, error.empty() ? "expected an error" : error));
    if (!error.empty()) continue;
    const auto text = [&](const char* key) {
      return expect.at(key).is_string() ? expect.at(key).get<std::string>() : std::string();
    };
    if (managed.log_dir != text("log_dir"))
      return fail(fmt::format("call {}: expected folder '{}', got '{}'", call, text("log_dir"), managed.log_dir));
    if (managed.resume_from != text("ckpt_path"))
      return fail(
          fmt::format("call {}: expected to resume from '{}', got '{}'", call, text("ckpt_path"), managed.resume_from));
    std::vector<std::string> loggers;
    for (const auto& one : expect.at("loggers")) {
      if (one.at("class") != "CSVLogger") loggers.push_back(one.at("class").get<std::string>());
    }
    if (managed.loggers != loggers)
      return fail(fmt::format("call {}: expected loggers {}, got {}", call, json_text(Json(loggers)),
                              json_text(Json(managed.loggers))));
    const auto callbacks = expect.at("callbacks").get<std::vector<std::string>>();
    if (managed.callbacks != callbacks)
      return fail(fmt::format("call {}: expected callbacks {}, got {}", call, json_text(Json(callbacks)),
                              json_text(Json(managed.callbacks))));
    if (std::string problem = tree_difference(c.body.at("existing"), expect.at("tree")); !problem.empty())
      return fail(fmt::format("call {}: {}", call, problem));
  }
  return pass();
}

// --- names
// ------------------------------------------------------------------------------------------------------------------

Outcome run_name_format(const Case& c) {
  callbacks::MetricValues values;
  for (const auto& [name, value] : c.body.at("metrics").items()) {
    if (value.is_object())
      values[name] = {std::nan(""), false};
    else if (value.is_number_integer())
      values[name] = {value.get<double>(), true};
    else
      values[name] = {static_cast<double>(value.get<float>()), false};
  }
  std::string got;
  try {
    const auto& name = c.body.at("filename");
    got = callbacks::format_checkpoint_name(name.is_string() ? name.get<std::string>() : "", values,
                                            c.body.at("auto_insert_metric_name").get<bool>(),
                                            c.body.at("prefix").get<std::string>());
  } catch (const std::exception& problem) {
    return c.body.at("expect").contains("error") ? pass() : fail(problem.what());
  }
  if (!c.body.at("expect").contains("result")) return fail("expected an error, got " + got);
  const auto wanted = c.body.at("expect").at("result").get<std::string>();
  return got == wanted ? pass() : fail("expected " + wanted + ", got " + got);
}

// Folders of ranks and checkpoints that are folders are not written here.
Outcome run_marker_names(const Case& c) {
  const auto wanted = c.body.at("marker").get<std::string>(),
             got = unfinished_marker_of(c.body.at("path").get<std::string>());
  return got == wanted ? pass() : fail("expected " + wanted + ", got " + got);
}

}  // namespace

void add_checkpoint_name_suites(std::vector<Suite>& suites) {
  suites.push_back({"checkpoint_names/model_checkpoint", run_model_checkpoint});
  suites.push_back({"checkpoint_names/nemo_checkpoint", run_nemo_checkpoint});
  suites.push_back({"checkpoint_names/exp_manager", run_exp_manager});
  suites.push_back({"checkpoint_names/name_format", run_name_format});
  suites.push_back({"checkpoint_names/marker_names", run_marker_names});
}

}  // namespace fathom::conformance
