// Checks of options that optimizers share. No torch. An error's place is the option's name, which its section's key is
// put before: "lr" becomes "model.optim.lr".
#pragma once

#include "fathom/options.h"

namespace fathom::optimizers {

[[noreturn]] inline void invalid(const std::string& option, const std::string& seen, const char* expected) {
  const std::string called = option == "lr" ? "learning rate" : option == "eps" ? "epsilon value" : option + " value";
  throw Error(Code::kFailed, "invalid " + called).at(option).seen(seen).expected(expected);
}
inline std::string text_of(double value) { return json_text(Json(value)); }

// NaN is refused with the negative ones.
inline void need_not_negative(double value, const char* option) {
  if (!(value >= 0)) invalid(option, text_of(value), "0 or more");
}
inline void need_betas(const std::vector<double>& betas, size_t count) {
  if (betas.size() != count) {
    invalid("betas", std::to_string(betas.size()) + " numbers", count == 2 ? "2 numbers" : "3 numbers");
  }
  for (size_t i = 0; i < count; ++i) {
    if (betas[i] >= 0 && betas[i] < 1) continue;
    throw Error(Code::kFailed, "invalid beta parameter at index " + std::to_string(i))
        .at("betas[" + std::to_string(i) + "]")
        .seen(text_of(betas[i]))
        .expected("0 <= beta < 1");
  }
}

}  // namespace fathom::optimizers
