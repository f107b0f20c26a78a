// What the schedulers share: the options of PyTorch's LRScheduler, arithmetic that fails where Python's does.
#pragma once

#include <cmath>

#include "fathom/scheduler.h"

namespace fathom::schedulers {

// Every scheduler takes it. Anything but -1 asks for a continued schedule, which here comes from the saved state.
struct CommonOptions {
  int64_t last_epoch = -1;
};
template <typename O>
void describe_common(OptionSet<O>& o) {
  o("last_epoch", static_cast<int64_t O::*>(&O::last_epoch), "only -1: a schedule is continued from its saved state");
}
inline void need_fresh(const CommonOptions& o) {
  if (o.last_epoch != -1) {
    throw Error(Code::kFailed, "a scheduler cannot start at another epoch without the optimizer's initial rates")
        .seen("last_epoch " + std::to_string(o.last_epoch))
        .expected("-1")
        .next("resume from a checkpoint instead");
  }
}

inline std::string text_of(double value) { return json_text(Json(value)); }

// a / b, failing as Python does for b == 0.
inline double ratio(double a, double b, const char* what) {
  if (b == 0)
    throw Error(Code::kFailed, std::string("the schedule divides by zero: ") + what + " is 0").next("raise max_steps");
  return a / b;
}
// x ** y for a base that must not be negative.
inline double root(double x, double y, const char* what) {
  if (x < 0)
    throw Error(Code::kFailed, std::string("the schedule takes a root of a negative ") + what).seen(text_of(x));
  return std::pow(x, y);
}

// One per source file; each adds its schedulers.
void add_warmup(Registry& r);
void add_hold(Registry& r);
void add_noam(Registry& r);
void add_torch_chained(Registry& r);
void add_torch_cyclic(Registry& r);
void add_plateau(Registry& r);
void add_swa(Registry& r);

}  // namespace fathom::schedulers
