// StochasticWeightAveraging: Lightning's. From an epoch on the learning rate is annealed to a constant one, and the
// weights at the start of each epoch go into a mean, which is the model's at the end. With batch norm in the model one
// epoch more follows, in which nothing is learnt: its statistics are computed anew for the mean.
//
// Where no batch norm asks for that epoch, the mean becomes the weights only when training has ended: it is in the
// .nemo and in what is saved from then on.
#pragma once

#include <string>
#include <vector>

#include "fathom/callback.h"

namespace fathom::callbacks {

class StochasticWeightAveraging final : public Callback, public Stateful {
 public:
  struct Options {
    Json swa_lrs = nullptr, swa_epoch_start = 0.8;
    int64_t annealing_epochs = 10;
    std::string annealing_strategy = "cos";
    Json avg_fn = nullptr;
    std::optional<std::string> device = "cpu";
    static void describe(OptionSet<Options>& o);
  };
  explicit StochasticWeightAveraging(const Options& options);

  std::string state_key() const override { return "StochasticWeightAveraging"; }
  // {"n_averaged", "latest_update_epoch", "initialized"}; the trainer adds average_model_state and scheduler_state.
  Json save_state() const override;
  void load_state(const Json& state) override;

 private:
  void start_fit(Trainer& trainer);
  void start_epoch(Trainer& trainer);
  void end_training(Trainer& trainer);
  void start_averaging(Trainer& trainer);

  Options options_;
  std::vector<double> rates_;     // one, one for each group, or none: the rates in force
  int64_t first_ = 0, last_ = 0;  // 0-based epochs whose starts are averaged
  bool has_batch_norm_ = false, initialized_ = false;
  int64_t averaged_ = 0, latest_ = -1;  // how many are in the mean; the last epoch that went into it
};

}  // namespace fathom::callbacks
