// Printing of configs: `config show --provenance`.
#pragma once

#include "core/hydra/composer.h"

namespace fathom::cli {

// Each leaf with "# file:line:column", or the word of the command line, after it.
void print_provenance(const config::Composed& composed, bool resolve);

}  // namespace fathom::cli
