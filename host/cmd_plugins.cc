#include "core/base/file.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "core/planning/schedule_curve.h"
#include "core/plugins/listing.h"
#include "core/plugins/reference.h"
#include "core/plugins/scaffold.h"
#include "core/plugins/validation.h"
#include "host/arguments.h"
#include "host/output.h"

namespace fathom::cli {
namespace {

// key=value words, typed as YAML types them.
Json options_of(const Words& parameters) {
  Json options = Json::object();
  for (const std::string& word : parameters) {
    const size_t equal = word.find('=');
    if (equal == 0 || equal == std::string::npos)
      throw Error(Code::kUsage, "is no parameter").seen(word).expected("key=value");
    const std::string key = word.substr(0, equal);
    const config::Node tree = config::load_yaml_text(key + ": " + word.substr(equal + 1), "parameter " + key);
    const Json read = config::to_json(tree);
    for (const auto& [name, value] : read.items()) options[name] = value;
  }
  return options;
}

void draw_schedule(const std::string& name, const Words& parameters, bool plot, const std::string& svg) {
  const auto curve = training::schedule_curve(name, options_of(parameters));
  if (plot) print(training::plot_text(curve));
  if (!svg.empty()) write_file_atomically(svg, training::plot_svg(curve));
}

}  // namespace

int run_plugins(const Words& words, const Globals&) {
  bool json = false, markdown = false, plot = false;
  std::string name, file, folder, svg;
  Words parameters;
  CLI::App app("List, describe, check and begin plugins.", "fathom plugins");
  app.require_subcommand(0, 1);
  const auto json_flag = [&](CLI::App* command) { command->add_flag("--json", json, "one JSON document"); };
  auto* list = app.add_subcommand("list", "all plugins found, usable or refused; loads none of them");
  json_flag(list);
  auto* info =
      app.add_subcommand("info", "one component: options with type, default and meaning, ports, aliases, plugin");
  info->add_option("name", name, "name or alias of a component")->required();
  json_flag(info);
  info->add_flag("--plot", plot, "a scheduler's learning rates, drawn in the terminal");
  info->add_option("--svg", svg, "the same as an image: the file to write");
  info->add_option("parameters", parameters,
                   "with --plot or --svg: the scheduler's options, lr, max_steps and steps, as key=value");
  info->add_flag("--markdown", markdown, "the reference page of a plugin, as in docs/reference");
  auto* validate = app.add_subcommand("validate", "check that a plugin keeps the rules of the boundary");
  validate->add_option("file", file, "the .so")->required();
  json_flag(validate);
  auto* begin = app.add_subcommand("new", "copy a plugin project to start from");
  begin->add_option("folder", folder, "new folder; its name becomes the plugin's")->required();
  if (parse_arguments(app, words)) return 0;

  auto& registry = plugins::registry();
  if (*list) {
    if (json)
      print_json(plugins::plugins_json(registry.plugins()));
    else
      print(plugins::plugins_text(registry.plugins(), registry.search_path()));
  } else if (*info && (plot || !svg.empty())) {
    draw_schedule(name, parameters, plot, svg);
  } else if (*info && !parameters.empty()) {
    throw Error(Code::kUsage, "parameters are for --plot and --svg").seen(parameters.front());
  } else if (*info && markdown) {
    print(plugins::reference_page(registry, name));
  } else if (*info) {
    const Json found = plugins::info_json(registry, name);
    if (json)
      print_json(found);
    else
      print(plugins::info_text(found));
  } else if (*validate) {
    const auto report = plugins::validate_plugin(file);
    if (json)
      print_json(plugins::validation_json(report));
    else
      print(plugins::validation_text(report));
    return report.ok() ? 0 : FATHOM_UNAVAILABLE;
  } else if (*begin) {
    for (const auto& written : plugins::new_plugin_project(plugins::template_folder(), folder)) print_line(written);
  } else {
    print(app.help());
    return FATHOM_USAGE;
  }
  return 0;
}

}  // namespace fathom::cli
