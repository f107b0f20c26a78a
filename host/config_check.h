// All that can be known to be wrong with a composed config before anything is loaded or opened.
#pragma once

#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"
#include "fathom/error.h"

namespace fathom::cli {

// Mandatory values that are missing, interpolations that lead nowhere, unknown classes, unknown or mistyped options of
// the sections trainer, exp_manager, model.optim, model.optim.sched and of every section with a `_target_`. Each error
// points at the file and line, or the command line word.
std::vector<Error> find_problems(const config::Node& job, const config::ResolverRegistry& resolvers);

}  // namespace fathom::cli
