#include "plugins/callbacks/ema.h"

namespace fathom::callbacks {

Ema::Ema(const Options& options) : options_(options) {
  if (!(options_.decay >= 0 && options_.decay <= 1)) {
    throw Error(Code::kFailed, "the average's decay is not between 0 and 1")
        .at("decay")
        .seen(std::to_string(options_.decay))
        .expected("0 to 1, such as 0.999");
  }
  if (options_.every_n_steps < 1) {
    throw Error(Code::kFailed, "is no number of steps")
        .at("every_n_steps")
        .seen(std::to_string(options_.every_n_steps))
        .expected("1 or more");
  }
  on(Event::kFitStart, &Ema::start);
  if (options_.validate_original_weights) return;
  on(Event::kValidationStart, &Ema::start_evaluation);
  on(Event::kValidationEnd, &Ema::end_evaluation);
  on(Event::kTestStart, &Ema::start_evaluation);
  on(Event::kTestEnd, &Ema::end_evaluation);
}

}  // namespace fathom::callbacks
