#include "core/planning/eval_loaders.h"

#include <filesystem>

#include "core/base/log.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "fathom/utf8.h"

namespace fathom::training {
namespace {

namespace fs = std::filesystem;
using config::ConfigError;

// Python's str() of a value of a config.
std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : config::python_str(config::from_json(value));
}

bool is_path(const Json& value) {
  std::error_code ignored;  // what cannot be looked up is no path
  return fs::exists(text_of(value), ignored);
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

// The key whose value lists the datasets: `ds_item`, what that names, or the first key whose value is an existing path
// or a list of existing paths.
Json find_data_key(const Json& section) {
  if (section.contains("ds_item") && !section["ds_item"].is_null()) {
    const Json& item = section["ds_item"];
    return item.is_string() && section.contains(item.get<std::string>()) ? section[item.get<std::string>()] : "ds_item";
  }
  for (const auto& [key, value] : section.items()) {
    if (!value.is_array()) {
      if (is_path(value)) return key;
      continue;
    }
    bool all = true;
    for (const Json& element : value) all = all && is_path(element);
    if (all) return key;
  }
  return nullptr;
}

// A string counts as the list of its characters, as it does in Python.
std::vector<Json> given_names(const Json& section) {
  std::vector<Json> names;
  if (!section.contains("name")) return names;
  const Json& given = section["name"];
  if (given.is_array() || given.is_object()) {
    for (const auto& [key, value] : given.items()) names.push_back(given.is_array() ? value : Json(key));
  } else if (given.is_string()) {
    const std::string text = given.get<std::string>();
    for (size_t at = 0; at < text.size();) {
      const size_t length = utf8::step(text, at);
      names.push_back(text.substr(at, length));
      at += length;
    }
  } else {
    throw ConfigError("TypeError", "`name` has no length").with_seen(text_of(given)).with_expected("a list of names");
  }
  return names;
}

void warn_of_duplicates(const std::vector<std::string>& names) {
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
    log_warning("trainer", "several datasets are called the same, so their metrics overwrite each other; set `name`");
  }
}

void plan_several(const Json& section, const std::string& key, const Json& values, EvalLoaderPlan& plan) {
  plan.several = true;
  Json current = section;
  for (const Json& value : values) {
    if (value.is_object())
      current = value;
    else
      current[key] = value;
    plan.sections.push_back(current);
  }
  if (!values.empty() && values[0].is_object()) {
    for (const Json& value : values) {
      if (!value.is_object() || !value.contains("name")) {
        throw ConfigError("ConfigAttributeError", "Missing key name")
            .with_seen(json_text(value))
            .with_next("give each dataset a `name`");
      }
      plan.names.push_back(text_of(value["name"]));
    }
    return;
  }
  const std::vector<Json> names = given_names(current);
  if (!names.empty() && names.size() != values.size()) {
    throw ConfigError("ValueError", "Number of names (" + std::to_string(names.size()) +
                                        ") does not match number of datasets (" + std::to_string(values.size()) +
                                        "). Got " + text_of(current["name"]) + " and " + text_of(values));
  }
  std::vector<std::string> prefixes;
  for (const Json& name : names.empty() ? values.get<std::vector<Json>>() : names)
    prefixes.push_back(dataset_prefix(name));
  plan.names = std::move(prefixes);
}

}  // namespace

std::string dataset_prefix(const Json& value) {
  std::string name = text_of(value);
  if (value.is_string() && is_path(value)) name = fs::path(name).filename().stem().string();
  replace_all(name, "-", "_");
  replace_all(name, "manifest", "");
  replace_all(name, "dataset", "");
  if (name.empty()) {
    throw ConfigError("ValueError", "Provided dataset / manifest filename was `manifest.json` or `dataset.json`.")
        .with_seen(text_of(value))
        .with_expected("a name that tells the dataset from others")
        .with_next("rename the file, or set `name` in its section");
  }
  if (name.back() != '_') name += '_';
  return name;
}

std::string EvalLoaderPlan::prefix(EvalKind kind, size_t loader) const {
  if (!names.empty()) return loader < names.size() ? names[loader] : std::string();
  return (kind == EvalKind::kTest ? "test_" : "val_") + std::to_string(loader) + "_";
}

void plan_eval_loaders(const Json& given, EvalKind kind, EvalLoaderPlan& plan) {
  Json section = given;
  const char* index_key = kind == EvalKind::kTest ? "test_dl_idx" : "val_dl_idx";
  if (section.contains(index_key)) {
    if (!section[index_key].is_number_integer()) {
      throw ConfigError("TypeError", std::string(index_key) + " is no integer")
          .with_seen(json_text(section[index_key]));
    }
    plan.dl_idx = section[index_key].get<int64_t>();
    section.erase(index_key);
  }
  plan.data_key = find_data_key(section);
  // Only for validation does a negative index switch the mapping off.
  if (plan.data_key.is_null() || (plan.dl_idx < 0 && kind == EvalKind::kValidation)) {
    plan.sections = {section};
    return;
  }
  if (!plan.data_key.is_string()) {
    throw ConfigError("KeyValidationError", "Incompatible key type")
        .with_seen(json_text(plan.data_key))
        .with_expected("ds_item is the name of a key whose value names another key");
  }
  const std::string key = plan.data_key.get<std::string>();
  if (!section.contains(key)) throw ConfigError("ConfigKeyError", "Missing key " + key).with_seen("ds_item");
  const Json values = section[key];
  if (values.is_array()) {
    plan_several(section, key, values, plan);
  } else {
    plan.sections = {section};
    const bool named = section.contains("name") && !section["name"].is_null();
    if (named && !section["name"].is_string()) {
      throw ConfigError("ValueError", "`name` must be a string for single manifest, got " + text_of(section["name"]));
    }
    plan.names = {dataset_prefix(named ? section["name"] : values)};
  }
  warn_of_duplicates(plan.names);
}

std::vector<std::string> eval_metric_names(const std::string& prefix, std::string_view name, bool is_main_loader,
                                           const std::set<std::string>& logged) {
  std::vector<std::string> names = {prefix + std::string(name)};
  if (is_main_loader && logged.count(std::string(name)) == 0 && !prefix.empty()) names.emplace_back(name);
  return names;
}

}  // namespace fathom::training
