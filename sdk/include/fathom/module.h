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
#include "fathom/neural_type.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

class NeuralModule : public torch::nn::Module {
 public:
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
      check(host().check_ports(flags, to_abi(owner_name_), ports.inputs.data(), ports.inputs.size(), values, count));
    }
    Values out = forward(in);
    if (ports.outputs.size() > 0) {
      const AbiValues abi(out);
      check(host().check_ports(flags | FATHOM_CHECK_OUTPUTS, to_abi(owner_name_), ports.outputs.data(),
                               ports.outputs.size(), abi.data(), abi.size()));
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

 private:
  static const fathom_freezing_v1& freezing() {
    static const auto* found =
        static_cast<const fathom_freezing_v1*>(host().get_extension(to_abi(FATHOM_FREEZING_EXTENSION)));
    if (found == nullptr) throw Error(Code::kUnavailable, "modules are frozen by the engine, which is not loaded");
    return *found;
  }

  mutable std::unique_ptr<PortTables> ports_;
  std::string owner_name_ = "module";
};

// A loss is a module whose outputs hold one LossType.
class Loss : public NeuralModule {};

// --- the author's class behind the C table --------------------------------------------------------------------------

namespace module_detail {

// What `self` is for modules and models.
struct ModuleBox {
  std::shared_ptr<NeuralModule> typed;
  std::shared_ptr<torch::nn::Module> plain;  // the same object; its address is what torch_module() returns
};
inline ModuleBox& box(void* self) { return *static_cast<ModuleBox*>(self); }

inline fathom_status ports(void* self, const fathom_port** in, size_t* n_in, const fathom_port** out, size_t* n_out) {
  return guard([&] {
    const auto& tables = box(self).typed->port_tables();
    *in = tables.inputs.data();
    *n_in = tables.inputs.size();
    *out = tables.outputs.data();
    *n_out = tables.outputs.size();
  });
}
inline fathom_status forward(void* self, const fathom_named_value* values, size_t count, const fathom_sink* out) {
  return guard([&] { emit(out, box(self).typed->call_abi(values, count, Values::from_abi(values, count))); });
}
inline void* torch_module(void* self) { return &box(self).plain; }
inline fathom_status input_example(void* self, const fathom_sink* out) {
  return guard([&] { emit(out, box(self).typed->input_example()); });
}
inline const fathom_module_v1* vtable() {
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

template <typename T>
fathom_status create(const fathom_create_args* args, void** self) {
  return create_component<T, ModuleBox>(args, self,
                                        [args](auto options, const Json&, const std::string&, const Json& context) {
                                          auto module = construct_shared<T>(options, context);
                                          module->set_owner_name(owner_text(*args));
                                          return new ModuleBox{module, module};
                                        });
}
inline void destroy(void* self) { delete static_cast<ModuleBox*>(self); }

}  // namespace module_detail

template <typename T>
struct ModuleKind {
  static const void* vtable() { return module_detail::vtable(); }
  static fathom_status create(const fathom_create_args* args, void** self) {
    return module_detail::create<T>(args, self);
  }
  static void destroy(void* self) { module_detail::destroy(self); }
  // Ports and names of the state (`static constexpr const char* kState`), where the class declares them: for
  // `plugins info` and the reference pages.
  static void describe(Json& schema) {
    if constexpr (requires { T::describe_ports(schema); }) T::describe_ports(schema);
    if constexpr (requires { T::kState; }) schema["state"] = std::string(T::kState);
  }
};

class Model;
template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<NeuralModule, T> && !std::is_base_of_v<Loss, T> &&
                                  !std::is_base_of_v<Model, T>>> : ModuleKind<T> {
  static constexpr fathom_kind kind = FATHOM_KIND_MODULE;
};
template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<Loss, T>>> : ModuleKind<T> {
  static constexpr fathom_kind kind = FATHOM_KIND_LOSS;
};

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
    out.handle_.reset(new Handle<fathom_module_v1>(object), [](Handle<fathom_module_v1>* handle) {
      handle->release();
      delete handle;
    });
    return out;
  }
  fathom_object borrowed() const { return {&handle_->component(), handle_->self()}; }

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
    Values out;
    const fathom_sink sink = values_sink(out);
    check(handle_->vtable().forward(handle_->self(), abi.data(), abi.size(), &sink));
    return out;
  }
  struct PortView {
    const fathom_port *inputs, *outputs;
    size_t input_count, output_count;
  };
  PortView ports() const {
    PortView view{};
    check(handle_->vtable().ports(handle_->self(), &view.inputs, &view.input_count, &view.outputs, &view.output_count));
    return view;
  }
  Values input_example() const {
    Values out;
    const fathom_sink sink = values_sink(out);
    if (handle_->vtable().input_example != nullptr) check(handle_->vtable().input_example(handle_->self(), &sink));
    return out;
  }

 private:
  std::shared_ptr<Handle<fathom_module_v1>> handle_;
};

inline ModuleHandle make_module(const Json& config, const std::string& config_path) {
  return ModuleHandle(create_object(1u << FATHOM_KIND_MODULE | 1u << FATHOM_KIND_LOSS, config, config_path));
}

}  // namespace fathom
