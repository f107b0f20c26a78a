#include <algorithm>

#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
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

// The words as flags; those that only the printing of a config takes may stand without --cfg.
config::CommandLine read_line(const Words& words) {
  Words all = words;
  if (!config::parse_unfinished_line(words).cfg) all.insert(all.begin(), {"--cfg", "job"});
  return config::parse_command_line(all);
}

int show(Words words) {
  const bool provenance = take(words, "--provenance"), strict = take(words, "--strict-overrides");
  if (provenance) {
    const config::CommandLine line = read_line(words);
    print_provenance(compose_job(compose_request(line, strict)), line);
    return 0;
  }
  const config::CommandLine asked = config::parse_unfinished_line(words);
  if (!asked.cfg && !asked.info) words.insert(words.begin(), {"--cfg", "job"});
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

// Options by their names, else keys that are there: the first part of `key` that is not there is mistyped.
std::vector<std::string> nearest_keys(const config::Node& job, const std::string& key, const std::string& rest,
                                      const std::vector<std::string>& options) {
  std::vector<std::string> names = nearest_names(rest, options);
  const config::Node* section = &job;
  std::string above;
  for (const std::string& part : split(key, '.')) {
    if (!section->is_map()) break;
    if (const config::Node* child = section->find(part)) {
      section = child;
      above += part + ".";
      continue;
    }
    for (const std::string& near : config::nearest_keys(*section, part)) {
      if (std::find(names.begin(), names.end(), near) == names.end()) names.push_back(above + near);
    }
    break;
  }
  return names;
}

int explain(Words words) {
  const bool strict = take(words, "--strict-overrides");
  config::CommandLine line = read_line(words);
  const auto found = std::find_if(line.overrides.begin(), line.overrides.end(), [](const std::string& word) {
    return word.find('=') == std::string::npos && !word.starts_with("~");
  });
  if (found == line.overrides.end())
    throw Error(Code::kUsage, "config explain needs a key").next("fathom config explain model.optim.lr -cn NAME");
  const std::string key = *found;
  line.overrides.erase(found);
  const auto composed = compose_job(compose_request(line, strict));
  // Hydra's own section is beside the job's, as ${hydra:…} sees it.
  const config::Node tree = key == "hydra" || key.starts_with("hydra.") ? composed.all() : composed.job;
  const config::Node* node = config::find_path(tree, key);
  const Declared declared = find_declared(tree, key);
  const Json* option = nullptr;
  std::vector<std::string> known;
  for (const auto& entry : declared.options) {
    known.push_back(entry["name"]);
    if (entry["name"] == declared.rest) option = &entry;
  }
  if (node == nullptr && option == nullptr) {
    throw Error(Code::kFailed, "there is no such key")
        .at(key)
        .candidates(nearest_keys(tree, key, declared.rest, known))
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
    if (node->is_interpolation())
      print_line("  resolved   " + config::python_str(config::get(tree, key, config::job_resolvers(composed))));
    print_line("  set by     " + (origin.empty() ? "the program" : origin));
  } else {
    print_line("  value      not set here: the default holds");
  }
  return 0;
}

// The first word that is no flag and no flag's value: flags may stand before it.
Words::const_iterator find_verb(const Words& words) {
  const std::vector<config::FlagShape> flags = config::command_line_flags();
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (!word->starts_with("-")) return word;
    const bool takes_next = std::any_of(flags.begin(), flags.end(), [&](const config::FlagShape& flag) {
      return flag.takes_value && (*word == flag.name || *word == flag.short_name);
    });
    if (takes_next && word + 1 != words.end()) ++word;
  }
  return words.end();
}

}  // namespace

int run_config(const Words& words, const Globals&) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print(kHelp);
    return words.empty() ? FATHOM_USAGE : 0;
  }
  const auto verb = find_verb(words);
  Words rest(words.begin(), verb);
  if (verb != words.end()) rest.insert(rest.end(), verb + 1, words.end());
  for (const auto& word : rest) {
    if (word == "--help" || word == "-h") {
      print(kHelp);
      return 0;
    }
  }
  const std::string name = verb == words.end() ? "" : *verb;
  if (name == "show") return show(rest);
  if (name == "explain") return explain(rest);
  throw Error(Code::kUsage, "unknown subcommand of config").seen(name).expected("show or explain");
}

}  // namespace fathom::cli
