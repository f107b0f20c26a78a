#include "plugins/callbacks/gradient_accumulation_scheduler.h"

#include <charconv>

namespace fathom::callbacks {

GradientAccumulationScheduler::GradientAccumulationScheduler(const Options& options) {
  const auto refuse = [](const char* what, const std::string& where, const std::string& seen) {
    throw Error(Code::kFailed, what)
        .at(where)
        .seen(seen)
        .expected("{epoch: batches}, epochs from 0 and batches from 1, such as {4: 2, 8: 4}");
  };
  if (options.scheduling.empty()) refuse("schedules nothing", "scheduling", "{}");
  for (const auto& [key, batches] : options.scheduling) {
    int64_t epoch = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), epoch);
    if (error != std::errc() || end != key.data() + key.size() || epoch < 0) refuse("is no epoch", "scheduling", key);
    if (batches < 1) refuse("is no count of batches", "scheduling." + key, std::to_string(batches));
    batches_from_epoch_[epoch] = batches;
  }
  on(Event::kSetup, &GradientAccumulationScheduler::plan);
}

}  // namespace fathom::callbacks
