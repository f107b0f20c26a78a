// The loggers and callbacks of a training run, those its config names and those it only implies: named once, here, for
// whoever checks a config and for whoever makes the run. No torch; nothing is loaded. Thread-safe: no state.
//
// The optimizer and its schedule are planned in schedule_plan.h; what the model makes of its own section is its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/planning/exp_manager.h"
#include "core/planning/run_request.h"
#include "core/planning/trainer_options.h"

namespace fathom {

struct PlannedComponent {
  std::string path;  // of its section, or of the key that implies it: "exp_manager.ema"
  Json section;      // with its name, and without what others read of it
  bool used = true;  // false: switched off, or there is nothing for it to do; its section is checked all the same
};

struct ComponentPlan {
  std::vector<PlannedComponent> loggers, callbacks;  // in the order in which they are made
};

// `manager`: null without an exp_manager section. `has_validation`: there is validation data, so that a checkpoint has
// a metric to watch.
ComponentPlan plan_components(const TrainerOptions& trainer, const ExpManagerOptions* manager, bool has_validation);

// Those that trainer.callbacks names, and no others.
std::vector<PlannedComponent> named_callbacks(const TrainerOptions& trainer);

// Throws Error(kFailed), naming both, where two settings say the contrary of each other: a callback in
// trainer.callbacks that a flag of the trainer switches off, or that exp_manager makes too.
void check_contradictions(const TrainerOptions& trainer, const ExpManagerOptions* manager);
// What the callbacks that are used watch, each metric once, in their order: those whose class declares the options
// `monitor` and `mode`, which the section or the class's defaults name.
std::vector<MonitoredMetric> monitored_metrics(const ComponentPlan& plan);

// Keys of a model's section that the host and the engine read, whatever the model.
const std::vector<std::string>& host_keys_of_model();

}  // namespace fathom
