#include "core/training/model_wiring.h"

#include <ATen/core/grad_mode.h>

#include <map>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/plugins/registry.h"
#include "core/training/freezing.h"
#include "core/training/parameters.h"

namespace fathom::training {
namespace {

constexpr const char* kBatch = "batch";

std::string component_text(const ModuleHandle& module) {
  const auto found = plugins::registry().find(1u << module.kind(), module.name());
  return module.name() + " of plugin '" + found.plugin + "'";
}

std::string shape_text(const Value& value) {
  if (value.is_tensor() && value.tensor().defined()) {
    std::vector<std::string> sizes;
    for (const int64_t size : value.tensor().sizes()) sizes.push_back(std::to_string(size));
    return "[" + join(sizes, ", ") + "]";
  }
  return value.is_list() ? "list of " + std::to_string(value.list().size()) : value.kind_name();
}

// What flows when every module's example is sent along the wiring: "MODULE.PORT" -> shape.
std::map<std::string, std::string> example_shapes(const ModelHandle& model, const typing::Wiring& wiring) {
  const at::NoGradGuard no_grad;
  std::map<std::string, Value> flowing;
  std::map<std::string, std::string> shapes;
  const auto children = model.modules();
  for (const size_t index : typing::flow_order(wiring)) {
    const typing::WiredModule& module = wiring.modules[index];
    if (module.name.empty()) continue;
    const ModuleHandle* handle = nullptr;
    for (const auto& [name, child] : children) {
      if (name == module.name) handle = &child;
    }
    if (handle == nullptr) continue;
    const Values example = handle->input_example();
    Values inputs;
    bool complete = true;
    for (const auto& port : module.inputs) {
      const std::string key = module.name + "." + port.name;
      const Value* value = example.find(port.name);
      for (const auto& edge : wiring.edges) {
        if (const auto found = flowing.find(edge.from); edge.to == key && found != flowing.end())
          value = &found->second;
      }
      if (value == nullptr) {
        complete = complete && port.optional;
        continue;
      }
      shapes[key] = shape_text(*value);
      inputs.add(port.name, *value);
    }
    if (!complete || inputs.empty()) continue;
    try {
      for (auto& [name, value] : (*handle)(inputs)) {
        shapes[module.name + "." + name] = shape_text(value);
        flowing[module.name + "." + name] = value;
      }
    } catch (const Error& error) {
      log_warning("inspect", "the example of '{}' did not pass: {}", module.name, error.what());
    }
  }
  return shapes;
}

Json ports_json(const std::vector<typing::WiredPort>& ports, const std::string& module,
                const std::map<std::string, std::string>& shapes, const typing::Wiring* sources) {
  Json out = Json::array();
  for (const auto& port : ports) {
    const std::string key = module + "." + port.name;
    Json entry = {{"name", port.name},
                  {"type", port.type == typing::kNoType ? Json() : Json(typing::type_of(port.type).text())},
                  {"optional", port.optional}};
    if (port.list_depth > 0) entry["list_depth"] = port.list_depth;
    if (const auto shape = shapes.find(key); shape != shapes.end()) entry["shape"] = shape->second;
    if (sources != nullptr) {
      entry["from"] = Json::array();
      for (const auto& edge : sources->edges) {
        if (edge.to == key) entry["from"].push_back(edge.from);
      }
    }
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace

typing::Wiring model_wiring(const ModelHandle& model, const DatasetHandle* dataset) {
  typing::Wiring wiring;
  const auto own = model.ports();
  if (!own.inputs.empty() || !own.outputs.empty())
    wiring.modules.push_back({"", "", typing::wired_ports(own.inputs), typing::wired_ports(own.outputs)});
  for (const auto& [name, child] : model.modules()) {
    const auto ports = child.ports();
    wiring.modules.push_back(
        {name, component_text(child), typing::wired_ports(ports.inputs), typing::wired_ports(ports.outputs)});
  }
  typing::WiredModule batch{kBatch, "", {}, {}, true};
  if (dataset != nullptr) {
    const auto ports = dataset->ports();
    batch = {kBatch, "of " + dataset->name(), {}, typing::wired_ports(ports), ports.empty()};
  }
  wiring.modules.push_back(std::move(batch));
  for (const auto& edge : model.wiring())
    wiring.edges.push_back({edge.at("from").get<std::string>(), edge.at("to").get<std::string>()});
  return wiring;
}

void check_model_wiring(const ModelHandle& model, const DatasetHandle* dataset, const std::string& where) {
  std::vector<Error> errors = typing::check_wiring(model_wiring(model, dataset));
  if (errors.empty()) return;
  if (errors.size() == 1) throw errors[0];
  std::string text =
      "the modules of " + model.name() + " do not fit together: " + std::to_string(errors.size()) + " errors";
  for (const Error& error : errors) text += std::string("\n") + error.what();
  throw Error(Code::kFailed, text).at(where);
}

Json model_graph(const ModelHandle& model) {
  const typing::Wiring wiring = model_wiring(model);
  const auto shapes = example_shapes(model, wiring);
  Json modules = Json::array();
  const auto children = model.modules();
  for (const auto& module : wiring.modules) {
    if (module.open) continue;
    Json entry = {{"name", module.name}};
    for (const auto& [name, child] : children) {
      if (name != module.name) continue;
      const auto torch_module = child.torch_module();
      entry["component"] = child.name();
      entry["plugin"] = plugins::registry().find(1u << child.kind(), child.name()).plugin;
      entry["params"] = count_parameters(*torch_module);
      entry["trainable"] = num_weights(*torch_module);
    }
    entry["inputs"] = ports_json(module.inputs, module.name, shapes, &wiring);
    entry["outputs"] = ports_json(module.outputs, module.name, shapes, nullptr);
    modules.push_back(std::move(entry));
  }
  return {{"model", model.name()}, {"modules", std::move(modules)}, {"edges", model.wiring()}};
}

std::string graph_text(const ModelHandle& model, const Json& graph) {
  std::vector<std::pair<std::string, std::string>> notes;
  for (const auto& module : graph.at("modules")) {
    const std::string name = module.at("name");
    if (module.contains("params")) {
      const int64_t params = module["params"], trainable = module["trainable"];
      std::string text = std::to_string(params) + " parameters";
      if (trainable != params) text += ", " + std::to_string(trainable) + " trainable";
      notes.emplace_back(name, text);
    }
    for (const char* side : {"inputs", "outputs"}) {
      for (const auto& port : module.at(side)) {
        if (port.contains("shape"))
          notes.emplace_back(name + "." + port["name"].get<std::string>(), port["shape"].get<std::string>());
      }
    }
  }
  return typing::wiring_text(model_wiring(model), notes);
}

}  // namespace fathom::training
