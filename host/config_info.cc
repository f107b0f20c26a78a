#include "host/config_info.h"

#include "core/config/access.h"
#include "core/config/printer.h"
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

void print_provenance(const config::Composed& composed, const config::CommandLine& line) {
  config::Node root = config::config_part(composed, config::part_named(line.cfg.value_or("job")));
  if (line.resolve) config::resolve(root, config::job_resolvers(composed));
  const std::string package = line.package.value_or("_global_");
  const config::Node* shown = package == "_global_" ? &root : config::find_path(root, package);
  if (shown == nullptr) config::throw_package_not_found(root, package);
  std::string out;
  add_leaves(*shown, shown == &root ? "" : package, out);
  print(out);
}

}  // namespace fathom::cli
