// How many batches a loop runs, and after which of them validation is due: Lightning's rules. No torch, no state.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "fathom/options.h"

namespace fathom {

// Of data that does not know its length (an iterable dataset).
inline constexpr int64_t kUnknownBatches = std::numeric_limits<int64_t>::max();

// limit_*_batches and overfit_batches: an int is a count, a float a fraction of `batches`. A fraction that leaves no
// batch is an error naming the smallest one that does, and so is any fraction but 1.0 of an unknown number.
int64_t limited_batches(const Json& limit, int64_t batches, const std::string& config_key);

// When validation runs within an epoch of `training_batches` batches.
struct ValidationPlan {
  int64_t every_batches = 0;   // 0: never
  bool across_epochs = false;  // counted over epochs (check_val_every_n_epoch: null)
  int64_t every_epochs = 1;
  bool at_epoch_end = false;  // exactly once, after the last batch: what ModelCheckpoint and EarlyStopping ask

  // After batch `batch_idx` (0-based) of epoch `epoch`; `batches_seen` counts over all epochs, this one included.
  // `last_batch`: of the epoch, which data of unknown length tells only then.
  bool due(int64_t epoch, int64_t batch_idx, int64_t batches_seen, bool last_batch = false) const;
};
ValidationPlan plan_validation(const Json& val_check_interval, std::optional<int64_t> check_val_every_n_epoch,
                               int64_t training_batches, const std::string& config_path);

// "DD:HH:MM:SS" in seconds.
double parse_max_time(const std::string& text, const std::string& config_key);
// Seconds of 30, "30s", "5m", "2h", "1d" or "DD:HH:MM:SS"; more than none.
double parse_interval(const Json& given, const std::string& config_key);

}  // namespace fathom
