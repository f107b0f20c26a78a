// Which `_target_` a config may name. Nothing here is ever imported or run: a name only selects a registered component.
// The check is for configs that come with a model file: one that names os.system is refused as NeMo refuses it (its
// answer to CVE-2025-23304), instead of being reported as a component that is not installed.
#pragma once

#include <string>
#include <string_view>

#include "fathom/support.h"

namespace fathom::plugins {

// NeMo 3's allow-list, which looks at the class behind the name: modules, models, datasets, optimizers, metrics,
// Lightning's callbacks, loggers, strategies and accelerators, and dataclasses. Here the namespace and the form of the
// name decide: functions, samplers, schedulers of torch, modules reached through another module and everything outside
// the known packages are refused.
bool is_target_allowed(std::string_view target);

// NeMo's check of a whole config: every `_target_` at any depth. Throws Error(kBadData) "UnsafeTargetError" at the
// first that is neither allowed nor the name of an installed component. `path` is the config's key, for the message.
void check_targets(const Json& config, const std::string& path = {});

}  // namespace fathom::plugins
