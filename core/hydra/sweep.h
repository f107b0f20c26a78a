// The basic sweeper: the cartesian product of the choices and ranges on a command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/hydra/override.h"
#include "core/hydra/search_path.h"

namespace fathom::config {

using Job = std::vector<std::string>;  // the override words of one job

// Jobs in order, the first sweep varying slowest. Words are written anew (value_text); of two words for the same key
// the later counts. `repository` gives the options for glob() and may be null without one. Throws ConfigError for
// interval(), which has no list of values.
std::vector<Job> sweep_jobs(const std::vector<Override>& overrides, const ConfigRepository* repository);

// Consecutive batches of at most `max_batch_size` jobs; one batch without a limit. No jobs, no batches.
// Throws ConfigError when the limit is not positive.
std::vector<std::vector<Job>> split_batches(const std::vector<Job>& jobs, std::optional<int64_t> max_batch_size);

}  // namespace fathom::config
