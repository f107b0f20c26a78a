// What a run is asked for, and what comes of it. No torch in this header.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom {

// A composed and resolved config, ready to run.
struct RunRequest {
  Json config;                            // the job config: name, trainer, model, exp_manager, …
  std::string config_yaml;                // the same as text, unresolved, for the run folder
  std::vector<std::string> command_line;  // as typed
  int threads = 0;                        // 0: all cores
};

// A metric that a callback watches: a checkpoint's, an early stop's.
struct MonitoredMetric {
  std::string metric, mode;  // "min" or "max": which of its values are better
};

struct RunSummary {
  std::string status;  // "finished", "stopped", "interrupted", "failed"
  std::string reason;
  int64_t epochs = 0, global_step = 0;
  double seconds = 0;
  std::string log_dir, nemo;
  std::vector<std::string> checkpoints;
  std::string best_path, best_metric;
  double best_score = 0;
  std::vector<MonitoredMetric> monitors;
  std::map<std::string, double> metrics;
  Json json() const;  // as `train --json-summary` writes it
};

}  // namespace fathom
