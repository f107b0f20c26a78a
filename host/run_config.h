// From command line words to a composed, checked and resolved config: shared by train, validate, test and config.
#pragma once

#include "core/config/command_line.h"
#include "core/config/composer.h"
#include "core/experiment/engine.h"
#include "host/commands.h"

namespace fathom::cli {

// The command line's flags as a request; `strict` is --strict-overrides.
config::ComposeRequest compose_request(const config::CommandLine& line, bool strict);
// Composes, tells the warnings once on stderr, upgrades old NeMo spellings.
config::Composed compose_job(const config::ComposeRequest& request);
// All that is wrong with the config, by the options plugins declare: missing values, unknown keys and classes, wrong
// types. Prints each and throws the last one when there are several, or just throws it.
void check_job(const config::Composed& composed);
// Resolves the job for the engine.
RunRequest run_request(const config::Composed& composed, const Globals& globals);

// Help of the config-driven commands.
std::string config_command_help(const std::string& command, const std::string& about);

}  // namespace fathom::cli
