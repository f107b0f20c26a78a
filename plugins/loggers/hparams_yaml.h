// The config of a run as YAML, block style, in the order it has: a run's hparams.yaml.
#pragma once

#include <string>

#include "fathom/support.h"

namespace fathom::loggers {

std::string to_yaml(const Json& value);

}  // namespace fathom::loggers
