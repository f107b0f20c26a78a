#include <algorithm>

#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "core/planning/exp_manager.h"
#include "core/planning/trainer_options.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "host/config_info.h"
#include "host/output.h"
#include "host/run_config.h"

namespace fathom::cli {
namespace {

constexpr const char* kHelp =
    "fathom config show [flags] [overrides…] [--resolve] [--provenance]: print the composed config as YAML\n"
    "fathom config explain KEY [flags] [overrides…]: type, default, meaning and origin of one key\n\n"
    "Flags and overrides are those of `fathom train`; --provenance adds the file and line of each value.\n";

bool take(Words& words, const std::string& flag) {
  for (auto it = words.begin(); it != words.end(); ++it) {
    if (*it == flag) {
      words.erase(it);
      return true;
    }
  }
  return false;
}

int show(Words words) {
  const bool provenance = take(words, "--provenance"), strict = take(words, "--strict-overrides");
  if (provenance) {
    const bool resolve = take(words, "--resolve");
    print_provenance(compose_job(compose_request(config::parse_command_line(words), strict)), resolve);
    return 0;
  }
  const bool asks_otherwise = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--info" || word.starts_with("--info=") || word == "--cfg" || word == "-c" ||
           word.starts_with("--cfg=");
  });
  if (!asks_otherwise) words.insert(words.begin(), {"--cfg", "job"});
  run_and_print(hydra_application(strict), words);
  return 0;
}

// The declared options of the section that `key` lies in, and the rest of the key below that section.
struct Declared {
  Json options;  // list of {name, type, default, unit, doc, options?}
  std::string component, rest;
};

Declared find_declared(const config::Node& job, const std::string& key) {
  if (key.starts_with("trainer.")) return {options_schema<TrainerOptions>()["options"], "trainer", key.substr(8)};
  if (key.starts_with("exp_manager."))
    return {options_schema<ExpManagerOptions>()["options"], "exp_manager", key.substr(12)};
  auto& registry = plugins::registry();
  for (size_t dot = key.rfind('.'); dot != std::string::npos;
       dot = dot == 0 ? std::string::npos : key.rfind('.', dot - 1)) {
    const std::string section = key.substr(0, dot);
    const config::Node* node = config::find_path(job, section);
    if (node == nullptr || !node->is_map()) continue;
    for (const char* name_key : {"_target_", "name", "target", "cls"}) {
      const config::Node* name = node->find(name_key);
      if (name == nullptr || !name->is_string()) continue;
      const auto& text = std::get<std::string>(name->value());
      constexpr uint32_t kAll = 0xFFFFFFFFu;
      if (!registry.contains(kAll, text)) continue;
      const auto found = registry.find(kAll, text);
      const Json schema = found.component->schema;
      return {schema.contains("options") ? schema["options"] : Json::array(), found.component->name,
              key.substr(dot + 1)};
    }
  }
  return {};
}

int explain(Words words) {
  const bool strict = take(words, "--strict-overrides");
  std::string key;
  for (auto it = words.begin(); it != words.end(); ++it) {
    if (!it->starts_with("-") && it->find('=') == std::string::npos &&
        (it == words.begin() || !(it - 1)->starts_with("-"))) {
      key = *it;
      words.erase(it);
      break;
    }
  }
  if (key.empty())
    throw Error(Code::kUsage, "config explain needs a key").next("fathom config explain model.optim.lr -cn NAME");
  const auto composed = compose_job(compose_request(config::parse_command_line(words), strict));
  const config::Node* node = config::find_path(composed.job, key);
  const Declared declared = find_declared(composed.job, key);
  const Json* option = nullptr;
  std::vector<std::string> known;
  for (const auto& entry : declared.options) {
    known.push_back(entry["name"]);
    if (entry["name"] == declared.rest) option = &entry;
  }
  if (node == nullptr && option == nullptr) {
    throw Error(Code::kFailed, "there is no such key")
        .at(key)
        .candidates(nearest_names(declared.rest, known))
        .next("fathom config show prints all keys");
  }
  print_line(key);
  if (option != nullptr) {
    print_line("  option of  " + declared.component);
    print_line("  type       " + (*option)["type"].get<std::string>());
    print_line("  default    " +
               (option->contains("default") ? json_text((*option)["default"]) : "none: must be given"));
    if (option->contains("unit")) print_line("  unit       " + (*option)["unit"].get<std::string>());
    print_line("  meaning    " + (*option)["doc"].get<std::string>());
  }
  if (node != nullptr) {
    const std::string origin = node->origin().text();
    print_line("  value      " +
               (node->is_scalar() ? config::python_str(*node) : "a section:\n" + config::to_yaml(*node)));
    if (node->is_interpolation()) print_line("  resolved   " + config::python_str(config::get(composed.job, key)));
    print_line("  set by     " + (origin.empty() ? "the program" : origin));
  } else {
    print_line("  value      not set here: the default holds");
  }
  return 0;
}

}  // namespace

int run_config(const Words& words, const Globals&) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print(kHelp);
    return words.empty() ? FATHOM_USAGE : 0;
  }
  const Words rest(words.begin() + 1, words.end());
  for (const auto& word : rest) {
    if (word == "--help" || word == "-h") {
      print(kHelp);
      return 0;
    }
  }
  if (words[0] == "show") return show(rest);
  if (words[0] == "explain") return explain(rest);
  throw Error(Code::kUsage, "unknown subcommand of config").seen(words[0]).expected("show or explain");
}

}  // namespace fathom::cli
