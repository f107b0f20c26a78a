// Commands that plugins add (fathom/command.h): the component "tts.normalize" is `fathom tts normalize`.
#pragma once

#include <string>
#include <vector>

#include "host/commands.h"

namespace fathom::cli {

// The first words of such commands, sorted: "tts". Reads descriptions only: nothing is loaded.
std::vector<std::string> plugin_command_groups();
// The second words of a group's, sorted.
std::vector<std::string> plugin_commands(const std::string& group);
// Runs `fathom GROUP words…`.
int run_plugin_command(const std::string& group, const Words& words, const Globals& globals);

}  // namespace fathom::cli
