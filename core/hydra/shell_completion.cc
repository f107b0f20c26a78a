#include "core/hydra/shell_completion.h"

#include <algorithm>
#include <set>

#include "core/config/errors.h"
#include "core/config/printer.h"

namespace fathom::config {
namespace {

std::string identifier(std::string name) {
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

std::string bash_script(const std::string& program, bool install) {
  const std::string function = "_complete_" + identifier(program);
  if (!install) return "unset -f " + function + "; complete -r " + program + "\n";
  return function +
         "() {\n  local IFS=$'\\n'\n  COMPREPLY=($(COMP_LINE=\"$COMP_LINE\" \"${COMP_WORDS[0]}\" -sc "
         "query=bash))\n}\n" +
         "COMP_WORDBREAKS=${COMP_WORDBREAKS//=}\ncomplete -o nospace -o default -F " + function + " " + program + "\n";
}

std::string fish_script(const std::string& program, bool install) {
  if (!install) return "complete -c " + program + " -e\n";
  return "complete -c " + program + " -f -a '(env COMP_LINE=(commandline -cp) " + program + " -sc query=fish)'\n";
}

// One level at a time: "model.op" is completed to "model.optim.", not to every key below it.
void add_keys(const Node& node, const std::string& prefix, const std::string& word, std::set<std::string>& found) {
  if (!node.is_map()) return;
  for (const auto& [key, value] : node.entries()) {
    const std::string name = prefix + key.text();
    const bool section = value.is_map();
    const std::string text = name + (section ? "." : "=");
    if (text.starts_with(word)) {
      found.insert(text);
    } else if (section && word.starts_with(name + ".")) {
      add_keys(value, name + ".", word, found);
    } else if (!section && word.starts_with(text) && value.is_scalar()) {
      found.insert(text + python_str(value));
    }
  }
}

}  // namespace

std::string completion_script(const std::string& shell, const std::string& program, bool install) {
  if (shell == "bash") return bash_script(program, install);
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(program, install);
  if (shell == "fish") return fish_script(program, install);
  throw ConfigError("ValueError", "No completion for '" + shell + "'").with_candidates({"bash", "zsh", "fish"});
}

std::vector<std::string> complete_word(const Composed& composed, const std::string& word) {
  std::set<std::string> found;
  for (const std::string& group : composed.repository->all_groups()) {
    const std::string start = group + "=";
    if (start.starts_with(word)) found.insert(start);
    if (!word.starts_with(start)) continue;
    for (const std::string& option : composed.repository->group_options(group)) {
      if ((start + option).starts_with(word)) found.insert(start + option);
    }
  }
  add_keys(composed.job, "", word, found);
  if (word.starts_with("hydra")) add_keys(composed.all(), "", word, found);
  return {found.begin(), found.end()};
}

}  // namespace fathom::config
