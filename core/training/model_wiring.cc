#include "core/training/model_wiring.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <map>

#include "core/base/text.h"
#include "core/plugins/registry.h"
#include "core/training/freezing.h"
#include "core/training/parameters.h"
#include "core/typing/flow.h"
#include "core/typing/value_source.h"
#include "fathom/abi/manual_optimization.h"

namespace fathom::training {
namespace {

constexpr const char* kBatch = "batch";
constexpr int64_t kItems = 2;  // of a recorded batch: batch normalization cannot train on one

std::string component_text(const ModuleHandle& module) {
  const auto found = plugins::registry().find(1u << module.kind(), module.name());
  return module.name() + " of plugin '" + found.plugin + "'";
}

std::string example_of(const ModelHandle& model) { return "the example of " + model.name(); }

std::string shape_text(const fathom_value& value) {
  if (value.kind == FATHOM_VALUE_LIST) return "list of " + std::to_string(value.as.list.count);
  if (value.kind != FATHOM_VALUE_TENSOR) return Value::from_abi(value).kind_name();
  std::vector<std::string> sizes;
  for (const int64_t size : Value::from_abi(value).tensor().sizes()) sizes.push_back(std::to_string(size));
  return "[" + join(sizes, ", ") + "]";
}

// What running a model in training mode changes beside gradients, put back at the end.
class Untouched {
 public:
  explicit Untouched(torch::nn::Module& module)
      : random_state_(at::globalContext().defaultGenerator(at::kCPU).get_state()) {
    for (const auto& part : module.modules()) modes_.emplace_back(part, part->is_training());
    for (const at::Tensor& buffer : module.buffers()) buffers_.emplace_back(buffer, buffer.clone());
    module.train();
  }
  ~Untouched() {
    for (const auto& [part, training] : modes_)
      part->train(training);  // parents first, so that children have the last word
    for (auto& [buffer, value] : buffers_) buffer.resize_(value.sizes()).copy_(value);
    auto generator = at::globalContext().defaultGenerator(at::kCPU);
    generator.set_state(random_state_);
  }
  Untouched(const Untouched&) = delete;
  Untouched& operator=(const Untouched&) = delete;

 private:
  at::Tensor random_state_;
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
  std::vector<std::pair<at::Tensor, at::Tensor>> buffers_;
};

// From what was recorded to modules and edges.
class Reader {
 public:
  void add(typing::WiredModule module, const std::vector<fathom_port>& inputs,
           const std::vector<fathom_port>& outputs) {
    const size_t index = modules_.size();
    module.inputs = typing::wired_ports(inputs);
    module.outputs = typing::wired_ports(outputs);
    if (!inputs.empty()) by_ports_.emplace(inputs[0].name.ptr, Side{index, true});
    if (!outputs.empty()) by_ports_.emplace(outputs[0].name.ptr, Side{index, false});
    for (const fathom_port& port : outputs) add_source(port.source, module.name, to_string(port.name));
    modules_.push_back(std::move(module));
  }
  void add_source(uint32_t id, const std::string& module, const std::string& port) {
    if (id != 0) sources_.emplace(id, module.empty() ? port : module + "." + port);
  }

  typing::Wiring read(const std::vector<typing::FlowCall>& calls) {
    typing::Wiring wiring;
    for (const typing::FlowCall& call : calls) {
      const auto found = by_ports_.find(call.ports);
      if (found != by_ports_.end()) note(call, found->second, wiring);
    }
    for (size_t i = 0; i < modules_.size(); ++i) place(i);  // those that were never called come last
    for (const size_t i : order_) wiring.modules.push_back(std::move(modules_[i]));
    return wiring;
  }

 private:
  struct Side {
    size_t module;
    bool inputs;
  };
  void place(size_t module) {
    if (std::find(order_.begin(), order_.end(), module) == order_.end()) order_.push_back(module);
  }
  void note(const typing::FlowCall& call, Side side, typing::Wiring& wiring) {
    typing::WiredModule& module = modules_[side.module];
    place(side.module);
    for (const typing::FlowValue& value : call.values) {
      for (typing::WiredPort& port : side.inputs ? module.inputs : module.outputs) {
        if (port.name == value.port) port.shape = value.shape;
      }
      // Values end where they enter a module, and where they leave the model.
      const bool ends = side.inputs != module.name.empty();
      const auto from = sources_.find(value.source);
      if (!ends || from == sources_.end()) continue;
      const typing::WiredEdge edge{from->second, module.name.empty() ? value.port : module.name + "." + value.port};
      const auto same = [&](const typing::WiredEdge& e) { return e.from == edge.from && e.to == edge.to; };
      if (std::none_of(wiring.edges.begin(), wiring.edges.end(), same)) wiring.edges.push_back(edge);
    }
  }

  std::vector<typing::WiredModule> modules_;
  std::vector<size_t> order_;
  std::map<const void*, Side> by_ports_;
  std::map<uint32_t, std::string> sources_;
};

// Runs `flow` and reads what it recorded. `batch`: the ports of the loader whose batch flows, and their sources.
typing::Wiring record(const ModelHandle& model, const std::vector<fathom_port>& batch,
                      const std::function<void()>& flow) {
  Reader reader;
  const auto own = model.ports();
  reader.add({"", "", {}, {}}, own.inputs, own.outputs);
  for (const fathom_port& port : own.inputs)
    reader.add_source(typing::intern_source(example_of(model), to_view(port.name)), "", to_string(port.name));
  if (!batch.empty()) reader.add({kBatch, "", {}, {}}, {}, batch);
  for (const auto& [name, child] : model.modules()) {
    const auto ports = child.ports();
    reader.add({name, component_text(child), {}, {}}, ports.inputs, ports.outputs);
  }
  typing::FlowRecorder recorder(shape_text);
  try {
    const at::NoGradGuard no_grad;
    const Untouched untouched(*model.torch_module());
    flow();
  } catch (const Error&) {
    if (recorder.refused()) throw;
  }
  return reader.read(recorder.calls());
}

// A step that the trainer does not hear of.
fathom_step silent_step() {
  static constexpr std::string_view kDevice = "cpu";
  static const fathom_media_log media = {
      sizeof(fathom_media_log),
      nullptr,
      [](void*, fathom_str, fathom_str) { return fathom_status{FATHOM_OK}; },
      [](void*, fathom_str, const fathom_float_array*) { return fathom_status{FATHOM_OK}; },
      [](void*, fathom_str, const fathom_float_array*, int64_t) { return fathom_status{FATHOM_OK}; },
      [](void*, fathom_str, const fathom_float_array*) { return fathom_status{FATHOM_OK}; }};
  fathom_step step{};
  step.struct_size = sizeof(step);
  step.media = &media;
  step.stage = FATHOM_STAGE_TRAIN;
  step.dataloader_count = 1;
  step.log = [](void*, fathom_str, fathom_tensor, double, uint32_t, double) { return fathom_status{FATHOM_OK}; };
  step.device = to_abi(kDevice);
  return step;
}

Json ports_json(const std::vector<typing::WiredPort>& ports, const std::string& module, const typing::Wiring* sources) {
  Json out = Json::array();
  for (const auto& port : ports) {
    Json entry = {{"name", port.name},
                  {"type", port.type == typing::kNoType ? Json() : Json(typing::type_of(port.type).text())},
                  {"optional", port.optional}};
    if (port.list_depth > 0) entry["list_depth"] = port.list_depth;
    if (!port.shape.empty()) entry["shape"] = port.shape;
    if (sources != nullptr) {
      entry["from"] = Json::array();
      for (const auto& edge : sources->edges) {
        if (edge.to == module + "." + port.name) entry["from"].push_back(edge.from);
      }
    }
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace

typing::Wiring record_forward(const ModelHandle& model) {
  return record(model, {}, [&] {
    Values example = model.input_example();
    if (example.empty()) return;
    for (auto& [name, value] : example) value.set_source(typing::intern_source(example_of(model), name));
    model.forward(example);
  });
}

typing::Wiring record_training(const ModelHandle& model, const DataLoader& train) {
  const bool manual =
      static_cast<bool>(model.query<fathom_manual_optimization_v1>(FATHOM_MANUAL_OPTIMIZATION_EXTENSION));
  if (manual || train.is_iterable()) return record_forward(model);
  return record(model, train.ports(), [&] {
    const auto batch = train.first_items(kItems);
    if (!batch) return;
    const fathom_step step = silent_step();
    model.training_step(*batch, step);
  });
}

void check_batch_ports(typing::Wiring wiring, const DataLoader& loader, const std::string& where) {
  const auto is_batch = [](const typing::WiredModule& module) { return module.name == kBatch; };
  const auto batch = std::find_if(wiring.modules.begin(), wiring.modules.end(), is_batch);
  if (batch == wiring.modules.end()) return;
  const auto ports = loader.ports();
  *batch = {kBatch, "of " + where, {}, typing::wired_ports(ports)};
  std::vector<Error> errors = typing::check_edges(wiring);
  if (errors.empty()) return;
  if (errors.size() == 1) throw std::move(errors[0]);
  std::string text = "the batches of " + where + " do not fit the model: " + std::to_string(errors.size()) + " errors";
  for (const Error& error : errors) text += std::string("\n") + error.what();
  throw Error(Code::kFailed, text).at(where);
}

Json graph_json(const ModelHandle& model, const typing::Wiring& wiring) {
  Json modules = Json::array(), edges = Json::array();
  const auto children = model.modules();
  for (const auto& module : wiring.modules) {
    Json entry = {{"name", module.name}};
    for (const auto& [name, child] : children) {
      if (name != module.name) continue;
      const auto torch_module = child.torch_module();
      entry["component"] = child.name();
      entry["plugin"] = plugins::registry().find(1u << child.kind(), child.name()).plugin;
      entry["params"] = count_parameters(*torch_module);
      entry["trainable"] = num_weights(*torch_module);
    }
    entry["inputs"] = ports_json(module.inputs, module.name, &wiring);
    entry["outputs"] = ports_json(module.outputs, module.name, nullptr);
    modules.push_back(std::move(entry));
  }
  for (const auto& edge : wiring.edges) edges.push_back({{"from", edge.from}, {"to", edge.to}});
  return {{"model", model.name()}, {"modules", std::move(modules)}, {"edges", std::move(edges)}};
}

std::string graph_text(const ModelHandle& model, const typing::Wiring& wiring) {
  std::vector<std::pair<std::string, std::string>> notes;
  for (const auto& [name, child] : model.modules()) {
    const auto torch_module = child.torch_module();
    const int64_t params = count_parameters(*torch_module), trainable = num_weights(*torch_module);
    std::string text = std::to_string(params) + " parameters";
    if (trainable != params) text += ", " + std::to_string(trainable) + " trainable";
    notes.emplace_back(name, std::move(text));
  }
  return typing::wiring_text(wiring, notes);
}

}  // namespace fathom::training
