#include "plugins/callbacks/delta_timing_callback.h"

#include <cstdio>

namespace fathom::callbacks {

DeltaTimingCallback::DeltaTimingCallback(const Options&) {
  using T = DeltaTimingCallback;
  on(Event::kTrainEpochStart, &T::start_train);
  on(Event::kTrainBatchEnd, &T::end_train);
  on(Event::kValidationEpochStart, &T::start_validation);
  on(Event::kValidationBatchEnd, &T::end_validation);
  on(Event::kTestEpochStart, &T::start_test);
  on(Event::kTestBatchEnd, &T::end_test);
}

void DeltaTimingCallback::start(Watch& watch) {
  watch.step = 0;
  watch.since = std::chrono::steady_clock::now();
}

void DeltaTimingCallback::tell(Watch& watch) {
  const auto now = std::chrono::steady_clock::now();
  // A run that is resumed in mid-epoch has no start of the epoch.
  if (watch.since != std::chrono::steady_clock::time_point()) {
    char text[120];
    std::snprintf(text, sizeof text, "Step %lld: %s in s=%.6f", static_cast<long long>(++watch.step),
                  watch.name.c_str(), std::chrono::duration<double>(now - watch.since).count());
    log(LogLevel::kInfo, "DeltaTimingCallback", text);
  }
  watch.since = now;
}

}  // namespace fathom::callbacks
