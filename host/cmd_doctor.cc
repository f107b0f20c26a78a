#include <fstream>
#include <thread>

#include "core/plugins/registry.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"

namespace fathom::cli {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

int run_doctor(const Words& words, const Globals&) {
  bool json = false;
  CLI::App app(
      "Versions, CPU, threads, plugin folders and plugins, one line each. Exit status 1 when something is wrong.",
      "fathom doctor");
  app.add_flag("--json", json, "one JSON document");
  if (parse_arguments(app, words)) return 0;
  Json checks = Json::array();
  bool good = true;
  const auto add = [&](const std::string& what, const std::string& value, bool ok = true) {
    checks.push_back({{"what", what}, {"value", value}, {"status", ok ? "ok" : "fail"}});
    good = good && ok;
  };
  add("fathom", version_text());
  add("CPU", cpu_model());
  add("cores", std::to_string(std::thread::hardware_concurrency()));
  try {
    for (const auto& [what, value] : engine().describe()) add(what, value);
  } catch (const Error& error) {
    add("engine", error.what(), false);
  }
  auto& registry = plugins::registry();
  if (registry.search_path().folders.empty() && registry.search_path().refused.empty())
    add("plugin folder", "none found: reinstall, or name one with --plugin-dir or FATHOM_PLUGIN_PATH", false);
  for (const auto& folder : registry.search_path().folders)
    add("plugin folder", folder.path + " (" + folder.origin + ")");
  for (const auto& folder : registry.search_path().refused)
    add("plugin folder", folder.path + ": " + folder.reason, false);
  const auto found = registry.plugins();
  if (found.empty() && !registry.search_path().folders.empty())
    add("plugins", "none in these folders: there is nothing to train or transcribe with", false);
  for (const auto& plugin : found) {
    const std::string name = plugin.info.name.empty() ? plugin.file : plugin.info.name + " " + plugin.info.version;
    add("plugin", plugin.refusal.empty() ? name : plugin.refusal, plugin.refusal.empty());
  }
  if (json) {
    print_json({{"status", good ? "ok" : "fail"}, {"checks", checks}});
  } else {
    for (const auto& check : checks) {
      const std::string status = check["status"], what = check["what"], value = check["value"];
      print_line((status == "ok" ? "ok    " : "FAIL  ") + what +
                 std::string(what.size() < 16 ? 16 - what.size() : 1, ' ') + value);
    }
  }
  return good ? 0 : FATHOM_FAILED;
}

}  // namespace fathom::cli
