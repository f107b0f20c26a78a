// EarlyStopping: Lightning's. Checks a metric after validation (or at the end of training epochs) and stops the run
// when it has not improved by min_delta for `patience` checks, is not finite, or passes a threshold. Metrics as
// float32.
#pragma once

#include <optional>
#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class EarlyStopping final : public Callback, public Stateful {
 public:
  struct Options {
    std::string monitor = "val_loss";
    double min_delta = 0;
    int64_t patience = 3;
    bool verbose = false;
    std::string mode = "min";
    bool strict = true, check_finite = true;
    std::optional<double> stopping_threshold, divergence_threshold;
    std::optional<bool> check_on_train_epoch_end;
    bool log_rank_zero_only = false;
    static void describe(OptionSet<Options>& o);
  };
  explicit EarlyStopping(const Options& options);

  std::string state_key() const override;
  // {"wait_count", "stopped_epoch", "best_score", "patience"}
  Json save_state() const override;
  void load_state(const Json& state) override;
  Order order() const override { return Order::kMonitoring; }

  // What to say when `value` means the run has to stop, or "". Updates best score and wait count.
  std::string judge(double value);

 private:
  void start_fit(Trainer& trainer);
  void end_epoch(Trainer& trainer);
  void end_validation(Trainer& trainer);
  void end_fit(Trainer& trainer);
  void check_metric(Trainer& trainer);
  bool at_epoch_end(const fathom_progress& progress) const;
  bool better(double a, double b) const { return options_.mode == "max" ? a > b : a < b; }

  Options options_;
  bool fitting_ = false;
  double best_score_;
  int64_t wait_count_ = 0, stopped_epoch_ = 0;
};

}  // namespace fathom::callbacks
