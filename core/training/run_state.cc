#include "core/training/run_state.h"

#include "core/archive/json_pickle.h"
#include "core/planning/batch_limits.h"

namespace fathom::training {

int64_t RunState::batches_in_epoch() const {
  if (broken_off) return broken_off->batch_idx;
  return progress.batch_idx + (phase == Phase::kAfterBatch || phase == Phase::kAfterValidation ? 1 : 0);
}

void RunState::end_epoch() {
  ++progress.epoch;
  progress.batch_idx = 0;
  phase = Phase::kNextBatch;
}

int64_t RunState::count_eval_batch(bool test, int64_t loader) {
  std::vector<int64_t>& counts = eval_batches_logged[test ? 1 : 0];
  if (counts.size() <= static_cast<size_t>(loader)) counts.resize(static_cast<size_t>(loader) + 1);
  return counts[static_cast<size_t>(loader)]++;
}

double RunState::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

void RunState::save(Json& out) const {
  const Position position = broken_off.value_or(Position{progress.epoch, progress.batch_idx});
  out["phase"] = static_cast<int>(broken_off ? Phase::kNextBatch : phase);
  out["epoch"] = position.epoch;
  out["batch_idx"] = position.batch_idx;
  if (broken_off) out["broken_off"] = true;
  out["batches_seen"] = batches_seen;
  out["batches_that_stepped"] = progress.batches_that_stepped;
  out["training_batches"] = training_batches;
  const bool stopped = progress.should_stop != 0 && !time_is_over;
  out["should_stop"] = stopped ? 1 : 0;
  out["stop_reason"] = stopped ? stop_reason : "";
  if (stopped) out["limits"] = limits;
  out["skipped_steps"] = skipped_steps;
  out["skipped_losses"] = skipped_losses;
  out["seconds"] = seconds_in_all();
  out["eval_batches_logged"] = {eval_batches_logged[0], eval_batches_logged[1]};
}

void RunState::load(const checkpoint::PickleValue& own) {
  const auto integer = [&](const char* key) { return own.at(key).as_int(); };
  if (own.find("epoch") != nullptr) progress.epoch = integer("epoch");
  progress.batch_idx = integer("batch_idx");
  // Data that does not know its length knew at its last batch, after which something may have been due.
  if (batches_per_epoch == kUnknownBatches) training_batches = integer("training_batches");
  progress.batches_that_stepped = integer("batches_that_stepped");
  batches_seen = integer("batches_seen");
  if (own.find("skipped_steps") != nullptr) skipped_steps = integer("skipped_steps");
  if (own.find("skipped_losses") != nullptr) skipped_losses = integer("skipped_losses");
  const checkpoint::PickleValue* stopped_at = own.find("limits");
  if (integer("should_stop") != 0 && stopped_at != nullptr && pickle_to_json(*stopped_at) == limits) {
    progress.should_stop = 1;
    stop_reason = own.at("stop_reason").as_string();
  }
  earlier_seconds = own.at("seconds").as_double();
  for (size_t i = 0; i < 2; ++i) {
    const Json counts = pickle_to_json(own.at("eval_batches_logged").items()[i]);
    // A number in files that counted over all loaders.
    eval_batches_logged[i] =
        counts.is_array() ? counts.get<std::vector<int64_t>>() : std::vector{counts.get<int64_t>()};
  }
  was_broken_off = own.find("broken_off") != nullptr;
  phase = static_cast<Phase>(integer("phase"));
  if (phase == Phase::kAfterEpoch) end_epoch();
}

void RunState::load_lightning(const checkpoint::PickleValue& file) {
  progress.batches_that_stepped = progress.global_step;
  const auto& batches = file.at("loops").at("fit_loop").at("epoch_loop.batch_progress");
  const int64_t done = batches.at("current").at("processed").as_int();
  batches_seen = batches.at("total").at("processed").as_int();
  progress.batch_idx = done >= training_batches ? 0 : done;
  if (progress.batch_idx == 0 && done > 0) ++progress.epoch;
}

}  // namespace fathom::training
