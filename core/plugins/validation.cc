#include "core/plugins/validation.h"

#include <chrono>
#include <filesystem>

#include "core/base/text.h"
#include "core/plugins/child_process.h"
#include "core/plugins/elf_section.h"
#include "core/plugins/kind.h"
#include "core/plugins/loader.h"
#include "core/plugins/option_check.h"
#include "core/plugins/registry.h"

namespace fathom::plugins {
namespace {

constexpr unsigned kSecondsPerComponent = 60;
constexpr int kTimesMade = 20;

std::string one_line(const Error& error) {
  std::string text = error.message();
  for (const auto& [label, part] :
       {std::pair{"at", error.where()}, {"seen", error.seen()}, {"expected", error.expected()}}) {
    if (!part.empty()) text += std::string("; ") + label + " " + part;
  }
  return text;
}

// What comparison of description and registration looks at: ports may have been added at build time.
Json comparable(const PluginInfo& info) {
  Json json = to_json(info);
  for (auto& component : json["provides"]) {
    component["schema"].erase("inputs");
    component["schema"].erase("outputs");
  }
  return json;
}

std::string first_difference(const Json& described, const Json& registered) {
  for (const auto& [key, value] : described.items()) {
    if (key == "provides" || (registered.contains(key) && registered[key] == value)) continue;
    return key + " is described as " + json_text(value) + " but registered as " +
           (registered.contains(key) ? json_text(registered[key]) : "nothing");
  }
  const auto missing_in = [](const Json& from, const Json& in) -> std::string {
    for (const auto& component : from["provides"]) {
      bool found = false, same = false;
      for (const auto& other : in["provides"]) {
        if (other["kind"] != component["kind"] || other["name"] != component["name"]) continue;
        found = true;
        same = other == component;
      }
      const std::string name = component["kind"].get<std::string>() + " " + component["name"].get<std::string>();
      if (!found) return name + " is missing";
      if (!same) return name + " has other aliases, options or text";
    }
    return {};
  };
  if (const auto text = missing_in(described, registered); !text.empty()) return "in the registration " + text;
  if (const auto text = missing_in(registered, described); !text.empty()) return "in the description " + text;
  return {};
}

bool all_defaults(const Json& schema) {
  for (const auto& option : schema.value("options", Json::array())) {
    if (option.value("required", false)) return false;
  }
  return true;
}

fathom_status make(const fathom_component& component, const Json& options, void** self) {
  const std::string text = json_text(options);
  const fathom_create_args args = {
      sizeof(fathom_create_args), to_abi(text), to_abi("validate"), to_abi("{}"), component.name, {}};
  return component.create(&args, self);
}

ValidationCheck check_options_of(const fathom_component& component, const Json& schema) {
  const std::string name = to_string(component.name);
  for (const auto& option : schema.value("options", Json::array())) {
    if (!option.contains("default")) continue;
    const Json only = {{"options", Json::array({option})}};
    if (option["default"] == "???") continue;
    const auto problems = check_options(name, only, {{option["name"].get<std::string>(), option["default"]}}, "");
    if (!problems.empty())
      return {"options " + name, false, "a default has not its option's type: " + one_line(problems.front())};
  }
  if (schema.value("extra", false)) return {"options " + name, true, "accepts further keys"};
  const auto result = run_in_child(
      [&]() -> std::string {
        void* self = nullptr;
        return make(component, {{"no_such_option_of_anybody", 1}}, &self) == FATHOM_OK ? "taken" : "refused";
      },
      kSecondsPerComponent);
  if (!result.finished) return {"options " + name, false, "an unknown option: " + result.text};
  if (result.text == "taken")
    return {"options " + name, false, "an unknown option was ignored; parse options with parse_options()"};
  return {"options " + name, true, std::to_string(schema.value("options", Json::array()).size()) + " declared"};
}

ValidationCheck check_create(const fathom_component& component) {
  const std::string name = to_string(component.name);
  const auto result = run_in_child(
      [&]() -> std::string {
        for (int i = 0; i < kTimesMade; ++i) {
          void* self = nullptr;
          const fathom_status status = make(component, Json::object(), &self);
          if (status == FATHOM_OK && self == nullptr) return "!made nothing and gave no error";
          if (status != FATHOM_OK) {
            const fathom_error* error = host().last_error();
            if (error == nullptr || error->code != status) return "!failed without describing the error";
            const std::string text = to_string(error->what);
            return status == FATHOM_INTERNAL ? "!" + text : "needs options or a running program: " + text;
          }
          component.destroy(self);
        }
        return "made and destroyed " + std::to_string(kTimesMade) + " times";
      },
      kSecondsPerComponent);
  const bool failed = !result.finished || result.text.starts_with("!");
  return {"create " + name, !failed, result.text.starts_with("!") ? result.text.substr(1) : result.text};
}

}  // namespace

bool ValidationReport::ok() const {
  for (const auto& check : checks) {
    if (!check.ok) return false;
  }
  return true;
}

ValidationReport validate_plugin(const std::string& given) {
  std::error_code failed;
  const auto canonical = std::filesystem::canonical(given, failed);
  ValidationReport report{failed ? given : canonical.string(), {}};
  const std::string& file = report.file;
  const auto add = [&](std::string name, bool ok, std::string detail) {
    report.checks.push_back({std::move(name), ok, std::move(detail)});
    return ok;
  };

  const auto start = std::chrono::steady_clock::now();
  const Inspected inspected = inspect_plugin(file);
  const auto taken =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  if (inspected.info.name.empty()) {
    add("description", false,
        inspected.refusal ? inspected.refusal->reason + "; " + inspected.refusal->todo : "it has no name");
    return report;
  }
  add("description", taken < 100,
      inspected.info.name + " " + inspected.info.version + ", read in " + std::to_string(taken) + " ms");
  if (inspected.refusal) {
    add("versions", false, inspected.refusal->reason + "; " + inspected.refusal->todo);
    return report;
  }
  add("versions", true, "torch_use " + std::string(torch_use_name(inspected.info.torch_use)));

  try {
    std::vector<std::string> extra;
    for (auto& symbol : exported_symbols(file)) {
      if (symbol != FATHOM_PLUGIN_ENTRY_NAME) extra.push_back(std::move(symbol));
    }
    const size_t count = extra.size();
    if (count > 5) extra.resize(5);
    add("exported symbols", count == 0,
        count == 0 ? FATHOM_PLUGIN_ENTRY_NAME " only"
                   : std::to_string(count) + " besides the entry (" + join(extra, ", ") +
                         "); link with the SDK's version script (plugin.map)");
  } catch (const Error& error) {
    add("exported symbols", false, one_line(error));
  }

  auto result = load_plugin(file, inspected.info);
  if (const auto* refusal = std::get_if<Refusal>(&result)) {
    add("load", false, refusal->reason + "; " + refusal->todo);
    return report;
  }
  const auto& loaded = std::get<LoadedPlugin>(result);
  add("load", true, std::to_string(loaded.components.size()) + " components registered");
  const std::string difference = first_difference(comparable(inspected.info), comparable(loaded.registered));
  add("registration", difference.empty(),
      difference.empty() ? "as described" : difference + "; build the plugin again");

  std::vector<std::string> shared;
  for (const auto& other : registry().plugins()) {
    if (other.file == file || !other.refusal.empty()) continue;
    for (const auto& mine : inspected.info.provides) {
      for (const auto& theirs : other.info.provides) {
        if (theirs.kind == mine.kind && theirs.name == mine.name)
          shared.push_back("'" + mine.name + "' is also in " + other.file);
      }
    }
  }
  add("names", shared.empty(), shared.empty() ? "no other plugin gives them" : join(shared, "; "));

  const bool quiet =
      loaded.entry->query == nullptr || loaded.entry->query(to_abi("org.nobody.extension/99")) == nullptr;
  add("unknown extension", quiet, quiet ? "answers null" : "query() answered for an id that does not exist");

  for (const auto* component : loaded.components) {
    const Json schema = parse_text(to_view(component->schema));
    report.checks.push_back(check_options_of(*component, schema));
    if (all_defaults(schema)) report.checks.push_back(check_create(*component));
  }
  return report;
}

Json validation_json(const ValidationReport& report) {
  Json checks = Json::array();
  for (const auto& check : report.checks)
    checks.push_back({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  return {{"file", report.file}, {"ok", report.ok()}, {"checks", std::move(checks)}};
}

std::string validation_text(const ValidationReport& report) {
  std::string out;
  size_t bad = 0;
  for (const auto& check : report.checks) {
    out += (check.ok ? "ok    " : "FAIL  ") + check.name + ": " + check.detail + "\n";
    bad += check.ok ? 0 : 1;
  }
  out += report.file + ": " + std::to_string(report.checks.size() - bad) + " checks passed, " + std::to_string(bad) +
         " failed\n";
  return out;
}

}  // namespace fathom::plugins
