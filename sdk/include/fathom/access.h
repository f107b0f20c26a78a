// AccessMixin: lets a module hand out inner tensors (an encoder its middle layers, for InterCTC) without returning them
// through its ports. After NeMo's nemo.core.classes.mixins.AccessMixin.
//
//   class Encoder : public fathom::NeuralModule, public fathom::AccessMixin {
//     Encoder() : AccessMixin(this) {} …
//     if (is_access_enabled(model_guid())) register_accessible_tensor("layer_3", x);
//   };
//   AccessMixin::set_access_enabled(true, guid);
//   encoder(…);
//   for (auto& [module, tensors] : AccessMixin::get_module_registry(*this)) …
//   AccessMixin::reset_registry(*this);                                     // every step: the tensors keep their graph
//
// Whether access is on and its settings {"detach": false, "convert_to_cpu": false, …} are the process's, kept by the
// host by model guid ("" is the default), so that modules of several plugins share them. Any thread may read them; a
// module's registry belongs to the thread that calls the module. The functions that walk a tree of modules see those of
// their own plugin; other plugins' components are asked by "fathom.tensor_access/1" (TensorAccess).
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fathom/abi/access.h"
#include "fathom/capability.h"
#include "fathom/values.h"

namespace fathom {

class AccessMixin {
 public:
  using Registry = std::vector<std::pair<std::string, std::vector<at::Tensor>>>;  // by name, in order of registration
  // `self`: the torch module this is mixed into.
  explicit AccessMixin(torch::nn::Module* self) : self_(self) {
    const std::lock_guard lock(mine().mutex);
    mine().by_module[self_] = this;
  }
  virtual ~AccessMixin() {
    const std::lock_guard lock(mine().mutex);
    mine().by_module.erase(self_);
  }
  AccessMixin(const AccessMixin&) = delete;
  AccessMixin& operator=(const AccessMixin&) = delete;

  const torch::nn::Module& access_root() const { return *self_; }
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
    const AccessMixin* self = of(root);
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
    const std::string text = json_text(changes);
    check(table().update_config(to_abi(guid), to_abi(text)));
  }
  // The settings that hold for `guid`.
  static Json access_config(const std::string& guid = {}) {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(table().config(to_abi(guid), &sink));
    return parse_text(text);
  }

 private:
  // The mixins of this plugin by the torch module they are part of: no cast ever looks into another plugin's classes.
  struct Mine {
    std::mutex mutex;
    std::map<const torch::nn::Module*, AccessMixin*> by_module;
  };
  static Mine& mine() {
    static auto* all = new Mine();
    return *all;
  }
  static AccessMixin* of(const torch::nn::Module& module) {
    const std::lock_guard lock(mine().mutex);
    const auto found = mine().by_module.find(&module);
    return found == mine().by_module.end() ? nullptr : found->second;
  }
  static std::vector<std::pair<std::string, AccessMixin*>> mixins(const torch::nn::Module& root) {
    std::vector<std::pair<std::string, AccessMixin*>> out;
    if (AccessMixin* self = of(root)) out.emplace_back("", self);
    for (const auto& item : root.named_modules("", /*include_self=*/false)) {
      if (AccessMixin* mixin = of(*item.value())) out.emplace_back(item.key(), mixin);
    }
    return out;
  }
  static const fathom_access_v1& table() {
    static const auto found = host_extension<fathom_access_v1>(FATHOM_ACCESS_EXTENSION);
    if (!found)
      throw Error(Code::kUnavailable, "this host has no registry of accessible tensors").next("use a newer fathom");
    return *found;
  }

  torch::nn::Module* self_;
  Registry registry_;
  std::string model_guid_;
};

template <>
struct Capability<AccessMixin> {
  static constexpr std::string_view id = FATHOM_TENSOR_ACCESS_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const auto root = [](void* self) -> torch::nn::Module& {
      return const_cast<torch::nn::Module&>(Get::get(self).access_root());
    };
    static const fathom_tensor_access_v1 table = {
        sizeof(fathom_tensor_access_v1),
        [](void* self, const fathom_sink* tensors) {
          return guard([&] {
            for (const auto& [path, registry] : AccessMixin::get_module_registry(root(self))) {
              for (const auto& [name, list] : registry)
                emit(tensors, Values{{path + ":" + name, Value(Value::List(list.begin(), list.end()))}});
            }
          });
        },
        [](void* self) { return guard([&] { AccessMixin::reset_registry(root(self)); }); },
        [](void* self, fathom_str name) { return guard([&] { AccessMixin::forget(root(self), to_string(name)); }); },
        [](void* self, fathom_str guid) {
          return guard([&] { AccessMixin::propagate_model_guid(root(self), to_string(guid)); });
        }};
    return &table;
  }
};

// The inner tensors of any plugin's module. False for a module that hands out none.
class TensorAccess {
 public:
  explicit TensorAccess(const fathom_object& module)
      : access_(query<fathom_tensor_access_v1>(module, FATHOM_TENSOR_ACCESS_EXTENSION)) {}
  explicit operator bool() const { return static_cast<bool>(access_); }
  // "PATH:NAME" -> tensors, in order of registration; the path is that of the module below this one, or empty.
  std::vector<std::pair<std::string, std::vector<at::Tensor>>> registry() const {
    std::vector<std::pair<std::string, std::vector<at::Tensor>>> out;
    if (!access_) return out;
    for (const auto& [name, value] :
         collect_values([&](const fathom_sink* sink) { return access_->registry(access_.self(), sink); })) {
      out.push_back({name, {}});
      for (const Value& tensor : value.list()) out.back().second.push_back(tensor.tensor());
    }
    return out;
  }
  void reset() const {
    if (access_) check(access_->reset(access_.self()));
  }
  void forget(std::string_view name) const {
    if (access_) check(access_->forget(access_.self(), to_abi(name)));
  }
  void set_guid(std::string_view guid) const {
    if (access_) check(access_->set_guid(access_.self(), to_abi(guid)));
  }

 private:
  Extension<fathom_tensor_access_v1> access_;
};

}  // namespace fathom
