// --shell-completion: the scripts to install, and the answers they ask for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/hydra/composer.h"

namespace fathom::config {

// The script for `shell` (bash, zsh, fish) to evaluate; `install` false gives the one that takes it away again. It runs
// `program call` with the line up to the cursor in COMP_LINE and bash's COMP_WORDBREAKS in COMP_BREAKS, and takes a
// candidate a line. Throws ConfigError ValueError for an unknown shell.
std::string completion_script(const std::string& shell, const std::string& program, const std::string& call,
                              bool install);

// A command line while it is typed.
struct TypedLine {
  std::vector<std::string> words;  // without their quotes; the last is the unfinished one, empty after a blank
  std::string kept;                // start of the last word that the shell leaves alone; the answer goes on from there
  char quote = '\0';               // that is open at the end
};
// Reads what the scripts pass on: COMP_LINE and COMP_BREAKS of the environment. Throws ConfigError KeyError without.
TypedLine typed_line();
TypedLine read_typed_line(std::string_view line, std::string_view breaks);
// A way to go on with the last word, as the shell wants it: from where it may change the line, with its quotes.
std::string shell_reply(const TypedLine& line, const std::string& candidate, const std::string& shell);

// Ways to go on with the unfinished word `word`: keys of the config one level below what is typed, in their order, then
// config groups and their options.
std::vector<std::string> complete_word(const Composed& composed, const std::string& word);

}  // namespace fathom::config
