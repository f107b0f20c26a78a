// What differs between two model files: keys of their configs, artifacts and tensors. The data behind `fathom diff`.
// Thread-safe: no shared state.
#pragma once

#include <string>

#include "fathom/json.h"

namespace fathom::model_files {

struct CompareOptions {
  bool config = true, tensors = true;
  double tolerance = 0;  // the largest |a - b| of an element that still counts as equal
};

// {equal, a, b,
//  config: {compared, keys, differences: [{key, a?, b?, artifact?}]},
//  tensors: {compared, differences: [{name, difference, a?: {shape, dtype}, b?, max_abs_difference?, elements?}]}}
// A side that lacks a key or a tensor has no `a` or `b`. `difference` is "missing" (in a alone), "extra" (in b alone),
// "shape", "dtype" or "values"; max_abs_difference is a number, or "nan" or "inf". Configs are compared only where both
// files have one. Numbers are compared by value (1 is 1.0); "nemo:" values by the content of the files they name, as
// NeMo gives each file a random prefix.
Json compare_model_files(const std::string& a, const std::string& b, const CompareOptions& options = {});

// The same in lines, the last of them a summary.
std::string comparison_text(const Json& comparison);

}  // namespace fathom::model_files
