#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/hydra/search_path.h"
#include "core/hydra/shell_completion.h"
#include "core/model_files/pretrained.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "core/runs/metric_table.h"
#include "core/runs/run_table.h"
#include "host/output.h"
#include "host/run_config.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

void keep(std::vector<std::string>& out, std::string candidate, const std::string& prefix) {
  if (candidate.starts_with(prefix)) out.push_back(std::move(candidate));
}

// Folders that `typed` may be the start of.
std::vector<std::string> folders(const std::string& typed) {
  const std::string parent = typed.substr(0, typed.rfind('/') + 1);
  const char* home = std::getenv("HOME");
  fs::path place = parent.empty() ? "." : parent;
  if (parent.starts_with("~/") && home != nullptr) place = home + parent.substr(1);
  std::vector<std::string> found;
  std::error_code error;  // there is nothing to offer in what cannot be read
  for (fs::directory_iterator entry(place, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    const std::string name = entry->path().filename();
    const bool hidden = name[0] == '.' && !typed.substr(parent.size()).starts_with(".");
    if (!hidden && entry->is_directory(ignored)) found.push_back(parent + name + "/");
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Columns of the metrics.csv of the runs that a line names.
std::vector<std::string> metrics_below(const Words& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    std::error_code error;  // a word that is no folder names no runs
    if (!fs::is_directory(word, error)) continue;
    for (const auto& run : runs::find_runs(word, {}, [](const Error&) {})) {
      try {
        for (auto& name : runs::read_metrics(run.folder + "/metrics.csv").names()) names.push_back(std::move(name));
      } catch (const Error&) {
        // What cannot be read offers nothing.
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Names for --config-name, in the folder of what is typed.
std::vector<std::string> config_names(const config::CommandLine& line, const std::string& typed) {
  const config::ComposeRequest request = compose_request(line, false);
  config::ConfigRepository repository(config::VersionBase::parse(request.version_base));
  repository.add("main", *request.config_path);
  if (request.config_dir) repository.add("command-line", *request.config_dir);
  const std::string group = typed.substr(0, typed.rfind('/') + 1);
  std::vector<std::string> names;
  for (const auto& name : repository.group_options(group)) names.push_back(group + name);
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

// Flags of the config commands beside Hydra's.
const std::vector<config::FlagShape>& own_flags() {
  static const std::vector<config::FlagShape> kFlags = {{"--strict-overrides", "", false, {}},
                                                        {"--provenance", "", false, {}},
                                                        {"--profile", "", false, {}},
                                                        {"--json-summary", "", true, {}},
                                                        {"--plugin-dir", "", true, {}},
                                                        {"--threads", "", true, {}},
                                                        {"--color", "", true, {"auto", "always", "never"}}};
  return kFlags;
}

std::vector<config::FlagShape> all_flags() {
  std::vector<config::FlagShape> flags = config::command_line_flags();
  flags.insert(flags.end(), own_flags().begin(), own_flags().end());
  return flags;
}

// The words without the flags that are not Hydra's.
Words hydra_words(const Words& words) {
  Words rest;
  for (size_t i = 0; i < words.size(); ++i) {
    const auto own = std::find_if(own_flags().begin(), own_flags().end(), [&](const config::FlagShape& flag) {
      return words[i] == flag.name || words[i].starts_with(flag.name + "=");
    });
    if (own == own_flags().end())
      rest.push_back(words[i]);
    else if (own->takes_value && words[i] == own->name)
      ++i;
  }
  return rest;
}

// Values of a flag.
std::vector<std::string> flag_values(const config::FlagShape& flag, const config::CommandLine& line,
                                     const std::string& typed) {
  if (!flag.choices.empty()) return flag.choices;
  if (flag.name == "--config-path" || flag.name == "--config-dir" || flag.name == "--plugin-dir") return folders(typed);
  if (flag.name == "--config-name") return config_names(line, typed);
  std::vector<std::string> values;
  if (flag.name == "--package") {
    for (std::string& key : config::complete_word(config::compose_unfinished(hydra_application(false), line), typed)) {
      if (key.back() == '.') key.pop_back();
      if (key.find('=') == std::string::npos) values.push_back(std::move(key));
    }
  }
  return values;  // of files, the shell knows more
}

// Keys, one level below what is typed; values after '='.
void complete_override(const config::CommandLine& line, const std::string& word, bool only_keys,
                       std::vector<std::string>& out) {
  const config::Composed composed = config::compose_unfinished(hydra_application(false), line);
  for (std::string& way : config::complete_word(composed, word)) {
    if (only_keys && way.back() == '=') way.pop_back();
    keep(out, std::move(way), word);
  }
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return;
  const size_t start = std::min(word.find_first_not_of("+"), equals);
  const std::string key = word.substr(start, equals - start);
  if (const uint32_t kinds = kinds_named_by(key); kinds != 0) {
    for (auto& name : plugins::registry().names(kinds, key.ends_with("_target_")))
      keep(out, word.substr(0, equals + 1) + name, word);
  }
}

// The words of a command that composes a config.
void complete_config_command(const Words& before, const std::string& word, bool explains,
                             std::vector<std::string>& out) {
  const config::CommandLine line = config::parse_unfinished_line(hydra_words(before));
  const size_t equals = word.find('=');
  for (const config::FlagShape& flag : all_flags()) {
    if (!flag.takes_value) continue;
    const auto is = [&](const std::string& name) { return name == flag.name || name == flag.short_name; };
    std::string start;  // of the word, before the value
    if (equals != std::string::npos && is(word.substr(0, equals)))
      start = word.substr(0, equals + 1);
    else if (before.empty() || !is(before.back()))
      continue;
    for (const auto& value : flag_values(flag, line, word.substr(start.size()))) keep(out, start + value, word);
    return;
  }
  if (word.starts_with("-")) {
    for (const config::FlagShape& flag : all_flags()) keep(out, flag.name, word);
    return;
  }
  const bool has_key = std::any_of(line.overrides.begin(), line.overrides.end(),
                                   [](const std::string& w) { return w.find('=') == std::string::npos; });
  complete_override(line, word, explains && !has_key, out);
}

// The words of `runs` and `runs plot`: folders, flags, and for --metric the columns of the runs already named.
void complete_runs(const Words& before, const std::string& word, std::vector<std::string>& out) {
  const bool plots = std::find(before.begin(), before.end(), "plot") != before.end();
  const std::string flag = before.empty() ? "" : before.back();
  Words offered;
  if (flag == "--sort") {
    offered = runs::run_order_words();
  } else if (flag == "--x") {
    offered = {"step", "epoch", "time"};
  } else if (flag == "--metric") {
    offered = metrics_below(before);
  } else if (flag == "--smooth" || flag == "--svg") {
    return;
  } else if (word.starts_with("-")) {
    offered = plots ? Words{"--svg", "--metric", "--x", "--log", "--smooth", "--help"}
                    : Words{"--sort", "--reverse", "--all", "--json", "--jsonl", "--help"};
  } else {
    offered = folders(word);
    if (before.empty()) offered.insert(offered.begin(), "plot");
  }
  for (std::string& way : offered) keep(out, std::move(way), word);
}

std::vector<std::string> candidates(Words words) {
  // Flags before the command are those of every command.
  while (words.size() > 1 && words[0].starts_with("-")) {
    const bool takes = words[0] == "--plugin-dir" || words[0] == "--threads" || words[0] == "--color";
    words.erase(words.begin(), words.begin() + (takes && words.size() > 2 ? 2 : 1));
  }
  std::vector<std::string> out;
  const std::string word = words.empty() ? "" : words.back();
  if (words.size() <= 1) {
    for (const auto& command : commands()) keep(out, command.name, word);
    keep(out, "--help", word);
    return out;
  }
  const std::string& command = words[0];
  const std::string& previous = words[words.size() - 2];
  if (command == "config" && words.size() == 2) {
    for (const char* name : {"show", "explain"}) keep(out, name, word);
  } else if (command == "plugins" && words.size() == 2) {
    for (const char* name : {"list", "info", "validate", "new"}) keep(out, name, word);
  } else if (command == "plugins" && previous == "info") {
    for (auto& name : plugins::registry().names(0xFFFFFFFFu)) keep(out, name, word);
  } else if (command == "models" && words.size() == 2) {
    for (const char* name : {"list", "path", "fetch", "push"}) keep(out, name, word);
  } else if (command == "models" && (previous == "fetch" || previous == "path")) {
    for (auto& model : model_files::pretrained_models()) keep(out, std::move(model.name), word);
  } else if (command == "runs") {
    complete_runs({words.begin() + 1, words.end() - 1}, word, out);
  } else if (command == "completion") {
    for (const char* name : {"bash", "zsh", "fish"}) keep(out, name, word);
  } else if (command == "config") {
    complete_config_command({words.begin() + 2, words.end() - 1}, word, words[1] == "explain", out);
  } else if (command == "train" || command == "validate" || command == "test" || command == "predict") {
    complete_config_command({words.begin() + 1, words.end() - 1}, word, false, out);
  }
  return out;
}

}  // namespace

int run_completion(const Words& words, const Globals&) {
  const std::string shell = words.empty() ? "" : words[0];
  if (shell == "--help" || shell == "-h") {
    print("fathom completion bash|zsh|fish: print a completion script\n\n  source <(fathom completion bash)\n");
  } else if (shell == "bash" || shell == "zsh" || shell == "fish") {
    print(config::completion_script(shell, "fathom", kCompletionCall + shell, true));
  } else {
    throw Error(Code::kUsage, "completion needs a shell").seen(shell).expected("bash, zsh or fish");
  }
  return 0;
}

// `__complete WORDS…`, the last of them unfinished; or `__complete --shell=SHELL`, as the scripts ask.
int run_complete(const Words& words, const Globals&) {
  constexpr std::string_view kShell = "--shell=";
  const bool asked_by_shell = words.size() == 1 && words[0].starts_with(kShell);
  const std::string shell = asked_by_shell ? words[0].substr(kShell.size()) : "";
  config::TypedLine line;
  if (asked_by_shell) {
    line = config::typed_line();
    line.words.erase(line.words.begin());
  } else {
    line.words = words;
  }
  for (size_t i = 0; i + 2 < line.words.size(); ++i) {
    if (line.words[i] == "--plugin-dir") plugins::registry().add_plugin_dir(line.words[i + 1]);
  }
  std::string text;
  for (const auto& way : candidates(line.words)) text += config::shell_reply(line, way, shell) + "\n";
  print(text);
  return 0;
}

}  // namespace fathom::cli
