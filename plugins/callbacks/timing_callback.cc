#include "plugins/callbacks/timing_callback.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "fathom/abi/model.h"

namespace fathom::callbacks {

TimingCallback::TimingCallback(const Options& options) : options_(options) {
  const auto& r = options_.reduction;
  if (r != "mean" && r != "sum" && r != "min" && r != "max" && r != "median") {
    throw Error(Code::kFailed, "is no reduction").at("reduction").seen(r).expected("mean, sum, min, max or median");
  }
  if (options_.buffer_size < 1) {
    throw Error(Code::kFailed, "is no number of steps")
        .at("buffer_size")
        .seen(std::to_string(options_.buffer_size))
        .expected("at least 1");
  }
  using T = TimingCallback;
  on(Event::kTrainBatchStart, &T::start_train);
  on(Event::kTrainBatchEnd, &T::end_train);
  on(Event::kBeforeBackward, &T::start_backward);
  on(Event::kAfterBackward, &T::end_backward);
  on(Event::kValidationBatchStart, &T::start_validation);
  on(Event::kValidationBatchEnd, &T::end_validation);
  on(Event::kTestBatchStart, &T::start_test);
  on(Event::kTestBatchEnd, &T::end_test);
}

void TimingCallback::start(Watch& watch) { watch.started = std::chrono::steady_clock::now(); }

void TimingCallback::stop(Watch& watch, Trainer& trainer) {
  watch.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - watch.started).count());
  if (static_cast<int64_t>(watch.seconds.size()) > options_.buffer_size) watch.seconds.pop_front();
  trainer.log(watch.name, reduced(watch.seconds),
              FATHOM_METRIC_ON_STEP | (watch.in_progress_bar ? FATHOM_METRIC_PROG_BAR : 0));
}

double TimingCallback::reduced(const std::deque<double>& seconds) const {
  if (options_.reduction == "min") return *std::min_element(seconds.begin(), seconds.end());
  if (options_.reduction == "max") return *std::max_element(seconds.begin(), seconds.end());
  if (options_.reduction == "median") {  // the lower of the two in the middle, as torch.median
    std::vector<double> sorted(seconds.begin(), seconds.end());
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2),
                     sorted.end());
    return sorted[(sorted.size() - 1) / 2];
  }
  const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  return options_.reduction == "sum" ? sum : sum / static_cast<double>(seconds.size());
}

}  // namespace fathom::callbacks
