#include "host/config_check.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "core/archive/nemo_archive.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"
#include "core/planning/component_plan.h"
#include "core/planning/data_section.h"
#include "core/planning/schedule_plan.h"
#include "core/plugins/kind.h"
#include "core/plugins/option_check.h"
#include "core/plugins/registry.h"

namespace fathom::cli {
namespace {

constexpr uint32_t kAnyModule = 1u << FATHOM_KIND_MODULE | 1u << FATHOM_KIND_LOSS | 1u << FATHOM_KIND_METRIC |
                                1u << FATHOM_KIND_DATASET | 1u << FATHOM_KIND_TOKENIZER;

// The key with the place where it, or else the section it would be in, was written.
std::string place_of(const config::Node& job, const std::string& key) {
  const auto written = [&](const std::string& path) {
    const config::Node* node = config::find_path(job, path);
    return node != nullptr ? node->origin().text() : std::string();
  };
  if (const std::string origin = written(key); !origin.empty()) return key + " (" + origin + ")";
  const size_t dot = key.rfind('.');
  const std::string origin = dot == std::string::npos ? "" : written(key.substr(0, dot));
  return origin.empty() ? key : key + " (in " + origin + ")";
}

class Checker {
 public:
  Checker(const config::Node& job, const config::Node& resolved, const config::ResolverRegistry& resolvers,
          bool needs_values)
      : job_(job), resolved_(resolved), resolvers_(resolvers), needs_values_(needs_values) {}

  void component(uint32_t kinds, const Json& given, const std::string& key,
                 plugins::Gaps gaps = plugins::Gaps::kRefused) {
    for (auto& error : plugins::registry().validate_section(kinds, given, key, locate(), gaps)) add(std::move(error));
  }
  // Those that a run would make, and those whose section is there for nothing.
  void components(uint32_t kinds, const std::vector<PlannedComponent>& planned) {
    for (const auto& one : planned) {
      const config::Node* given = config::find_path(resolved_, one.path);
      if (one.used || (given != nullptr && given->is_map())) component(kinds, one.section, one.path);
    }
  }
  // A section that the program reads itself: `schema` declares its options, `read` knows what else to refuse. What it
  // read, or nothing where there is no such section or something is wrong with it. `prepare`: the section as it is
  // taken.
  template <typename Read>
  auto own_section(const std::string& key, const Json& schema, Read&& read,
                   Json (*prepare)(Json) = nullptr) -> std::optional<decltype(read(Json(), key))> {
    const config::Node* node = config::find_path(resolved_, key);
    if (node == nullptr || node->is_null() || node->is_missing()) return std::nullopt;
    Json section(config::to_json(*node));
    if (prepare != nullptr) section = prepare(std::move(section));
    if (!section.is_object()) {
      add(Error(Code::kFailed, "is no section of options").at(key).seen(json_text(section)));
      return std::nullopt;
    }
    const std::vector<Error> problems = plugins::check_options(key, schema, section, key, locate());
    for (const Error& problem : problems) add(problem);
    if (!problems.empty()) return std::nullopt;
    try {
      return read(section, key);
    } catch (const Error& error) {
      add(error);
      return std::nullopt;
    }
  }
  void no_contradictions(const TrainerOptions& trainer, const ExpManagerOptions* manager) {
    try {
      check_contradictions(trainer, manager);
    } catch (const Error& error) {
      add(error);
    }
  }
  bool has_section(const std::string& key) const {
    const config::Node* node = config::find_path(resolved_, key);
    return node != nullptr && node->is_map() && !node->entries().empty();
  }
  // Sections with a `_target_` below the model: preprocessor, encoder, decoder, loss, …
  void children(const config::Node& node, const std::string& key) {
    if (!node.is_map()) return;
    for (const auto& [name, child] : node.entries()) {
      const std::string path = config::join_full_key(key, name);
      if (!child.is_map()) continue;
      Json given(config::to_json(child));
      if (key == "model" && name.text().ends_with("_ds")) {
        data_section(given, path);
        continue;
      }
      if (child.find("_target_") == nullptr || path == "model.optim") {
        children(child, path);
        continue;
      }
      // A part that only other sections take over (${model.pitch_processor}) is checked by who makes those.
      if (key == "model" && is_referred_to(job_, std::string(name.text())) && !model_reads(std::string(name.text())))
        continue;
      if (key == "model.adapters") given.erase("enabled");              // read by the module that takes the adapter
      component(kAnyModule, given, path, plugins::Gaps::kFilledLater);  // by the model, when it makes its modules
    }
  }
  // Whether the model's class has such an option; also where the class is not known.
  bool model_reads(const std::string& key) const {
    const config::Node* model = config::find_path(resolved_, "model");
    std::vector<std::string> known = host_keys_of_model();
    const std::string target = model_class(Json(config::to_json(*model)), known);
    if (target.empty() || !plugins::registry().contains(1u << FATHOM_KIND_MODEL, target)) return true;
    const auto found = plugins::registry().find(1u << FATHOM_KIND_MODEL, target);
    if (!found.component->schema.value("refuses_unreferenced", false)) return true;
    for (const auto& option : found.component->schema["options"]) {
      if (option["name"] == key) return true;
    }
    return std::find(known.begin(), known.end(), key) != known.end();
  }
  // train_ds and its like, where they name a dataset's class: its keys and the loader's, told apart.
  void data_section(const Json& given, const std::string& path) {
    try {
      const DataSection data = read_data_section(given, path);
      if (data.names_dataset) component(1u << FATHOM_KIND_DATASET, data.dataset, data.dataset_path);
    } catch (Error& error) {
      add(std::move(error));
    }
  }
  // Keys of the model's section that neither its class nor the host reads and that no interpolation refers to.
  void model_keys() {
    const config::Node* model = config::find_path(resolved_, "model");
    if (model == nullptr || !model->is_map()) return;
    const Json section(config::to_json(*model));
    std::vector<std::string> known = host_keys_of_model();
    const std::string target = model_class(section, known);
    if (target.empty() || !plugins::registry().contains(1u << FATHOM_KIND_MODEL, target)) return;
    const auto found = plugins::registry().find(1u << FATHOM_KIND_MODEL, target);
    if (!found.component->schema.value("refuses_unreferenced", false)) return;
    for (const auto& option : found.component->schema["options"]) known.push_back(option["name"]);
    for (const auto& [key, value] : section.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end() || is_referred_to(job_, key)) continue;
      std::vector<std::string> nearest = nearest_names(key, known);
      // NeMo's files keep values there that YAML anchors refer to, which nobody sees any more once the file is read.
      const config::Node* given = config::find_path(job_, "model." + key);
      const bool typed = given != nullptr && given->origin().text().starts_with("command line");
      if (nearest.empty() && !typed) {
        log_warning("config", "{}: nothing reads this key of {}", place("model." + key), found.component->name);
        continue;
      }
      add(Error(Code::kFailed, "unknown key '" + key + "' of " + found.component->name)
              .at(place("model." + key))
              .seen(json_text(value).substr(0, 80))
              .expected("a key that the model reads, or one that another value refers to")
              .candidates(nearest)
              .next("remove it, or correct its name"));
    }
  }
  // The class that the section names, or that of the file to fine-tune, whose keys join the `known` ones.
  std::string model_class(const Json& section, std::vector<std::string>& known) const {
    for (const char* key : {"_target_", "target"}) {
      if (section.contains(key) && section[key].is_string()) return section[key].get<std::string>();
    }
    const config::Node* file = config::find_path(resolved_, "init_from_nemo_model");
    if (file == nullptr || !file->is_string()) return "";
    try {
      const auto path = std::get<std::string>(file->value());
      const auto archive = checkpoint::NemoArchive::open(path);
      const Json config(config::to_json(config::load_yaml_text(archive.config_text(), path)));
      const Json target = config.is_object() ? config.value("target", Json()) : Json();
      if (!target.is_string()) return "";
      for (const auto& [key, value] : config.items()) known.push_back(key);
      return target.get<std::string>();
    } catch (const Error&) {  // whoever restores it says what is wrong with the file
      return "";
    }
  }
  // Whether an interpolation anywhere names `key`: ${model.key}, ${.key}, ${..key.more}, or by a resolver.
  static bool is_referred_to(const config::Node& node, const std::string& key) {
    if (node.is_map()) {
      for (const auto& [name, child] : node.entries()) {
        if (is_referred_to(child, key)) return true;
      }
    } else if (node.is_list()) {
      for (const auto& child : node.items()) {
        if (is_referred_to(child, key)) return true;
      }
    } else if (node.is_interpolation()) {
      const std::string text = config::python_str(node);
      const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
      for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
        const size_t end = at + key.size();
        if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) return true;
      }
    }
    return false;
  }
  // Every mandatory value that is missing and every interpolation that cannot be followed, not only the first. False
  // when the config cannot be resolved.
  bool values(const config::Node& node, std::vector<config::Key>& path) {
    bool sound = true;
    const auto inside = [&](config::Key key, const config::Node& child) {
      path.push_back(std::move(key));
      sound = values(child, path) && sound;
      path.pop_back();
    };
    if (node.is_map()) {
      for (const auto& [key, child] : node.entries()) inside(key, child);
    } else if (node.is_list()) {
      for (size_t i = 0; i < node.size(); ++i)
        inside(config::Key(config::Scalar(static_cast<int64_t>(i))), node.items()[i]);
    } else if (node.is_missing()) {
      std::string key;
      for (const auto& part : path) key = config::join_full_key(key, part);
      if (!needs_values_) return sound;
      add(Error(Code::kFailed, "a mandatory value is missing")
              .at(place(key))
              .seen("???")
              .next("add " + key + "=VALUE to the command line"));
    } else if (node.is_interpolation()) {
      try {
        config::get_resolved(job_, path, resolvers_);
      } catch (const config::ConfigError& error) {
        if (error.kind() == "InterpolationToMissingValueError") {  // told where it is missing
          std::string key;
          for (const auto& part : path) key = config::join_full_key(key, part);
          told_.insert(place(key));
          return true;
        }
        add(error);
        return false;
      }
    }
    return sound;
  }
  // Once for a place: a value that is missing is of no type either.
  void add(Error error) {
    error = located(job_, std::move(error));
    if (error.where().empty() || told_.insert(error.where()).second) problems_.push_back(std::move(error));
  }
  std::vector<Error> take() { return std::move(problems_); }

 private:
  plugins::Locate locate() const {
    return [this](const std::string& key) { return place(key); };
  }
  std::string place(const std::string& key) const { return place_of(job_, key); }
  const config::Node& job_;
  const config::Node& resolved_;
  const config::ResolverRegistry& resolvers_;
  const bool needs_values_;
  std::vector<Error> problems_;
  std::set<std::string> told_;
};

}  // namespace

Error located(const config::Node& job, Error error) {
  const std::string key = error.where();
  const bool is_key = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '[' || c == ']';
  });
  const std::string section = key.substr(0, key.find_first_of(".["));
  if (!is_key || section.empty() || job.find(section) == nullptr) return error;
  return std::move(error).at(place_of(job, key));
}

std::vector<Error> find_problems(const config::Node& job, const config::ResolverRegistry& resolvers, ConfigUse use) {
  config::Node resolved = job;
  Checker checker(job, resolved, resolvers, use == ConfigUse::kTraining);
  std::vector<config::Key> path;
  if (!checker.values(job, path)) return checker.take();
  config::resolve(resolved, resolvers);
  const auto trainer = checker.own_section("trainer", options_schema<TrainerOptions>(), check_trainer_options);
  const auto manager = checker.own_section("exp_manager", options_schema<ExpManagerOptions>(), read_exp_manager_options,
                                           exp_manager_section);
  if (use == ConfigUse::kEvaluation) return checker.take();
  checker.no_contradictions(trainer.value_or(TrainerOptions()), manager ? &*manager : nullptr);
  const ComponentPlan plan = plan_components(trainer.value_or(TrainerOptions()), manager ? &*manager : nullptr,
                                             checker.has_section("model.validation_ds"));
  checker.components(1u << FATHOM_KIND_LOGGER, plan.loggers);
  checker.components(1u << FATHOM_KIND_CALLBACK, plan.callbacks);
  const auto optimizer = checker.own_section("model.optim", {{"extra", true}}, training::plan_optimizer);
  if (optimizer) {
    checker.component(1u << FATHOM_KIND_OPTIMIZER, optimizer->section(), "model.optim");
    const auto schedule =
        checker.own_section("model.optim.sched", {{"extra", true}}, [](const Json& section, const std::string& path) {
          return training::plan_lr_scheduler(section, std::nullopt, path);
        });
    if (schedule && !schedule->section.is_null())
      checker.component(1u << FATHOM_KIND_SCHEDULER, schedule->section, "model.optim.sched");
  }
  if (const config::Node* model = config::find_path(resolved, "model")) checker.children(*model, "model");
  checker.model_keys();
  return checker.take();
}

}  // namespace fathom::cli
