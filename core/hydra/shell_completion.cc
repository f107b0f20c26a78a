#include "core/hydra/shell_completion.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/printer.h"

namespace fathom::config {
namespace {

std::string function_name(std::string program) {
  for (char& c : program) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return "_complete_" + program;
}

// PROGRAM, FUNCTION and CALL are filled in. Bash gives the words as COMP_WORDBREAKS breaks them, which is no word of
// ours: the line itself is passed on, and the answer says what follows the last break.
constexpr const char* kBash = R"(FUNCTION() {
  local candidate
  COMPREPLY=()
  while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(
    COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" "${1/#\~/$HOME}" CALL 2>/dev/null)
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
}
complete -o default -F FUNCTION PROGRAM
)";
// A file in fpath is run as the function's body at the first TAB, which it must answer too.
constexpr const char* kZsh = R"(#compdef PROGRAM
FUNCTION() {
  local -a candidates
  candidates=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" ${~words[1]} CALL 2>/dev/null)}")
  compadd -S '' -a candidates
}
if [[ "$funcstack[1]" == _PROGRAM ]]; then FUNCTION "$@"; else compdef FUNCTION PROGRAM; fi
)";
constexpr const char* kFish =
    R"(complete -c PROGRAM -f -a '(env COMP_LINE=(commandline -cp | string collect) PROGRAM CALL 2>/dev/null)'
)";

void fill_in(std::string& text, std::string_view what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

void add(std::vector<std::string>& found, std::string text) {
  if (std::find(found.begin(), found.end(), text) == found.end()) found.push_back(std::move(text));
}

// One level at a time: "model.op" is completed to "model.optim.", not to every key below it.
void add_keys(const Node& node, const std::string& parent, const std::string& word, std::vector<std::string>& found) {
  if (!node.is_map()) return;
  for (const auto& [key, value] : node.entries()) {
    const std::string name = join_full_key(parent, key);
    const std::string text = name + (value.is_map() ? "." : "=");
    if (text != word && text.starts_with(word)) {
      add(found, text);
    } else if (!word.starts_with(text)) {
      continue;
    } else if (value.is_map()) {
      add_keys(value, name, word, found);
    } else if (value.is_scalar() && !value.is_null() && !value.is_missing()) {
      const auto* flag = std::get_if<bool>(&value.value());
      const std::string whole = text + (flag == nullptr ? python_str(value) : *flag ? "true" : "false");
      if (whole.starts_with(word)) add(found, whole);
    }
  }
}

void add_groups(const ConfigRepository& repository, const std::string& word, std::vector<std::string>& found) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) {
    for (const std::string& group : repository.all_groups(word)) add(found, group + "=");
    return;
  }
  const std::string start = word.substr(0, word.find_last_of("=,") + 1);  // of a sweep, the last option is typed
  for (const std::string& option : repository.group_options(word.substr(0, std::min(equals, word.find('@'))))) {
    if ((start + option).starts_with(word)) add(found, start + option);
  }
}

}  // namespace

std::string completion_script(const std::string& shell, const std::string& program, const std::string& call,
                              bool install) {
  std::string text;
  if (shell == "bash") {
    text = install ? kBash : "complete -r PROGRAM; unset -f FUNCTION\n";
  } else if (shell == "zsh") {
    text = install ? kZsh : "compdef -d PROGRAM; unfunction FUNCTION\n";
  } else if (shell == "fish") {
    text = install ? kFish : "complete -c PROGRAM -e\n";
  } else {
    throw ConfigError("ValueError", "No completion for '" + shell + "'").with_candidates({"bash", "zsh", "fish"});
  }
  fill_in(text, "CALL", call);
  fill_in(text, "FUNCTION", function_name(program));
  fill_in(text, "PROGRAM", program);
  return text;
}

TypedLine typed_line() {
  const char *line = std::getenv("COMP_LINE"), *breaks = std::getenv("COMP_BREAKS");
  if (line == nullptr) throw ConfigError("KeyError", "COMP_LINE is not set: queries come from the shell");
  return read_typed_line(line, breaks != nullptr ? breaks : "");
}

TypedLine read_typed_line(std::string_view line, std::string_view breaks) {
  TypedLine typed;
  std::string word;
  bool begun = false;  // also by a pair of quotes with nothing between them
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool escapes =
        c == '\\' && typed.quote != '\'' && i + 1 < line.size() &&
        (typed.quote == '\0' || std::string_view("\"\\$`").find(line[i + 1]) != std::string_view::npos);
    if (escapes) {
      word += line[++i];
      begun = true;
    } else if (c == typed.quote) {
      typed.quote = '\0';
      typed.kept = word;
    } else if (typed.quote != '\0') {
      word += c;
    } else if (c == '\'' || c == '"') {
      typed.quote = c;
      typed.kept = word;
      begun = true;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      if (begun) typed.words.push_back(std::move(word));
      word.clear();
      typed.kept.clear();
      begun = false;
    } else {
      word += c;
      begun = true;
      if (breaks.find(c) != std::string_view::npos) typed.kept = word;
    }
  }
  typed.words.push_back(std::move(word));
  return typed;
}

std::string shell_reply(const TypedLine& line, const std::string& candidate, const std::string& shell) {
  if (shell != "bash") return candidate;  // the others quote by themselves and replace whole words
  const std::string_view special = line.quote == '\'' ? "" : line.quote == '"' ? "\"\\$`" : " \t\"'\\$`&|;<>()[]{}*?!#";
  std::string reply;
  for (const char c : std::string_view(candidate).substr(std::min(line.kept.size(), candidate.size()))) {
    if (special.find(c) != std::string_view::npos) reply += '\\';
    reply += c;
  }
  return reply;
}

std::vector<std::string> complete_word(const Composed& composed, const std::string& word) {
  const size_t start = std::min(word.find_first_not_of("+~"), word.size());
  const std::string typed = word.substr(start), mark = word.substr(0, start);
  std::vector<std::string> found;
  add_keys(composed.job, "", typed, found);
  const bool about_hydra =
      !typed.empty() && (typed.starts_with("hydra") || std::string_view("hydra").starts_with(typed));
  if (about_hydra) add_keys(composed.all(), "", typed, found);
  if (mark != "++") add_groups(*composed.repository, typed, found);  // groups cannot be force-added
  for (std::string& way : found) way.insert(0, mark);
  return found;
}

}  // namespace fathom::config
