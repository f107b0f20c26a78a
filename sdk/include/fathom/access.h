// AccessMixin: lets a module hand out inner tensors (an encoder its middle layers, for InterCTC) without returning them
// through its ports. After NeMo's nemo.core.classes.mixins.AccessMixin.
//
//   class Encoder : public fathom::NeuralModule, public fathom::AccessMixin { …
//     if (is_access_enabled(model_guid())) register_accessible_tensor("layer_3", x);
//   };
//   AccessMixin::set_access_enabled(true, guid);
//   encoder(…);
//   for (auto& [module, tensors] : AccessMixin::get_module_registry(*this)) …
//   AccessMixin::reset_registry(*this);                                     // every step: the tensors keep their graph
//
// Whether access is on and its settings {"detach": false, "convert_to_cpu": false, …} are the process's, kept by the
// host by model guid ("" is the default), so that modules of several plugins share them. Any thread may read them; a
// module's registry belongs to the thread that calls the module.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fathom/abi/access.h"
#include "fathom/support.h"

namespace fathom {

class AccessMixin {
 public:
  using Registry = std::vector<std::pair<std::string, std::vector<at::Tensor>>>;  // by name, in order of registration
  virtual ~AccessMixin() = default;

  // Appends `tensor` to the list `name`, detached or copied to the CPU as the settings ask.
  void register_accessible_tensor(const std::string& name, at::Tensor tensor) {
    const Json settings = access_config(model_guid_);
    if (settings.value("convert_to_cpu", false)) tensor = tensor.cpu();
    if (settings.value("detach", false)) tensor = tensor.detach();
    for (auto& [known, tensors] : registry_) {
      if (known == name) {
        tensors.push_back(std::move(tensor));
        return;
      }
    }
    registry_.push_back({name, {std::move(tensor)}});
  }

  const Registry& registry() const { return registry_; }
  const std::string& model_guid() const { return model_guid_; }
  void set_model_guid(std::string guid) { model_guid_ = std::move(guid); }

  // The modules below `root` (itself included: path "") that hold tensors.
  static std::vector<std::pair<std::string, Registry>> get_module_registry(const torch::nn::Module& root) {
    std::vector<std::pair<std::string, Registry>> out;
    for (const auto& [path, mixin] : mixins(root)) {
      if (!mixin->registry_.empty()) out.emplace_back(path, mixin->registry_);
    }
    return out;
  }

  // Forgets everything below `root` and switches access off for root's model.
  static void reset_registry(torch::nn::Module& root) {
    for (const auto& [path, mixin] : mixins(root)) mixin->registry_.clear();
    const auto* self = dynamic_cast<AccessMixin*>(&root);
    set_access_enabled(false, self == nullptr ? std::string() : self->model_guid_);
  }
  // Forgets one name below `root`; access stays as it is. (NeMo's reset_registry(key) raises KeyError after forgetting
  // the key in root alone.)
  static void forget(torch::nn::Module& root, const std::string& name) {
    for (const auto& [path, mixin] : mixins(root)) mixin->forget_here(name);
  }
  // Forgets one name in this module alone.
  void forget_here(const std::string& name) {
    std::erase_if(registry_, [&](const auto& item) { return item.first == name; });
  }
  // Gives root and the mixins below it one model's guid.
  static void propagate_model_guid(torch::nn::Module& root, const std::string& guid) {
    for (const auto& [path, mixin] : mixins(root)) mixin->model_guid_ = guid;
  }

  // False in a program without a host.
  static bool is_access_enabled(const std::string& guid = {}) {
    return host_slot() != nullptr && table().is_enabled(to_abi(guid)) != 0;
  }
  static void set_access_enabled(bool enabled, const std::string& guid = {}) {
    table().set_enabled(to_abi(guid), enabled ? 1 : 0);
  }
  // Changes single settings; a guid's own settings stand instead of the default ones from then on.
  static void update_access_config(const Json& changes, const std::string& guid = {}) {
    const std::string text = changes.dump();
    check(table().update_config(to_abi(guid), to_abi(text)));
  }
  // The settings that hold for `guid`.
  static Json access_config(const std::string& guid = {}) {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(table().config(to_abi(guid), &sink));
    return Json::parse(text);
  }

 private:
  static std::vector<std::pair<std::string, AccessMixin*>> mixins(const torch::nn::Module& root) {
    std::vector<std::pair<std::string, AccessMixin*>> out;
    const auto add = [&](const std::string& path, const torch::nn::Module& module) {
      if (const auto* mixin = dynamic_cast<const AccessMixin*>(&module))
        out.emplace_back(path, const_cast<AccessMixin*>(mixin));
    };
    add("", root);
    for (const auto& item : root.named_modules("", /*include_self=*/false)) add(item.key(), *item.value());
    return out;
  }
  static const fathom_access_v1& table() {
    static const auto* found =
        static_cast<const fathom_access_v1*>(host().get_extension(to_abi(FATHOM_ACCESS_EXTENSION)));
    if (found == nullptr)
      throw Error(Code::kUnavailable, "this host has no registry of accessible tensors").next("use a newer fathom");
    return *found;
  }

  Registry registry_;
  std::string model_guid_;
};

}  // namespace fathom
