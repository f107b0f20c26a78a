// Where a training run stands: what its loop counts and what was decided, and nothing of what it works on. It is in
// every checkpoint. Used by the training thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/pickle_value.h"
#include "fathom/abi/callback.h"
#include "fathom/json.h"

namespace fathom::training {

struct RunState {
  // Where in the loop a checkpoint was written, hence where a resumed run goes on.
  enum class Phase { kNextBatch, kAfterBatch, kAfterValidation, kAfterEpoch };

  fathom_progress progress{};  // the part that callbacks see
  Phase phase = Phase::kNextBatch;
  // Of the epoch in hand; of an epoch as planned. Data of unknown length says at an epoch's last batch that it is.
  int64_t training_batches = 0, batches_per_epoch = 0;
  int64_t batches_seen = 0;  // over all epochs
  int64_t skipped_steps = 0, skipped_losses = 0;
  std::vector<int64_t> eval_batches_logged[2];  // of each loader: validation, test
  // Counts one, and gives how many there were before.
  int64_t count_eval_batch(bool test, int64_t loader);
  bool optimizer_stepped = false, max_reached = false;
  // An epoch that the run left before its end: a later run goes on with its next batch. `progress` has moved on then.
  struct Position {
    int64_t epoch = 0, batch_idx = 0;
  };
  std::optional<Position> broken_off;
  bool was_broken_off = false;  // by the run that wrote what this one was loaded from

  std::string stop_reason, resumed_from;
  bool stopped_early = false;  // somebody asked for it, and no limit of epochs or steps came first
  // The time of this run is over, which says nothing of the next.
  bool time_is_over = false;
  // The sections of the config that say when a run ends. A run that somebody stopped stays stopped for those who start
  // it again as it was, and goes on for those who changed them.
  Json limits = nullptr;
  std::vector<std::string> saved;  // checkpoints that this run wrote, in order
  std::chrono::steady_clock::time_point started;
  double earlier_seconds = 0;  // of the runs that this one goes on from

  int64_t batches_in_epoch() const;  // done, of the epoch to go on with
  // In the middle of an epoch that is not left.
  bool is_within_epoch() const { return phase != Phase::kNextBatch || progress.batch_idx > 0; }
  void break_off_epoch() { broken_off = {progress.epoch, progress.batch_idx}; }
  void end_epoch();        // on to the next
  double seconds() const;  // of this run
  double seconds_in_all() const { return earlier_seconds + seconds(); }

  // Its keys of a checkpoint's own entry, set in `out`.
  void save(Json& out) const;
  // From that entry; epoch and global_step stand in the file itself.
  void load(const checkpoint::PickleValue& own);
  // From a file that Lightning wrote: its loops know the counters, not the position in the data.
  void load_lightning(const checkpoint::PickleValue& file);
};

}  // namespace fathom::training
