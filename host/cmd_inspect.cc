#include <fmt/format.h>

#include "core/archive/inspect.h"
#include "core/model_files/pretrained.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"

namespace fathom::cli {

int run_inspect(const Words& words, const Globals&) {
  std::string file;
  bool json = false, tensors = false, config = false, artifacts = false, graph = false;
  CLI::App app(
      "What is inside a .nemo, .ckpt or .safetensors file; needs neither its plugin nor libtorch, but for --graph.",
      "fathom inspect");
  app.add_option("file", file, "the file, or the name of a pretrained model (fathom models)")->required();
  app.add_flag("--json", json, "everything as one JSON document");
  app.add_flag("--tensors", tensors, "list the tensors");
  app.add_flag("--config", config, "print the config");
  app.add_flag("--artifacts", artifacts, "list the artifacts");
  app.add_flag("--graph", graph,
               "a .nemo's modules, how they are wired, types, shapes and parameters (needs the plugin)");
  if (parse_arguments(app, words)) return 0;
  file = model_files::model_file(file);
  if (graph) {
    const auto [document, text] = engine().model_graph(file);
    if (json)
      print_json(document);
    else
      print(text);
    return 0;
  }
  const auto found = checkpoint::inspect_file(file);
  if (json) {
    print_json(checkpoint::to_json(found));
    return 0;
  }
  if (config) {
    print(!found.config_text.empty() ? found.config_text : json_text(found.config, 2) + "\n");
    return 0;
  }
  const Json document = checkpoint::to_json(found);
  if (tensors) {
    for (const auto& tensor : document["tensors"]) {
      print_line(fmt::format("{:<8} {:<16} {}", tensor["dtype"].get<std::string>(), json_text(tensor["shape"]),
                             tensor["name"].get<std::string>()));
    }
    return 0;
  }
  if (artifacts) {
    for (const auto& artifact : found.artifacts)
      print_line(fmt::format("{:>12}  {}  {}", artifact.bytes, artifact.member, artifact.key));
    return 0;
  }
  print_line("file         " + file);
  print_line("format       " + found.format);
  if (!found.target.empty()) print_line("target       " + found.target);
  if (!found.nemo_version.empty()) print_line("nemo version " + found.nemo_version);
  if (!found.lightning_version.empty()) print_line("lightning    " + found.lightning_version);
  if (found.epoch) print_line("epoch        " + std::to_string(*found.epoch));
  if (found.global_step) print_line("global step  " + std::to_string(*found.global_step));
  if (found.file_bytes > 0) print_line("bytes        " + std::to_string(found.file_bytes));
  print_line(fmt::format("tensors      {} ({} bytes)", found.tensors.size(), found.tensor_bytes));
  print_line("parameters   " + std::to_string(found.parameters));
  print_line("artifacts    " + std::to_string(found.artifacts.size()));
  for (const auto& model : found.models) print_line(fmt::format("model        {}: {}", model.key, model.target));
  for (const auto& [key, value] : found.metadata)
    print_line(fmt::format("metadata     {}: {}", key, json_text(Json(value))));
  return 0;
}

}  // namespace fathom::cli
