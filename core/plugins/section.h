// A config section that names a component and holds its options, in the forms configs use:
//
//   {_target_: CLASS, a: 1}                     Hydra's form, every kind
//   {name: adamw, lr: 0.1}                      optimizers, schedulers, loggers, callbacks, metrics, tokenizers
//   {cls: CLASS, params: {a: 1}}                configs of before Hydra; `target` likewise
//
// Thread-safe: no state.
#pragma once

#include <string>

#include "fathom/support.h"

namespace fathom::plugins {

struct Selection {
  std::string name;  // as written
  std::string key;   // which key named it: "_target_", "name", "cls", "target"
  Json options;      // the section without that key and Hydra's own keys
};

// The key of `section` that names a class of one of `kinds`, or empty.
std::string selecting_key(uint32_t kinds, const Json& section);

// Throws Error(kFailed) when nothing is named, or when the section asks for what only Python can do (_partial_,
// _args_).
Selection select_component(uint32_t kinds, const Json& section, const std::string& path);

// Moves the entries of an undeclared `params` map up to the section itself, as NeMo upgrades old configs. Throws
// Error(kFailed) for a key that stands in both.
void flatten_params(Selection& selection, const Json& schema, const std::string& path);

// The JSON text of a component's options. JSON has no infinities: those become the words inf, -inf and nan.
std::string config_text_of(const Json& options);

}  // namespace fathom::plugins
