// Adapters (Houlsby et al. 2019, arXiv:1902.00751): small modules beside a trained one, which alone are trained for a
// new domain. After NeMo's AdapterModuleMixin, with its parameter names (`adapter_layer.NAME.…`).
//
//   class Block : public torch::nn::Module, public fathom::AdapterModuleMixin {
//     Block() : AdapterModuleMixin(this) {}
//     at::Tensor forward(at::Tensor x) { …; return forward_enabled_adapters(x); }   // x: (…, features)
//   };
//
// An adapter is a component of kind `module` with one input and one output port, of the same last dimension:
// `_target_: nemo.collections.common.parts.adapter_modules.LinearAdapter`. How its output joins its input is
// `adapter_strategy`: the sum of both (ResidualAddAdapterStrategy, also the default).
// One call at a time per object.
#pragma once

#include <ATen/ops/bernoulli.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/moduledict.h>

#include <optional>
#include <string>
#include <vector>

#include "fathom/abi/adapters.h"
#include "fathom/model.h"

namespace fathom {

// "enc:one" is adapter "one" of module "enc"; "one" is adapter "one" of the default module.
struct AdapterName {
  std::string module, name;
  static AdapterName parse(const std::string& text) {
    const size_t colon = text.find(':');
    return colon == std::string::npos ? AdapterName{"", text}
                                      : AdapterName{text.substr(0, colon), text.substr(colon + 1)};
  }
};

// What adapters can be added to ("fathom.adapters/1" of modules). A component that is built of such modules derives
// from it too and hands every call on to them; holders of components ask by AdaptersHandle.
class AdapterHost {
 public:
  virtual ~AdapterHost() = default;
  // Throws Error(kFailed): the name is taken, empty, reserved or holds a dot, or the config makes no adapter.
  virtual void add_adapter(const std::string& name, const Json& config) = 0;
  virtual bool is_adapter_available() const = 0;
  // Without a name: all. Throws Error(kFailed) when there is no adapter at all, or none of that name.
  virtual void set_enabled_adapters(const std::optional<std::string>& name, bool enabled) = 0;
  virtual std::vector<std::string> get_enabled_adapters() const = 0;
  virtual std::vector<std::string> get_adapters() const = 0;
  // Makes the enabled adapters trainable and sets them to training mode; the rest stays as it is.
  virtual void unfreeze_enabled_adapters() = 0;
};

template <>
struct Capability<AdapterHost> {
  static constexpr std::string_view id = FATHOM_ADAPTERS_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_adapters_v1 table = {
        sizeof(fathom_adapters_v1),
        [](void* self, fathom_str name, fathom_str config) {
          return guard(
              [&] { Get::get(self).add_adapter(to_string(name), parse_json(config, "an adapter's section")); });
        },
        [](void* self, int32_t enabled_only, const fathom_text_sink* out) {
          return guard([&] {
            const AdapterHost& host = Get::get(self);
            for (const auto& name : enabled_only != 0 ? host.get_enabled_adapters() : host.get_adapters())
              write(out, name);
          });
        },
        [](void* self, fathom_str name, int32_t enabled) {
          return guard([&] {
            const auto one = name.len == 0 ? std::nullopt : std::optional(to_string(name));
            Get::get(self).set_enabled_adapters(one, enabled != 0);
          });
        },
        [](void* self) { return guard([&] { Get::get(self).unfreeze_enabled_adapters(); }); }};
    return &table;
  }
};

// The adapters of any plugin's module. False for a module that takes none.
class AdaptersHandle {
 public:
  explicit AdaptersHandle(const fathom_object& module)
      : adapters_(query<fathom_adapters_v1>(module, FATHOM_ADAPTERS_EXTENSION)) {}
  explicit operator bool() const { return static_cast<bool>(adapters_); }
  void add(const std::string& name, const Json& config) const {
    const std::string text = json_text(config);
    check(adapters_->add(adapters_.self(), to_abi(name), to_abi(text)));
  }
  std::vector<std::string> names(bool enabled_only) const {
    std::vector<std::string> out;
    const fathom_text_sink sink = {&out, [](void* ctx, fathom_str name) {
                                     static_cast<std::vector<std::string>*>(ctx)->push_back(to_string(name));
                                   }};
    check(adapters_->names(adapters_.self(), enabled_only ? 1 : 0, &sink));
    return out;
  }
  // Without a name: all.
  void set_enabled(const std::optional<std::string>& name, bool enabled) const {
    check(adapters_->set_enabled(adapters_.self(), name ? to_abi(*name) : fathom_str{}, enabled ? 1 : 0));
  }
  void unfreeze_enabled() const { check(adapters_->unfreeze_enabled(adapters_.self())); }

 private:
  Extension<fathom_adapters_v1> adapters_;
};

class AdapterModuleMixin : public AdapterHost {
 public:
  static constexpr const char* kGlobalConfigKey = "global_cfg";  // settings of all adapters, no adapter
  static constexpr const char* kLayer = "adapter_layer";

  // `self`: the torch module this is mixed into.
  explicit AdapterModuleMixin(torch::nn::Module* self) : self_(*self) {}
  AdapterModuleMixin(const AdapterModuleMixin&) = delete;
  AdapterModuleMixin& operator=(const AdapterModuleMixin&) = delete;

  void add_adapter(const std::string& given, const Json& config) override {
    const std::string name = AdapterName::parse(given).name;
    check_name(name);
    Json section = config;
    const Json given_enabled = section.value("enabled", Json(true));
    if (!given_enabled.is_boolean()) {
      throw Error(Code::kFailed, "is no switch")
          .at("adapters." + name + ".enabled")
          .seen(json_text(given_enabled))
          .expected("true or false");
    }
    const bool enabled = given_enabled.get<bool>();
    section.erase("enabled");
    const Json strategy = section.value("adapter_strategy", Json());
    Adapter adapter{name, make_module(section, "adapters." + name), strategy_of(strategy, name), enabled, {}};
    const auto ports = adapter.module.ports();
    if (ports.inputs.size() != 1 || ports.outputs.size() != 1) {
      throw Error(Code::kFailed, "'" + adapter.module.name() + "' is no adapter")
          .at("adapters." + name)
          .seen(std::to_string(ports.inputs.size()) + " inputs, " + std::to_string(ports.outputs.size()) + " outputs")
          .expected("one of each");
    }
    adapter.input = to_string(ports.inputs[0].name);
    adapter.config = section;
    adapter.config["enabled"] = enabled;
    if (layer_ == nullptr) layer_ = self_.register_module(kLayer, std::make_shared<torch::nn::ModuleDictImpl>());
    auto torch_module = adapter.module.torch_module();
    torch_module->train(self_.is_training());
    layer_->update(std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>{{name, torch_module}});
    adapters_.push_back(std::move(adapter));
  }

  bool is_adapter_available() const override { return !adapters_.empty(); }

  void set_enabled_adapters(const std::optional<std::string>& given, bool enabled) override {
    if (adapters_.empty()) throw Error(Code::kFailed, "there is no adapter to enable or disable");
    if (!given) {
      for (auto& adapter : adapters_) adapter.enabled = enabled;
      return;
    }
    const std::string name = AdapterName::parse(*given).name;
    if (name == kGlobalConfigKey)
      throw Error(Code::kFailed, "the adapters' global settings are no adapter").seen(kGlobalConfigKey);
    Adapter* adapter = find(name);
    if (adapter == nullptr)
      throw Error(Code::kFailed, "there is no adapter '" + name + "'").seen(name).expected("one of: " + names());
    adapter->enabled = enabled;
  }

  std::vector<std::string> get_enabled_adapters() const override {
    std::vector<std::string> out;
    for (const auto& adapter : adapters_) {
      if (adapter.enabled) out.push_back(adapter.name);
    }
    return out;
  }

  std::vector<std::string> get_adapters() const override {
    std::vector<std::string> out;
    for (const auto& adapter : adapters_) out.push_back(adapter.name);
    return out;
  }

  void unfreeze_enabled_adapters() override {
    for (const auto& adapter : adapters_) {
      if (!adapter.enabled) continue;
      const auto module = adapter.module.torch_module();
      module->train();
      for (auto& parameter : module->parameters()) parameter.set_requires_grad(true);
    }
  }

  // The adapter of that name that this very module holds, or null.
  std::shared_ptr<torch::nn::Module> get_adapter_module(const std::string& name) const {
    const Adapter* adapter = const_cast<AdapterModuleMixin*>(this)->find(AdapterName::parse(name).name);
    return adapter == nullptr ? nullptr : adapter->module.torch_module();
  }
  // The component it was made of; empty when there is none of that name.
  std::string adapter_component(const std::string& name) const {
    const Adapter* adapter = const_cast<AdapterModuleMixin*>(this)->find(AdapterName::parse(name).name);
    return adapter == nullptr ? std::string() : adapter->module.name();
  }
  // {name: section with "enabled"}, in the order of adding.
  Json adapter_cfg() const {
    Json out = Json::object();
    for (const auto& adapter : adapters_) {
      out[adapter.name] = adapter.config;
      out[adapter.name]["enabled"] = adapter.enabled;
    }
    return out;
  }

  // x (…, features) through every enabled adapter, in the order of adding.
  at::Tensor forward_enabled_adapters(at::Tensor x) const {
    for (const auto& adapter : adapters_) {
      if (!adapter.enabled) continue;
      const Values out = adapter.module({{adapter.input, x}});
      const at::Tensor& added = out.begin()->second.tensor();
      x = adapter.strategy.apply(x, added, self_.is_training());
    }
    return x;
  }

 private:
  // NeMo's ResidualAddAdapterStrategy: input + output, the output dropped for a whole sample with probability
  // stochastic_depth while training (arXiv:1603.09382); l2_lambda has no part in the forward pass.
  struct Strategy {
    double stochastic_depth = 0;
    at::Tensor apply(const at::Tensor& x, at::Tensor added, bool training) const {
      if (training && stochastic_depth > 0) {
        std::vector<int64_t> shape(static_cast<size_t>(added.dim()), 1);
        shape[0] = added.size(0);
        const double keep = 1 - stochastic_depth;
        at::Tensor mask = at::empty(shape, added.options()).bernoulli_(keep);
        if (keep > 0) mask = mask / keep;
        added = added * mask;
      }
      return x + added;
    }
  };
  struct Adapter {
    std::string name;
    ModuleHandle module;
    Strategy strategy;
    bool enabled;
    Json config;
    std::string input = {};  // the name of its one input port
  };

  static Strategy strategy_of(const Json& config, const std::string& name) {
    Strategy strategy;
    if (config.is_null()) return strategy;
    const std::string at = "adapters." + name + ".adapter_strategy";
    if (!config.is_object()) throw Error(Code::kFailed, "is no adapter strategy").at(at).seen(json_text(config));
    const std::string target = config.value("_target_", std::string());
    if (target.substr(target.rfind('.') + 1) != "ResidualAddAdapterStrategy") {
      throw Error(Code::kFailed, "unknown adapter strategy")
          .at(at + "._target_")
          .seen(target)
          .expected("nemo.core.classes.mixins.adapter_mixin_strategies.ResidualAddAdapterStrategy");
    }
    for (const auto& [key, value] : config.items()) {
      if (key == "_target_") continue;
      if (key == "stochastic_depth") {
        strategy.stochastic_depth = value.is_number() ? value.get<double>() : -1;
        if (strategy.stochastic_depth < 0 || strategy.stochastic_depth > 1)
          throw Error(Code::kFailed, "is no probability").at(at + "." + key).seen(json_text(value)).expected("0 to 1");
      } else if (key == "l2_lambda") {
        if (value != 0)
          throw Error(Code::kFailed, "an l2 loss of adapters is not supported")
              .at(at + "." + key)
              .seen(json_text(value))
              .expected("0");
      } else {
        throw Error(Code::kFailed, "unknown option of ResidualAddAdapterStrategy")
            .at(at)
            .seen(key)
            .expected("stochastic_depth, l2_lambda");
      }
    }
    return strategy;
  }

  void check_name(const std::string& name) const {
    const auto refuse = [&](const char* what, const char* expected) {
      throw Error(Code::kFailed, what).at("adapters").seen("'" + name + "'").expected(expected);
    };
    if (name.empty()) refuse("an adapter's name is empty", "a name");
    if (name.find('.') != std::string::npos) refuse("an adapter's name holds a dot", "a name without dots");
    if (name == kGlobalConfigKey) refuse("an adapter has the reserved name of the global settings", "another name");
    if (const_cast<AdapterModuleMixin*>(this)->find(name) != nullptr) {
      throw Error(Code::kFailed, "an adapter of this name exists already")
          .at("adapters")
          .seen("'" + name + "'")
          .expected("a name other than: " + names());
    }
  }
  Adapter* find(const std::string& name) {
    for (auto& adapter : adapters_) {
      if (adapter.name == name) return &adapter;
    }
    return nullptr;
  }
  std::string names() const {
    std::string out;
    for (const auto& adapter : adapters_) out += (out.empty() ? "" : ", ") + adapter.name;
    return out;
  }

  torch::nn::Module& self_;
  std::shared_ptr<torch::nn::ModuleDictImpl> layer_;
  std::vector<Adapter> adapters_;
};

// Every batch norm below `root` keeps the statistics it has and trains nothing, as where adapters alone are trained.
inline void freeze_batch_norms(torch::nn::Module& root) {
  std::vector<torch::nn::Module*> modules{&root};
  for (const auto& module : root.modules(/*include_self=*/false)) modules.push_back(module.get());
  for (torch::nn::Module* module : modules) {  // the classes are libtorch's, which all plugins share
    const bool is_norm = dynamic_cast<torch::nn::BatchNorm1dImpl*>(module) != nullptr ||
                         dynamic_cast<torch::nn::BatchNorm2dImpl*>(module) != nullptr ||
                         dynamic_cast<torch::nn::BatchNorm3dImpl*>(module) != nullptr;
    if (!is_norm) continue;
    module->eval();
    for (auto& parameter : module->parameters()) parameter.set_requires_grad(false);
  }
}

// Adds the adapters of a model's `adapters` section, as NeMo's models do: {"MODULE:NAME" or NAME: section}. NAME alone
// goes to `default_module`. For a model's constructor, after its children are made.
inline void setup_adapters(const Model& model, const Json& config, const std::string& default_module) {
  if (!config.contains("adapters") || config["adapters"].is_null()) return;
  for (const auto& [given, section] : config["adapters"].items()) {
    if (given == AdapterModuleMixin::kGlobalConfigKey) continue;
    const AdapterName name = AdapterName::parse(given);
    const std::string where = "adapters." + given, wanted = name.module.empty() ? default_module : name.module;
    const Model::Child* child = nullptr;
    for (const auto& known : model.children_by_name()) {
      if (known.name == wanted) child = &known;
    }
    if (child == nullptr && model.named_children().find(wanted) == nullptr) {
      throw Error(Code::kFailed, "the model has no module '" + wanted + "' to add an adapter to").at(where);
    }
    const AdaptersHandle adapters(child == nullptr ? fathom_object{} : child->object);
    if (!adapters) {
      throw Error(Code::kFailed, "module '" + wanted + "' takes no adapters")
          .at(where)
          .next("give the adapter to another module: MODULE:" + name.name);
    }
    if (!section.is_object())
      throw Error(Code::kFailed, "is no adapter").at(where).seen(json_text(section)).expected("a map");
    adapters.add(name.name, section);
  }
}

}  // namespace fathom
