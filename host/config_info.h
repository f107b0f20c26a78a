// Printing of configs: `config show --provenance`.
#pragma once

#include "core/hydra/command_line.h"
#include "core/hydra/composer.h"

namespace fathom::cli {

// Each leaf of what `line` asks to show (--cfg, --package, --resolve) with "# file:line:column", or the word of the
// command line, after it.
void print_provenance(const config::Composed& composed, const config::CommandLine& line);

}  // namespace fathom::cli
