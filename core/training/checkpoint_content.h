// What a training checkpoint holds: Lightning's layout, so that Python reads it, plus one entry of our own ("fathom")
// with what Lightning leaves out: random state, position in the data, metrics in progress, gradients of an unfinished
// accumulation window.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/training/ema.h"
#include "core/training/grad_scaler.h"
#include "core/training/metric_router.h"
#include "core/training/optimization.h"
#include "core/training/run_state.h"
#include "core/training/trainer_parts.h"
#include "core/training/weight_mean.h"

namespace fathom::training {

// Throws Error(kFailed) where two callbacks would keep their state under one key, which one of them would lose.
void check_state_keys(const std::vector<CallbackHandle>& callbacks);

// What it is of: parts of a trainer, borrowed for one call. `scaler` and `average` may be null.
struct CheckpointContent {
  RunState& run;
  TrainerParts& parts;
  torch::nn::Module& module;
  const std::vector<std::unique_ptr<Optimization>>& optimizations;
  const NamedMetrics& metrics;
  MetricRouter& router;
  GradScaler* scaler;
  ExponentialMovingAverage* average;
  int64_t accumulate;  // batches to an optimizer step
  bool manual;         // the model steps its optimizers itself
  WeightMean* mean;    // may be null

  // Of the weights, or of the averages where they are in use.
  checkpoint::PickleValue write(bool weights_only) const;
  // `path` is where `file` was read from. Everything is as it was when that was written, the random state too. Throws
  // Error(kBadData) for a file that is no training checkpoint or is of another model, and kFailed for other data.
  void read(const checkpoint::PickleValue& file, const std::string& path);

 private:
  checkpoint::PickleValue optimizer_value(size_t optimizer) const;
  checkpoint::PickleValue callback_states() const;
  checkpoint::PickleValue own_entry() const;
  void read_optimizers(const checkpoint::PickleValue& file, const std::string& path);
  void read_schedules(const checkpoint::PickleValue& file, const std::string& path);
  void read_average(const checkpoint::PickleValue& file, const std::string& path);
  void read_callbacks(const checkpoint::PickleValue& file, const std::string& path);
  void read_own_entry(const checkpoint::PickleValue& own, const std::string& path);
  void check_data(const checkpoint::PickleValue& own, const std::string& path) const;
};

}  // namespace fathom::training
