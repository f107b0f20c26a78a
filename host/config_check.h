// All that can be known to be wrong with a composed config before anything is loaded or opened.
#pragma once

#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"
#include "fathom/error.h"

namespace fathom::cli {

// An evaluation takes its weights from a file, and of the config little more than the trainer and the data.
enum class ConfigUse { kTraining, kEvaluation };

// Interpolations that lead nowhere, unknown or refused options of the sections trainer and exp_manager. For training
// also mandatory values that are missing, unknown classes, unknown or mistyped options of model.optim,
// model.optim.sched and of every section with a `_target_`. Each error points at the file and line, or the command line
// word; each key is told of once.
std::vector<Error> find_problems(const config::Node& job, const config::ResolverRegistry& resolvers, ConfigUse use);

// `error` with the file and line, or the command line word, behind the key of `job` it is about, where it names one,
// and with the nearest of the names it expected.
Error located(const config::Node& job, Error error);

}  // namespace fathom::cli
