// Opens libfathom_engine.so, and with it libtorch, when a command needs to compute.
#pragma once

#include "core/engine/engine.h"

namespace fathom::cli {

// The process's engine; never closed. Error(kUnavailable) naming the library when it cannot be opened.
Engine& engine();

}  // namespace fathom::cli
