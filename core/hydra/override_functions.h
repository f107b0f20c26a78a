// The functions of override values: choice, range, interval, glob, sort, shuffle, tag and the casts int, float, str,
// bool.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/hydra/override.h"

namespace fathom::config {

struct FunctionCall {
  std::string name;
  std::vector<Element> args;
  std::vector<std::pair<std::string, Element>> kwargs;
};

// What went wrong inside a function; the parser turns it into an error with the word and the place.
struct FunctionFailure {
  std::string kind;  // Python's class for the same failure: TypeError, ValueError …
  std::string message;
};

// Evaluates at parse time. Quoted arguments lose their quotes. Throws FunctionFailure.
Element call_function(FunctionCall call);

}  // namespace fathom::config
