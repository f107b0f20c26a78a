#include "core/training/lightning_loops.h"

namespace fathom::training {
namespace {

using checkpoint::PickleValue;

PickleValue counters(int64_t ready, int64_t completed, bool with_started = true) {
  PickleValue out = PickleValue::dict({{"ready", ready}, {"completed", completed}});
  if (with_started) {
    out.mutable_dict().set("started", ready);
    out.mutable_dict().set("processed", completed);
  }
  return out;
}

PickleValue progress(PickleValue total, PickleValue current) {
  return PickleValue::dict({{"total", total}, {"current", current}});
}

PickleValue eval_loop_state() {
  PickleValue batches = progress(counters(0, 0), counters(0, 0));
  batches.mutable_dict().set("is_last_batch", false);
  return PickleValue::dict({{"state_dict", PickleValue::dict()}, {"batch_progress", batches}});
}

}  // namespace

PickleValue lightning_loops(const RunState& run, int64_t accumulate, bool manual) {
  const fathom_progress& p = run.progress;
  const int64_t batches_in_epoch = run.batches_in_epoch();
  const int64_t steps_in_epoch = (batches_in_epoch + accumulate - 1) / accumulate;
  PickleValue batches =
      progress(counters(run.batches_seen, run.batches_seen), counters(batches_in_epoch, batches_in_epoch));
  batches.mutable_dict().set("is_last_batch", batches_in_epoch == p.training_batches);
  const int64_t loop_steps = manual ? 0 : p.global_step, loop_current = manual ? 0 : steps_in_epoch;
  const PickleValue steps =
      progress(counters(loop_steps, loop_steps, false), counters(loop_current, loop_current, false));
  PickleValue zero_total = counters(loop_steps, loop_steps, false),
              zero_current = counters(loop_current, loop_current, false);
  zero_total.mutable_dict().set("started", loop_steps);
  zero_current.mutable_dict().set("started", loop_current);
  const int64_t own_steps = manual ? p.global_step : 0;
  const PickleValue manual_steps =
      progress(counters(own_steps, own_steps, false), counters(own_steps, own_steps, false));
  PickleValue val = eval_loop_state();
  PickleValue epoch_counters = counters(p.epoch + 1, p.epoch);
  epoch_counters.mutable_dict().set("processed", p.epoch + (run.phase == RunState::Phase::kAfterEpoch ? 1 : 0));
  PickleValue fit = PickleValue::dict({
      {"state_dict", PickleValue::dict()},
      {"epoch_loop.state_dict", PickleValue::dict({{"_batches_that_stepped", p.batches_that_stepped}})},
      {"epoch_loop.batch_progress", batches},
      {"epoch_loop.scheduler_progress", steps},
      {"epoch_loop.automatic_optimization.state_dict", PickleValue::dict()},
      {"epoch_loop.automatic_optimization.optim_progress",
       PickleValue::dict(
           {{"optimizer", PickleValue::dict({{"step", steps}, {"zero_grad", progress(zero_total, zero_current)}})}})},
      {"epoch_loop.manual_optimization.state_dict", PickleValue::dict()},
      {"epoch_loop.manual_optimization.optim_step_progress", manual_steps},
      {"epoch_loop.val_loop.state_dict", PickleValue::dict()},
      {"epoch_loop.val_loop.batch_progress", val.at("batch_progress")},
      {"epoch_progress", progress(epoch_counters, epoch_counters)},
  });
  return PickleValue::dict({{"fit_loop", fit},
                            {"validate_loop", eval_loop_state()},
                            {"test_loop", eval_loop_state()},
                            {"predict_loop", eval_loop_state()}});
}

}  // namespace fathom::training
