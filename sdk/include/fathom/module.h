// Kind `module` (and `loss`): a torch module with typed ports, called by port names.
//
//   class MeanPool final : public fathom::NeuralModule {
//    public:
//     struct Options { … };
//     explicit MeanPool(const Options& o) : linear_(register_module("linear", torch::nn::Linear(o.features, 8))) {}
//     fathom::Ports inputs() const override { return {{"spectrogram", {"B D T", SpectrogramType{}}}, …}; }
//     fathom::Ports outputs() const override { return {{"embedding", {"B D", AcousticEncodedRepresentation{}}}}; }
//     fathom::Values forward(const fathom::Values& in) override;
//   };
//
// A caller never calls forward directly: ModuleHandle::operator() (or NeuralModule::call) checks names, counts, ranks
// and neural types first, and attaches the declared types to the outputs. One call at a time per object.
#pragma once

#include <torch/nn/module.h>

#include "fathom/abi/freezing.h"
#include "fathom/abi/module.h"
#include "fathom/abi/properties.h"
#include "fathom/neural_type.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

namespace module_detail {
const void* table();
std::string owner_text(const fathom_create_args& args);
}  // namespace module_detail

class NeuralModule : public torch::nn::Module {
 public:
  using Storage = Shared<NeuralModule, torch::nn::Module>;
  using ComponentKind = SimpleKind<NeuralModule, FATHOM_KIND_MODULE, &module_detail::table, Storage>;

  // Ports may depend on the options, not on anything that changes later: they are read once, at the first call.
  virtual Ports inputs() const { return {}; }
  virtual Ports outputs() const { return {}; }
  virtual Values forward(const Values& in) = 0;
  // Inputs that forward accepts, for summaries, tracing and export.
  virtual Values input_example() const { return {}; }
  // Whether lists among the values may be nested otherwise than the ports say (NeMo's typecheck(ignore_collections)).
  virtual bool ignore_collections() const { return false; }
  // Trainable parameters, as NeMo counts them.
  int64_t num_weights() const {
    int64_t count = 0;
    for (const auto& parameter : parameters()) count += parameter.requires_grad() ? parameter.numel() : 0;
    return count;
  }

  // Freezes every parameter and goes into eval mode, remembering what was trained.
  void freeze() { check(freezing().freeze(static_cast<torch::nn::Module*>(this))); }
  // Everything trains again, in train mode; partial: what trained before freeze(). Throws Error(kFailed) for partial
  // without a freeze before it.
  void unfreeze(bool partial = false) {
    check(freezing().unfreeze(static_cast<torch::nn::Module*>(this), partial ? 1 : 0));
  }
  // Frozen for a scope: `const auto frozen = encoder->as_frozen();`
  class Frozen {
   public:
    explicit Frozen(NeuralModule& module) : module_(module), was_training_(module.is_training()) { module_.freeze(); }
    ~Frozen() {
      // Fails only if somebody unfroze it meanwhile: then there is nothing to give back.
      if (freezing().unfreeze(static_cast<torch::nn::Module*>(&module_), 1) == FATHOM_OK) module_.train(was_training_);
    }
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;

   private:
    NeuralModule& module_;
    bool was_training_;
  };
  Frozen as_frozen() { return Frozen(*this); }

  // The typed call.
  Values call(const Values& in) {
    const AbiValues abi(in);
    return call_abi(abi.data(), abi.size(), in);
  }
  Values call_abi(const fathom_named_value* values, size_t count, const Values& in) {
    const auto& ports = port_tables();
    const uint32_t flags = ignore_collections() ? FATHOM_CHECK_IGNORE_COLLECTIONS : 0;
    if (ports.inputs.size() > 0) {
      const fathom_ports declared = ports.inputs.abi();
      check(host_function(&fathom_host::check_ports)(flags, to_abi(owner_name_), &declared, values, count));
    }
    Values out = forward(in);
    if (ports.outputs.size() > 0) {
      const AbiValues abi(out);
      const fathom_ports declared = ports.outputs.abi();
      check(host_function(&fathom_host::check_ports)(flags | FATHOM_CHECK_OUTPUTS, to_abi(owner_name_), &declared,
                                                     abi.data(), abi.size()));
      for (auto& [name, value] : out) {
        if (const fathom_port* port = ports.outputs.find(name)) {
          value.set_type(port->type);
          value.set_source(port->source);
        }
      }
    }
    return out;
  }

  struct PortTables {
    PortTable inputs, outputs;
  };
  const PortTables& port_tables() const {
    if (!ports_)
      ports_ = std::make_unique<PortTables>(PortTables{PortTable(inputs()), PortTable(outputs(), owner_name_)});
    return *ports_;
  }
  // Where it stands and what it is, for messages: "model.encoder (asr.ConvASREncoder of plugin 'asr')".
  void set_owner_name(std::string name) { owner_name_ = std::move(name); }
  const std::string& owner_name() const { return owner_name_; }

  static void created(NeuralModule& module, const auto&, const fathom_create_args& args) {
    module.set_owner_name(module_detail::owner_text(args));
  }
  // Ports and names of the state (`static constexpr const char* kState`), where the class declares them: for
  // `plugins info` and the reference pages.
  template <typename T>
  static void describe(Json& schema) {
    if constexpr (requires { T::describe_ports(schema); }) T::describe_ports(schema);
    if constexpr (requires { T::kState; }) schema["state"] = std::string(T::kState);
  }

 private:
  static const fathom_freezing_v1& freezing() {
    static const auto found = host_extension<fathom_freezing_v1>(FATHOM_FREEZING_EXTENSION);
    if (!found) throw Error(Code::kUnavailable, "modules are frozen by the engine, which is not loaded");
    return *found;
  }

  mutable std::unique_ptr<PortTables> ports_;
  std::string owner_name_ = "module";
};

// A loss is a module whose outputs hold one LossType.
class Loss : public NeuralModule {
 public:
  using ComponentKind = SimpleKind<NeuralModule, FATHOM_KIND_LOSS, &module_detail::table, Storage>;
};

// Facts that others need to fit to a module ("fathom.properties/1"): {"feat_out": 256, "subsampling_factor": 4}.
class HasProperties {
 public:
  virtual ~HasProperties() = default;
  virtual Json properties() const = 0;
};

template <>
struct Capability<HasProperties> {
  static constexpr std::string_view id = FATHOM_PROPERTIES_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_properties_v1 table = {
        sizeof(fathom_properties_v1), [](void* self, const fathom_text_sink* json) {
          return guard([&] { write(json, json_text(Get::get(self).properties())); });
        }};
    return &table;
  }
};

// --- the author's class behind the C table --------------------------------------------------------------------------

namespace module_detail {

// `self` is a std::shared_ptr<torch::nn::Module>*, which is also what torch_module() gives.
inline NeuralModule& module(void* self) { return NeuralModule::Storage::get(self); }

inline fathom_status ports(void* self, fathom_ports* in, fathom_ports* out) {
  return guard([&] {
    const auto& tables = module(self).port_tables();
    *in = tables.inputs.abi();
    *out = tables.outputs.abi();
  });
}
inline fathom_status forward(void* self, const fathom_named_value* values, size_t count, const fathom_sink* out) {
  return guard([&] { emit(out, module(self).call_abi(values, count, Values::from_abi(values, count))); });
}
inline void* torch_module(void* self) { return self; }
inline fathom_status input_example(void* self, const fathom_sink* out) {
  return guard([&] { emit(out, module(self).input_example()); });
}
inline const void* table() {
  static const fathom_module_v1 table = {sizeof(fathom_module_v1), &ports, &forward, &torch_module, &input_example};
  return &table;
}

// "model.encoder (asr.ConvASREncoder of plugin 'asr')".
inline std::string owner_text(const fathom_create_args& args) {
  const std::string path = to_string(args.config_path);
  if (args.component.len == 0) return path.empty() ? "module" : path;
  const std::string component = to_string(args.component) + " of plugin '" + to_string(args.plugin) + "'";
  return path.empty() ? component : path + " (" + component + ")";
}

}  // namespace module_detail

// --- the caller's side
// ------------------------------------------------------------------------------------------------

// A module made by name, of any plugin. Its torch module can be registered as a child, so that parameter names, to(),
// train() and state dicts simply work:
//
//   encoder_ = fathom::make_module(config["encoder"], "model.encoder");
//   register_module("encoder", encoder_.torch_module());
class ModuleHandle {
 public:
  ModuleHandle() = default;
  explicit ModuleHandle(fathom_object object) : handle_(std::make_shared<Handle<fathom_module_v1>>(object)) {}

  // An object somebody else owns and keeps for as long as this is used.
  static ModuleHandle borrow(fathom_object object) {
    ModuleHandle out;
    out.handle_ = borrowed_handle<fathom_module_v1>(object);
    return out;
  }
  fathom_object borrowed() const { return handle_->object(); }

  explicit operator bool() const { return handle_ != nullptr; }
  std::string name() const { return handle_->name(); }
  fathom_kind kind() const { return handle_->kind(); }
  std::shared_ptr<torch::nn::Module> torch_module() const {
    void* pointer = handle_->vtable().torch_module(handle_->self());
    if (pointer == nullptr) {
      throw Error(Code::kUnavailable,
                  "'" + name() + "' has no torch module: its plugin does not use torch's C++ interface");
    }
    return *static_cast<std::shared_ptr<torch::nn::Module>*>(pointer);
  }
  // The typed call.
  Values operator()(const Values& in) const {
    const AbiValues abi(in);
    return collect_values([&](const fathom_sink* out) {
      return handle_->vtable().forward(handle_->self(), abi.data(), abi.size(), out);
    });
  }
  struct PortLists {
    std::vector<fathom_port> inputs, outputs;  // names are borrowed from the module
  };
  PortLists ports() const { return read_ports(handle_->vtable(), handle_->self()); }
  static PortLists read_ports(const fathom_module_v1& table, void* self) {
    fathom_ports inputs{}, outputs{};
    check(table.ports(self, &inputs, &outputs));
    return {port_list(inputs), port_list(outputs)};
  }
  Values input_example() const {
    if (handle_->vtable().input_example == nullptr) return {};
    return collect_values(
        [&](const fathom_sink* out) { return handle_->vtable().input_example(handle_->self(), out); });
  }
  template <typename Table>
  Extension<Table> query(std::string_view id) const {
    return handle_->template query<Table>(id);
  }
  // Null where it gives none.
  Json properties() const {
    const auto found = query<fathom_properties_v1>(FATHOM_PROPERTIES_EXTENSION);
    if (!found) return nullptr;
    return read_json([&](const fathom_text_sink* json) { return found->properties(found.self(), json); });
  }

 private:
  std::shared_ptr<Handle<fathom_module_v1>> handle_;
};

inline ModuleHandle make_module(const Json& config, const std::string& config_path) {
  return ModuleHandle(create_object(1u << FATHOM_KIND_MODULE | 1u << FATHOM_KIND_LOSS, config, config_path));
}

}  // namespace fathom
