// NeMo's parameter dataclasses (nemo.core.config): what `args: {name: auto}`, `name: adam_params` and
// `_target_: nemo.core.config.CosineAnnealingParams` stand for: a set of options with defaults of their own.
// Recorded from NeMo 3.0.0; the defaults differ from the classes' own here and there (AdamW's weight_decay is 0).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fathom/support.h"

namespace fathom::training {

struct ParamsClass {
  std::string registered;  // "adam_params", "CosineAnnealingParams"; empty when it has a class path only
  std::string class_name;  // "AdamParams"
  Json fields;             // name -> default; kMissing for a field without one
};
inline constexpr const char* kMissing = "???";  // OmegaConf's mandatory value

// In NeMo's order of registration.
const std::vector<ParamsClass>& optimizer_params();
const std::vector<ParamsClass>& scheduler_params();

// By registered name. Throws Error (kFailed) naming what there is.
const ParamsClass& find_params(const std::vector<ParamsClass>& list, const std::string& registered, const char* kind);
// By class path ("nemo.core.config.AdamParams", also with a module between); null when it is none of them.
const ParamsClass* find_params_by_path(const std::vector<ParamsClass>& list, std::string_view path);

// The fields with overrides; an override that is no field is an Error (kFailed). A field may stay kMissing.
Json params_with(const ParamsClass& params, const Json& overrides);

}  // namespace fathom::training
