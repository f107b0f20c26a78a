#include <algorithm>
#include <filesystem>

#include "core/config/access.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "host/output.h"
#include "host/run_config.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBash = R"(# fathom completion for bash: source <(fathom completion bash)
_fathom() {
  local IFS=$'\n' words
  COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}
  words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=($(fathom __complete "${words[@]}" 2>/dev/null))
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
}
complete -o default -F _fathom fathom
)";
constexpr const char* kZsh = R"(#compdef fathom
# fathom completion for zsh: put this into a file _fathom in your fpath
_fathom() {
  local -a candidates
  candidates=("${(@f)$(fathom __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -S '' -a candidates
}
compdef _fathom fathom
)";
constexpr const char* kFish = R"(# fathom completion for fish: fathom completion fish | source
function __fathom_candidates
  set -l words (commandline -opc) (commandline -ct)
  fathom __complete $words[2..-1] 2>/dev/null
end
complete -c fathom -f -a '(__fathom_candidates)'
)";

void keep(std::vector<std::string>& out, std::string candidate, const std::string& prefix) {
  if (candidate.starts_with(prefix)) out.push_back(std::move(candidate));
}

std::vector<std::string> config_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem());
  }
  return names;
}

constexpr uint32_t bit(fathom_kind kind) { return 1u << kind; }

// The kinds of component that a key may name; 0 for a key that names none.
uint32_t kinds_named_by(std::string_view key) {
  if (key.ends_with("sched.name") || key.ends_with("sched._target_")) return bit(FATHOM_KIND_SCHEDULER);
  if (key.ends_with("optim.name") || key.ends_with("optim._target_")) return bit(FATHOM_KIND_OPTIMIZER);
  if (!key.ends_with("_target_")) return 0;
  if (key == "model._target_") return bit(FATHOM_KIND_MODEL);
  if (!key.starts_with("model.")) return bit(FATHOM_KIND_CALLBACK) | bit(FATHOM_KIND_LOGGER);
  return bit(FATHOM_KIND_MODULE) | bit(FATHOM_KIND_LOSS) | bit(FATHOM_KIND_METRIC) | bit(FATHOM_KIND_DATASET) |
         bit(FATHOM_KIND_TOKENIZER);
}

// The config of the words before; when they are not sound yet, of their flags alone.
config::Composed compose_so_far(const Words& flags, const Words& overrides) {
  Words all = flags;
  all.insert(all.end(), overrides.begin(), overrides.end());
  try {
    return config::compose(compose_request(config::parse_command_line(all), false));
  } catch (const Error&) {
    return config::compose(compose_request(config::parse_command_line(flags), false));
  }
}

// Keys, one level below what is typed; values after '='.
void complete_override(const Words& before, const std::string& word, std::vector<std::string>& out) {
  Words flags, overrides;
  for (size_t i = 0; i < before.size(); ++i) {
    const bool takes = before[i] == "-cp" || before[i] == "-cn" || before[i] == "-cd" || before[i] == "--config-path" ||
                       before[i] == "--config-name" || before[i] == "--config-dir";
    if (takes && i + 1 < before.size()) {
      flags.push_back(before[i]);
      flags.push_back(before[++i]);
    } else if (before[i].find('=') != std::string::npos && before[i][0] != '-') {
      overrides.push_back(before[i]);
    }
  }
  const config::Composed composed = compose_so_far(flags, overrides);
  const size_t equals = word.find('=');
  if (equals != std::string::npos) {
    const std::string key = word.substr(word[0] == '+' ? word.find_first_not_of('+') : 0, equals);
    std::vector<std::string> values = composed.repository->group_options(key);
    if (const uint32_t kinds = kinds_named_by(key); kinds != 0) {
      for (auto& name : plugins::registry().names(kinds, key.ends_with("_target_"))) values.push_back(name);
    }
    for (const auto& value : values) keep(out, word.substr(0, equals + 1) + value, word);
    return;
  }
  const size_t start = std::min(word.find_first_not_of("+~"), word.size());
  const std::string typed = word.substr(start), mark = word.substr(0, start);
  const size_t dot = typed.rfind('.');
  const std::string parent = dot == std::string::npos ? "" : typed.substr(0, dot);
  const config::Node* node = parent.empty() ? &composed.job : config::find_path(composed.job, parent);
  if (node != nullptr && node->is_map()) {
    for (const auto& [key, child] : node->entries()) {
      const std::string full = config::join_full_key(parent, key);
      keep(out, mark + full + (child.is_map() ? "." : "="), word);
    }
  }
  for (const auto& group : composed.repository->all_groups()) keep(out, mark + group + "=", word);
}

}  // namespace

int run_completion(const Words& words, const Globals&) {
  const std::string shell = words.empty() ? "" : words[0];
  if (shell == "bash")
    print(kBash);
  else if (shell == "zsh")
    print(kZsh);
  else if (shell == "fish")
    print(kFish);
  else if (shell == "--help" || shell == "-h")
    print("fathom completion bash|zsh|fish: print a completion script\n\n  source <(fathom completion bash)\n");
  else
    throw Error(Code::kUsage, "completion needs a shell").seen(shell).expected("bash, zsh or fish");
  return 0;
}

int run_complete(const Words& words, const Globals&) {
  std::vector<std::string> out;
  const std::string word = words.empty() ? "" : words.back();
  if (words.size() <= 1) {
    for (const auto& command : commands()) keep(out, command.name, word);
    keep(out, "--help", word);
  } else {
    const std::string& command = words[0];
    const std::string& previous = words[words.size() - 2];
    const Words before(words.begin() + 1, words.end() - 1);
    const bool composes = command == "train" || command == "validate" || command == "test" || command == "config";
    if (command == "config" && words.size() == 2) {
      for (const char* name : {"show", "explain"}) keep(out, name, word);
    } else if (command == "plugins" && words.size() == 2) {
      for (const char* name : {"list", "info", "validate", "new"}) keep(out, name, word);
    } else if (command == "plugins" && previous == "info") {
      for (auto& name : plugins::registry().names(0xFFFFFFFFu)) keep(out, name, word);
    } else if (command == "completion") {
      for (const char* name : {"bash", "zsh", "fish"}) keep(out, name, word);
    } else if (composes && (previous == "-cn" || previous == "--config-name")) {
      std::string folder = ".";
      for (size_t i = 0; i + 1 < before.size(); ++i) {
        if (before[i] == "-cp" || before[i] == "--config-path") folder = before[i + 1];
      }
      for (auto& name : config_names(folder)) keep(out, name, word);
    } else if (composes && word.starts_with("-")) {
      for (const char* flag :
           {"--config-path", "--config-name", "--config-dir", "--cfg", "--resolve", "--package", "--info", "--multirun",
            "--help", "--json-summary", "--strict-overrides", "--plugin-dir", "--threads", "--color"}) {
        keep(out, flag, word);
      }
    } else if (composes) {
      complete_override(before, word, out);
    }
  }
  std::string text;
  for (const auto& candidate : out) text += candidate + "\n";
  print(text);
  return 0;
}

}  // namespace fathom::cli
