// What steps log, on its way to loggers, callbacks and the progress bar: Lightning's rules for on_step and on_epoch.
//
// One hub holds the results of one loop (training, or one evaluation). A tensor is read only when its value is needed,
// so logging does not force a device to finish. Used by the training thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fathom/options.h"

namespace fathom::training {

enum class Hook { kTrainStep, kEvalStep, kEpochEnd };

using MetricRow = std::vector<std::pair<std::string, double>>;

class MetricHub {
 public:
  // Between a metric's name and the number of its loader, where there are several.
  static constexpr std::string_view kLoaderMark = "/dataloader_idx_";

  // `flags` as FATHOM_METRIC_*; neither ON_STEP nor ON_EPOCH takes the hook's default. Exactly one of tensor and value
  // is used. Throws when a name is logged twice in one hook with other flags, or on_step is asked at an epoch's end.
  void log(Hook hook, std::string_view name, const at::Tensor* tensor, double value, uint32_t flags, double batch_size);

  // Values logged with on_step since the last call of begin_step. Names carry "_step" where on_epoch is set too.
  void begin_step();
  MetricRow step_row() const;
  // Epoch values ("_epoch" where on_step is set too) of what was logged since begin_epoch, and forgets them.
  MetricRow finish_epoch(std::map<std::string, double>& callback_metrics, std::map<std::string, double>& progress_bar);
  // Adds what a callback may see in the middle of an epoch.
  void read_steps(std::map<std::string, double>& callback_metrics) const;
  void read_progress_bar(std::map<std::string, double>& metrics) const;

  Json save_state() const;
  void load_state(const Json& state);

 private:
  enum class Reduce { kMean, kSum, kMin, kMax };
  struct Entry {
    std::string name;
    Hook hook;
    uint32_t flags = 0;
    bool on_step = false, on_epoch = false, fresh = false;
    Reduce reduce = Reduce::kMean;
    mutable at::Tensor pending;  // read into `last` when asked for
    mutable double last = 0;
    double total = 0, weight = 0;
    double read() const;
  };
  Entry& find_or_add(Hook hook, std::string_view name, uint32_t flags);
  std::vector<Entry> entries_;
};

}  // namespace fathom::training
