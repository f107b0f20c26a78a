// Suites of golden/config about overrides, composition and sweeps.
#include "tests/conformance/config_compose_suites.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>
#include <sstream>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/interpolation.h"
#include "core/config/printer.h"
#include "core/hydra/application.h"
#include "core/hydra/composer.h"
#include "core/hydra/job_output.h"
#include "core/hydra/override_parser.h"
#include "core/hydra/sweep.h"
#include "tests/conformance/typed_json.h"

namespace fathom::conformance {
namespace {

using config::Composed;
using config::ComposeRequest;
using config::Node;
using config::Override;
using config::OverrideType;
using config::ValueType;
using nlohmann::json;

std::string replace_all(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// An error was thrown: was one expected, with these words in it?
Outcome judge_error(const json& expect, const std::string& message, const std::string& folder = {}) {
  if (!expect.contains("error")) {
    if (has_bigint(expect)) return pass();  // refused with a clear error instead of wrapped
    return fail("expected a result, got error: " + message);
  }
  const json& error = expect["error"];
  if (error.value("reference_bug", false)) return pass();
  const json parts = error.value("contains", json::array());
  for (const json& part : parts) {
    const std::string wanted = replace_all(part.get<std::string>(), "<DIR>", folder);
    if (message.find(wanted) == std::string::npos) {
      return fail("expected an error with '" + wanted + "', got: " + message);
    }
  }
  return pass();
}

// A result came out: true when the case wanted an error (and `outcome` says so).
bool unexpected_result(const json& expect, const std::string& got, Outcome* outcome) {
  if (!expect.contains("error")) return false;
  *outcome = expect["error"].value("reference_bug", false)
                 ? pass()
                 : fail("expected an error (" + expect["error"].value("reference_message", "") + "), got " + got);
  return true;
}

std::string type_text(OverrideType type) {
  constexpr const char* kNames[] = {"change", "add", "force_add", "del"};
  return kNames[static_cast<int>(type)];
}

json value_type_text(ValueType type) {
  switch (type) {
    case ValueType::kNone: return nullptr;
    case ValueType::kElement: return "element";
    case ValueType::kChoiceSweep: return "choice_sweep";
    case ValueType::kGlobChoiceSweep: return "glob_choice_sweep";
    case ValueType::kSimpleChoiceSweep: return "simple_choice_sweep";
    case ValueType::kRangeSweep: return "range_sweep";
    case ValueType::kIntervalSweep: return "interval_sweep";
  }
  return nullptr;
}

std::string kind_text(const Override& override) {
  if (override.value_type == ValueType::kNone) return "none";
  if (override.value.is<std::string>()) {
    const std::string& text = override.value.as<std::string>();
    if (text == "???") return "missing";
    if (text.find("${") == std::string::npos) return "str";
    try {
      config::check_interpolation(text);
      return "interpolation";
    } catch (const config::ConfigError&) {
      return "bad_interpolation";
    }
  }
  constexpr const char* kNames[] = {"null",           "bool",      "int", "float",        "str",
                                    "quoted",         "list",      "map", "choice_sweep", "range_sweep",
                                    "interval_sweep", "glob_sweep"};
  return kNames[override.value.value.index()];
}

Outcome run_override_parse(const Case& c) {
  const std::string word = c.body["inputs"]["word"];
  const json& expect = c.body["expect"];
  try {
    const Override parsed = config::parse_override(word);
    json got = {{"type", type_text(parsed.type)},
                {"key", parsed.key},
                {"package", parsed.package ? json(*parsed.package) : json()},
                {"value_type", value_type_text(parsed.value_type)},
                {"kind", kind_text(parsed)},
                {"value", typed_json(parsed.value)}};
    if (!parsed.is_sweep()) got["value_text"] = config::value_text(parsed.value);
    Outcome outcome;
    if (unexpected_result(expect, json_text(got), &outcome)) return outcome;
    json wanted = expect["value"];
    if (wanted.contains("value_text") && wanted["value_text"].is_null()) wanted.erase("value_text");
    if (wanted["value"].is_array() || wanted["value"].is_object()) {
      // shuffled lists have no order to compare
      if (word.find("shuffle([") != std::string::npos && got["value"].is_array()) {
        std::vector<json> a = wanted["value"], b = got["value"];
        std::sort(a.begin(), a.end());
        std::sort(b.begin(), b.end());
        wanted["value"] = a;
        got["value"] = b;
        wanted.erase("value_text");
        got.erase("value_text");
      }
    }
    return got == wanted ? pass() : fail(difference(wanted, got));
  } catch (const Error& error) {
    return judge_error(expect, error.what());
  }
}

config::ResolverRegistry make_resolvers() {
  config::ResolverRegistry registry = config::ResolverRegistry::with_builtins();
  auto echo = [](const std::vector<Node>& args, const config::ResolverContext&) {
    if (args.size() != 1) throw config::ConfigError("TypeError", "echo takes one argument");
    return args[0];
  };
  registry.add("echo", echo);
  registry.add("ns.echo", echo);
  registry.add("args", [](const std::vector<Node>& args, const config::ResolverContext&) {
    constexpr const char* kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "enum"};
    Node list = Node::list();
    for (const Node& arg : args) {
      const std::string type = arg.is_list() ? "list" : arg.is_map() ? "dict" : kNames[arg.value().index()];
      list.append(Node::scalar(type + ":" + config::python_str(arg)));
    }
    return list;
  });
  return registry;
}

const config::ResolverRegistry& test_resolvers() {
  static const config::ResolverRegistry kRegistry = make_resolvers();
  return kRegistry;
}

// Sets environment variables and puts the old ones back.
class Environment {
 public:
  void set(const std::string& name, const std::string& value) {
    const char* old = std::getenv(name.c_str());
    old_[name] = old == nullptr ? std::nullopt : std::optional<std::string>(old);
    setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : old_) {
      if (value) {
        setenv(name.c_str(), value->c_str(), 1);
      } else {
        unsetenv(name.c_str());
      }
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> old_;
};

Outcome run_override_apply(const Case& c) {
  const json& inputs = c.body["inputs"];
  const json& expect = c.body["expect"];
  TemporaryFolder folder;
  folder.write("config.yaml", inputs["config"].get<std::string>());
  ComposeRequest request;
  request.config_path = folder.path();
  request.config_name = "config";
  request.overrides = inputs["overrides"];
  request.strict_overrides = true;
  request.resolvers = &test_resolvers();
  try {
    const Composed composed = config::compose(request);
    const json value = typed_json(composed.job);
    const std::string yaml = show_config(composed, config::ConfigPart::kJob, std::nullopt, false);
    Outcome outcome;
    if (unexpected_result(expect, yaml, &outcome)) return outcome;
    if (value != expect["value"]) return fail(difference(expect["value"], value));
    return expect["yaml"] == yaml ? pass() : fail(difference(expect["yaml"], yaml));
  } catch (const Error& error) {
    return judge_error(expect, error.what());
  }
}

ComposeRequest make_request(const json& inputs, const TemporaryFolder& folder) {
  ComposeRequest request;
  request.config_path = folder.path() + (inputs.contains("config_path") && inputs["config_path"].is_string()
                                             ? "/" + inputs["config_path"].get<std::string>()
                                             : "");
  if (inputs.contains("config_dir") && inputs["config_dir"].is_string()) {
    request.config_dir = folder.path() + "/" + inputs["config_dir"].get<std::string>();
  }
  if (inputs.contains("config_name") && inputs["config_name"].is_string()) request.config_name = inputs["config_name"];
  const json words = inputs.value("overrides", json::array());
  for (const json& word : words) {
    request.overrides.push_back(replace_all(word, "<DIR>", folder.path()));
  }
  if (inputs.contains("version_base")) {
    request.version_base = inputs["version_base"].is_string() ? inputs["version_base"].get<std::string>() : "1.3";
  }
  request.strict_overrides = true;
  request.resolvers = &test_resolvers();
  return request;
}

Outcome compose_and_compare(const json& inputs, const json& expect, const TemporaryFolder& folder) {
  Environment environment;
  const json variables = inputs.value("env", json::object());
  for (const auto& [name, value] : variables.items()) {
    environment.set(name, replace_all(value, "<DIR>", folder.path()));
  }
  try {
    const Composed composed = config::compose(make_request(inputs, folder));
    std::optional<std::string> package;
    if (inputs.contains("package") && inputs["package"].is_string()) package = inputs["package"];
    const std::string text =
        show_config(composed, config::ConfigPart::kJob, package, inputs.value("resolve", false), test_resolvers());
    Outcome outcome;
    if (unexpected_result(expect, text, &outcome)) return outcome;
    const std::string wanted = replace_all(expect["text"], "<DIR>", folder.path());
    return text == wanted ? pass() : fail(difference(wanted, text));
  } catch (const Error& error) {
    return judge_error(expect, error.what(), folder.path());
  }
}

Outcome run_compose(const Case& c) {
  const json& inputs = c.body["inputs"];
  TemporaryFolder folder;
  for (const auto& [path, text] : inputs["files"].items()) folder.write(path, text.get<std::string>());
  return compose_and_compare(inputs, c.body["expect"], folder);
}

Outcome run_nemo_yaml(const Case& c) {
  const json& inputs = c.body["inputs"];
  TemporaryFolder folder;
  for (const auto& [path, source] : inputs["files"].items()) {
    folder.write(path, read_file(c.folder + "/nemo/" + source.get<std::string>()));
  }
  return compose_and_compare(inputs, c.body["expect"], folder);
}

Outcome run_sweep(const Case& c) {
  const json& inputs = c.body["inputs"];
  const json& expect = c.body["expect"];
  TemporaryFolder folder;
  const json files = inputs.value("files", json::object());
  for (const auto& [path, text] : files.items()) folder.write(path, text.get<std::string>());
  try {
    config::ConfigRepository repository(config::VersionBase::parse("1.3"));
    repository.add("main", folder.path());
    const auto jobs = config::sweep_jobs(config::parse_overrides(inputs["overrides"]), &repository);
    json got = jobs;
    if (inputs.contains("max_batch_size")) {
      got = config::split_batches(jobs, inputs["max_batch_size"].get<int64_t>());
    }
    Outcome outcome;
    if (unexpected_result(expect, json_text(got), &outcome)) return outcome;
    return got == expect["value"] ? pass() : fail(difference(expect["value"], got));
  } catch (const Error& error) {
    return judge_error(expect, error.what());
  }
}

// One word per `what` that must occur in `text`, ignoring case.
std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// <DATE> and <TIME> in a recorded path stand for any date and time.
bool file_was_created(const std::string& folder, const std::string& pattern) {
  std::string expression;
  for (char c : pattern) {
    if (std::string_view(".+()[]{}^$|\\*?").find(c) != std::string_view::npos) expression += '\\';
    expression += c;
  }
  expression = replace_all(expression, "<DATE>", R"(\d{4}-\d\d-\d\d)");
  expression = replace_all(expression, "<TIME>", R"(\d\d-\d\d-\d\d)");
  const std::regex wanted(expression);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && std::regex_match(name, wanted)) return true;
  }
  return false;
}

// The task of the recorded program.
bool golden_task(const config::JobContext& context) {
  auto setting = [&](const char* key) {
    const Node* node = context.config.find(key);
    return node == nullptr || node->is_null() ? std::string() : config::python_str(*node);
  };
  if (const std::string text = setting("fail"); !text.empty()) throw Error(Code::kFailed, "task failed: " + text);
  const std::string key = setting("read");
  if (key.empty()) {
    context.out << config::to_yaml(context.config);
  } else {
    context.out << config::python_str(config::get(context.config, key, context.resolvers)) << "\n";
  }
  return true;
}

Outcome compare_streams(const json& expect, int exit, const std::string& out, const std::string& err) {
  if (exit != expect["exit"]) {
    return fail("expected exit " + json_text(expect["exit"]) + ", got " + std::to_string(exit) + ": " + err);
  }
  if (out.empty() != expect["stdout_empty"].get<bool>()) {
    return fail(out.empty() ? "expected output, got none" : "expected no output, got: " + out);
  }
  if (expect.contains("stdout") && expect["stdout"] != out) return fail(difference(expect["stdout"], out));
  for (const json& part : expect["stdout_contains"]) {
    if (out.find(part.get<std::string>()) == std::string::npos) {
      return fail("expected " + json_text(part) + " in the output: " + out.substr(0, 600));
    }
  }
  for (const json& part : expect["stderr_contains"]) {
    if (lower(err).find(lower(part)) == std::string::npos) {
      return fail("expected " + json_text(part) + " on stderr: " + err.substr(0, 600));
    }
  }
  if (exit != 0 && !expect["stderr_empty"].get<bool>() && err.empty()) return fail("expected an error text, got none");
  return pass();
}

Outcome run_cli(const Case& c) {
  const json& inputs = c.body["inputs"];
  const json& expect = c.body["expect"];
  TemporaryFolder folder;
  for (const auto& [path, text] : inputs["files"].items()) folder.write(path, text.get<std::string>());
  const config::WorkingFolder working_folder(folder.path());
  Environment environment;
  environment.set("HOME", folder.path());

  const json& app = inputs["app"];
  config::Application application;
  application.base_folder = folder.path();
  application.config_path = app["config_path"].get<std::string>();
  application.config_name = app["config_name"].get<std::string>();
  application.nemo_runner = app["mode"] == "nemo";
  application.strict = true;
  if (app["version_base"].is_string()) application.version_base = app["version_base"];
  application.task = golden_task;

  std::ostringstream out, err;
  int exit = 0;
  try {
    try {
      config::run_application(application, inputs["argv"], out, err);
    } catch (const config::SweepError& failed) {
      std::rethrow_exception(failed.first());
    }
  } catch (const Error& error) {
    err << "error: " << error.what() << "\n";
    exit = static_cast<int>(error.code());
  }
  const Outcome streams = compare_streams(expect, exit, out.str(), err.str());
  if (!streams.passed) return streams;
  for (const json& file : expect["files_created"]) {
    if (!file_was_created(folder.path(), file)) return fail("expected the file " + json_text(file));
  }
  const json contents = expect.value("file_contents", json::object());
  for (const auto& [file, text] : contents.items()) {
    const std::string got = read_file(folder.path() + "/" + file);
    if (text != got) return fail(file + ": " + difference(text, got));
  }
  return pass();
}

}  // namespace

void add_config_compose_suites(std::vector<Suite>& suites) {
  suites.push_back({"config/override_parse", run_override_parse});
  suites.push_back({"config/override_apply", run_override_apply});
  suites.push_back({"config/compose", run_compose});
  suites.push_back({"config/nemo_yaml", run_nemo_yaml});
  suites.push_back({"config/sweep", run_sweep});
  suites.push_back({"config/cli", run_cli});
}

}  // namespace fathom::conformance
