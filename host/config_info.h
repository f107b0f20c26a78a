// Printing of configs: --cfg, --info, `config show --provenance`.
#pragma once

#include <string>

#include "core/config/command_line.h"
#include "core/config/composer.h"

namespace fathom::cli {

// What --cfg job|hydra|all, --resolve and --package ask for, on stdout.
void print_config(const config::Composed& composed, const config::CommandLine& line);
// The same with "# file:line:column" after each leaf.
void print_provenance(const config::Composed& composed, bool resolve);
// --info searchpath | defaults | defaults-tree | config | plugins | all.
void print_config_info(const config::Composed& composed, const std::string& topic);

}  // namespace fathom::cli
