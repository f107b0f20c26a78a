// Classes that NeMo has or had and that nobody has built here: whose name is in a config gets a reason, and what to
// take instead. Thread-safe: no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::plugins {

struct AbsentClass {
  std::string what;     // "UnivNet, a vocoder"
  std::string instead;  // "train HifiGanModel on the same data"
};
// By the class path, whatever the module it stood in; nothing for a class that is not known, or only planned.
std::optional<AbsentClass> absent_class(std::string_view class_path);

}  // namespace fathom::plugins
