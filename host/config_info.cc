#include "host/config_info.h"

#include "core/config/access.h"
#include "core/config/printer.h"
#include "core/plugins/registry.h"
#include "host/output.h"

namespace fathom::cli {
namespace {

void add_leaves(const config::Node& node, const std::string& key, std::string& out) {
  if (node.is_map() && node.size() > 0) {
    for (const auto& [name, child] : node.entries()) add_leaves(child, config::join_full_key(key, name), out);
    return;
  }
  if (node.is_list() && node.size() > 0) {
    for (size_t i = 0; i < node.size(); ++i) add_leaves(node.items()[i], config::join_full_key(key, i), out);
    return;
  }
  const std::string value = node.is_map() ? "{}" : node.is_list() ? "[]" : config::python_str(node);
  const std::string origin = node.origin().text();
  out += key + " = " + value + "  # " + (origin.empty() ? "set by the program" : origin) + "\n";
}

}  // namespace

void print_config(const config::Composed& composed, const config::CommandLine& line) {
  const std::string part = line.cfg.value_or("job");
  const auto which = part == "all"     ? config::ConfigPart::kAll
                     : part == "hydra" ? config::ConfigPart::kHydra
                                       : config::ConfigPart::kJob;
  print(config::show_config(composed, which, line.package, line.resolve));
}

void print_provenance(const config::Composed& composed, bool resolve) {
  config::Node job = composed.job;
  if (resolve) config::resolve(job);
  std::string out;
  add_leaves(job, "", out);
  print(out);
}

void print_config_info(const config::Composed& composed, const std::string& topic) {
  const bool all = topic == "all";
  if (all || topic == "searchpath") print_line(composed.repository->describe().substr(1));
  if (all || topic == "defaults") {
    for (const auto& entry : composed.defaults.defaults) {
      print_line(entry.config_path + (entry.package.empty() ? "" : " @ " + entry.package) +
                 (entry.parent ? "  from " + *entry.parent : ""));
    }
  }
  if (all || topic == "defaults-tree") {
    for (const auto& line : composed.defaults.tree)
      print_line(std::string(static_cast<size_t>(line.depth) * 2, ' ') + line.text);
  }
  if (all || topic == "config") print(config::to_yaml(composed.job));
  if (all || topic == "plugins") {
    for (const auto& plugin : plugins::registry().plugins()) {
      print_line(plugin.info.name + " " + plugin.info.version + "  " + plugin.file +
                 (plugin.refusal.empty() ? "" : "  refused: " + plugin.refusal));
    }
  }
}

}  // namespace fathom::cli
