// Argument parsing of the commands that are no config commands, on CLI11: usage errors become Error(kUsage).
#pragma once

#include <CLI/CLI.hpp>

#include "host/commands.h"

namespace fathom::cli {

// Parses `words`; true when --help was asked for and has been printed.
bool parse_arguments(CLI::App& app, const Words& words);

}  // namespace fathom::cli
