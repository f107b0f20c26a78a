// The trainer as callbacks and steps see it: the C tables, filled from a Trainer.
#pragma once

#include "core/training/trainer.h"

namespace fathom::training {

class TrainerTable {
 public:
  explicit TrainerTable(Trainer& trainer);
  const fathom_trainer& table() const { return table_; }
  // What steps and callbacks log besides numbers, on its way to the loggers.
  const fathom_media_log& media() const { return media_; }

  // fathom_step.log; ctx is the Trainer.
  static fathom_status log_from_step(void* ctx, fathom_str name, fathom_tensor tensor, double value, uint32_t flags,
                                     double batch_size);

 private:
  void offer_media(Trainer& trainer);
  template <typename Check, typename Log>
  static fathom_status log_media(void* ctx, fathom_str name, Check&& check, Log&& log);
  fathom_trainer table_{};
  fathom_media_log media_{};
};

// The functions by which callbacks plan and change what the loop does (trainer_plans.cc), set in `table`.
void add_plans(fathom_trainer& table);

// {"modules": [{name, type, params, trainable, training}…], "total", "trainable", "non_trainable", "bytes" (of the
// parameters), "modules_in_train_mode", "modules_in_eval_mode"}, modules down to `depth` (-1: all).
Json model_summary(const torch::nn::Module& model, int depth);

}  // namespace fathom::training
