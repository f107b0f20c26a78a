// --shell-completion: the scripts to install, and the answers they ask for.
#pragma once

#include <string>
#include <vector>

#include "core/hydra/composer.h"

namespace fathom::config {

// The script for `shell` (bash, zsh, fish) to evaluate; `install` false gives the one that takes it away again.
// Throws ConfigError ValueError for an unknown shell.
std::string completion_script(const std::string& shell, const std::string& program, bool install);

// Ways to go on with the unfinished word `word`: config groups, their options, keys of the config. Sorted.
std::vector<std::string> complete_word(const Composed& composed, const std::string& word);

}  // namespace fathom::config
