// From command line words to a composed, checked and resolved config: shared by train, validate, test and config.
#pragma once

#include "core/engine/engine.h"
#include "core/hydra/application.h"
#include "core/hydra/command_line.h"
#include "core/hydra/composer.h"
#include "host/commands.h"
#include "host/config_check.h"

namespace fathom::cli {

// Follows the program's name in completion scripts, and is followed by the shell's.
inline constexpr const char* kCompletionCall = "__complete --shell=";

// The program that train, validate, test and `config show` are, but for its task and its help; `strict` is
// --strict-overrides.
config::Application hydra_application(bool strict);
// Runs it with its results on stdout, warnings and the log of a sweep on stderr.
void run_and_print(const config::Application& application, const Words& arguments);

// The command line's flags as a request, for commands that only look at the config.
config::ComposeRequest compose_request(const config::CommandLine& line, bool strict);
// Composes, tells the warnings once on stderr, upgrades old NeMo spellings.
config::Composed compose_job(const config::ComposeRequest& request);
// Throws what is wrong with the config for `use`, see find_problems(); prints all but the last where there are several.
void check_job(const config::JobContext& job, ConfigUse use);
// Resolves the job for the engine. In a sweep the runs go to the job's numbered folder; a common explicit_log_dir or
// exp_dir gets one folder a job, lest the jobs write over each other or resume from each other's checkpoints.
RunRequest run_request(const config::JobContext& job, const Globals& globals);

// Help of the config-driven commands.
std::string config_command_help(const std::string& command, const std::string& about);

}  // namespace fathom::cli
