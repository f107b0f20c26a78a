// What a run will be: read from its config, and checked as far as that goes, before anything is made or written.
//
// A run is planned (here), made (run_parts.h) and run (run.h), each from what the step before gave.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/planning/exp_manager.h"
#include "core/planning/run_request.h"
#include "core/planning/trainer_options.h"
#include "fathom/model.h"

namespace fathom {

// Where the model comes from: made from its section, or restored from a .nemo.
struct ModelPlan {
  Json section = Json::object();     // with its class; of a restored model: what changes in the config of the file
  std::string nemo;                  // the file; "": made from the section
  std::string override_config_path;  // of a restored model: a YAML file that takes the config's place, "": none
  bool strict = true;                // of a restored model: the weights must be the model's, name by name
  std::string adapters;              // a .adapters.pt whose weights it takes, "": none; its sections are in `section`
};

struct RunPlan {
  TrainerOptions trainer;
  int threads = 0;  // 0: all cores
  int64_t seed = 0;
  ModelPlan model;
  Json config;  // the whole one: for loggers, and the keys init_from_*

  // Training.
  std::optional<ExpManagerOptions> manager;
  const ExpManagerOptions* exp_manager() const { return manager ? &*manager : nullptr; }
  RunFolder folder;
  std::string resume_from;  // a checkpoint, "": none

  // Evaluation.
  std::optional<Stage> evaluates;         // nothing: the run trains
  Json predict_options = Json::object();  // of the model's predict step (config key predict_options)
  std::string weights;                    // the checkpoint whose weights are evaluated, "": those of the .nemo
};

// Throw Error: wrong options of trainer and exp_manager, a model section without a class, no weights to evaluate, a
// folder that cannot be resumed from, files that are not there.
RunPlan plan_training(const RunRequest& request);
RunPlan plan_evaluation(const RunRequest& request, Stage stage);

// config[key] where it is there and not null; else an empty object.
const Json& section_of(const Json& config, const char* key);
// section[key], a switch that may be absent or null: then off. `path`: of the section, for the message.
bool switched_on(const Json& section, const char* key, const std::string& path);

}  // namespace fathom
