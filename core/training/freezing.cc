#include "core/training/freezing.h"

#include <torch/nn/module.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/plugins/host_table.h"
#include "core/training/parameters.h"
#include "fathom/abi/freezing.h"

namespace fathom::training {
namespace {

using GradientFlags = std::unordered_map<std::string, bool>;  // parameter name -> requires_grad

// What modules remember. They are not ours to extend, so it lies beside them; the keys own nothing and are told apart
// by owner, so that a module at a dead one's address remembers nothing of it.
class Memory {
 public:
  void put(const torch::nn::Module& module, GradientFlags flags) {
    const std::lock_guard lock(mutex_);
    std::erase_if(flags_, [](const auto& entry) { return entry.first.expired(); });
    flags_[module.weak_from_this()] = std::move(flags);
  }
  std::optional<GradientFlags> take(const torch::nn::Module& module) {
    const std::lock_guard lock(mutex_);
    auto node = flags_.extract(module.weak_from_this());
    if (node.empty()) return std::nullopt;
    return std::move(node.mapped());
  }
  bool has(const torch::nn::Module& module) {
    const std::lock_guard lock(mutex_);
    return flags_.contains(module.weak_from_this());
  }

 private:
  using Key = std::weak_ptr<const torch::nn::Module>;
  std::mutex mutex_;
  std::map<Key, GradientFlags, std::owner_less<Key>> flags_;
};

Memory& memory() {
  static auto* instance = new Memory;  // outlives every static module
  return *instance;
}

std::string entry_path(const std::string& config_path, const std::string& name) {
  return config_path + ".modules." + name;
}

// As Python reads it: absent, null, false, 0 and "" are no.
bool is_enabled(const Json& section) {
  const auto found = section.find("enabled");
  if (found == section.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  if (found->is_number()) return found->get<double>() != 0;
  return found->is_string() ? !found->get_ref<const std::string&>().empty() : !found->empty();
}

void require_mapping(const Json& section, const std::string& config_path) {
  if (section.is_object()) return;
  throw Error(Code::kFailed, "freeze_updates is not a mapping")
      .at(config_path)
      .seen(json_text(section))
      .expected("{enabled: true, modules: {encoder: 200}}, or null")
      .next("write it as a mapping, or remove it to freeze nothing");
}

void require_modules(const Json& section, const std::string& config_path) {
  const auto found = section.find("modules");
  if (found != section.end() && found->is_object()) return;
  throw Error(Code::kFailed, "freeze_updates is enabled without saying which modules")
      .at(config_path + ".modules")
      .seen(found == section.end() ? "nothing" : json_text(*found))
      .expected("a mapping of module names to steps, such as {encoder: 200}")
      .next("name the modules, or set " + config_path + ".enabled=false");
}

constexpr const char* kStepsExpected =
    "the last frozen step, [first, last] counted from 1, or -1 for no end; such as 200, [100, 300], [100, -1]";

double step_number(const Json& value, const std::string& path) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;  // as Python compares them
  throw Error(Code::kFailed, "a step of freeze_updates is not a number")
      .at(path)
      .seen(json_text(value))
      .expected(kStepsExpected)
      .next(value.is_string() ? "write the number without quotes" : "give " + path + " a number of steps");
}

// Whether step `n` is within the steps of an entry. Reads no more of it than the answer needs.
bool includes_step(const Json& steps, double n, const std::string& path) {
  if (!steps.is_array()) {
    const double last = step_number(steps, path);
    return n <= last || last == -1;
  }
  if (steps.size() != 2) {
    throw Error(Code::kFailed, "a range of freeze_updates does not have two elements")
        .at(path)
        .seen(json_text(steps))
        .expected(kStepsExpected)
        .next("give the first and the last frozen step");
  }
  if (n < step_number(steps[0], path + "[0]")) return false;
  const double last = step_number(steps[1], path + "[1]");
  return n <= last || last == -1;
}

// The child of that name. Only a child itself, not its children, and only a NeuralModule can be frozen by name.
std::shared_ptr<torch::nn::Module> child_to_freeze(const torch::nn::Module& model,
                                                   const std::vector<std::string>& freezable_names,
                                                   const std::string& name, const std::string& path) {
  std::vector<std::string> names;
  bool found = false;
  for (const auto& child : model.named_children()) {
    const bool freezable =
        std::find(freezable_names.begin(), freezable_names.end(), child.key()) != freezable_names.end();
    if (freezable && child.key() == name) return child.value();
    if (freezable) names.push_back(child.key());
    found = found || child.key() == name;
  }
  std::vector<std::string> nearest = nearest_names(name, names);
  throw Error(Code::kFailed, found ? "freeze_updates names a module that cannot be frozen by name"
                                   : "freeze_updates names a module that the model does not have")
      .at(path)
      .seen(name)
      .expected(names.empty() ? "a NeuralModule that is a child of the model; this one has none"
                              : "a NeuralModule that is a child of the model: " + join(names, ", "))
      .candidates(nearest)
      .next("name one of those, or remove the entry");
}

}  // namespace

void freeze(torch::nn::Module& module) {
  GradientFlags flags;
  for (const auto& [name, parameter] : named_parameters(module)) {
    flags[name] = parameter.requires_grad();
    parameter.set_requires_grad(false);
  }
  memory().put(module, std::move(flags));
  module.eval();
}

void unfreeze(torch::nn::Module& module, bool partial) {
  const std::optional<GradientFlags> flags = memory().take(module);
  if (partial && !flags) {
    throw Error(Code::kFailed, "a module cannot be unfrozen partially: it was not frozen")
        .at(module.name())
        .expected("a freeze() of this very module before it, not of its parent or children")
        .next("call freeze() first, or unfreeze everything");
  }
  for (const auto& [name, parameter] : named_parameters(module)) {
    bool requires_grad = true;
    if (partial) {
      if (const auto found = flags->find(name); found != flags->end()) {
        requires_grad = found->second;
      } else {
        log_warning("freezing", "'{}' was not there when {} was frozen: it is trained", name, module.name());
      }
    }
    parameter.set_requires_grad(requires_grad);
  }
  module.train();
}

bool remembers_gradients(const torch::nn::Module& module) { return memory().has(module); }

int64_t num_weights(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& [name, parameter] : named_parameters(module)) {
    if (parameter.requires_grad()) count += parameter.numel();
  }
  return count;
}

FrozenScope::FrozenScope(torch::nn::Module& module)
    : module_(module.shared_from_this()), was_training_(module.is_training()) {
  freeze(module);
}

FrozenScope::~FrozenScope() {
  try {
    end();
  } catch (const std::exception& error) {
    log_warning("freezing", "{}", error.what());
  }
}

void FrozenScope::end() {
  if (!module_) return;
  const std::shared_ptr<torch::nn::Module> module = std::move(module_);
  unfreeze(*module, /*partial=*/true);
  module->train(was_training_);
}

DynamicFreezing::DynamicFreezing(Json section, std::string config_path, std::vector<std::string> freezable)
    : section_(std::move(section)), config_path_(std::move(config_path)), freezable_(std::move(freezable)) {}

void DynamicFreezing::start() {
  if (started_) return;
  if (!section_.is_null()) require_mapping(section_, config_path_);
  started_ = true;
  enabled_ = !section_.is_null() && is_enabled(section_);
  if (enabled_) require_modules(section_, config_path_);
}

void DynamicFreezing::before_batch(torch::nn::Module& model, int64_t global_step) {
  if (!started_ || !enabled_ || !model.is_training()) return;
  require_modules(section_, config_path_);
  for (const auto& [name, steps] : section_["modules"].items()) {
    const std::string path = entry_path(config_path_, name);
    const bool wanted = includes_step(steps, static_cast<double>(global_step + 1), path);
    if (wanted == frozen_.contains(name)) continue;
    torch::nn::Module& module = *child_to_freeze(model, freezable_, name, path);
    if (wanted) {
      freeze(module);
      module.train();  // only the gradients stop
      frozen_.insert(name);
    } else {
      unfreeze(module);
      frozen_.erase(name);
    }
    log_info("freezing", "step {}: {} {}", global_step + 1, name, wanted ? "frozen" : "unfrozen");
  }
}

void DynamicFreezing::end() {
  started_ = enabled_ = false;
  frozen_.clear();
}

void check_freeze_updates(const Json& section, const torch::nn::Module& model,
                          const std::vector<std::string>& freezable, const std::string& config_path) {
  if (section.is_null()) return;
  require_mapping(section, config_path);
  if (!is_enabled(section)) return;
  require_modules(section, config_path);
  for (const auto& [name, steps] : section["modules"].items()) {
    const std::string path = entry_path(config_path, name);
    child_to_freeze(model, freezable, name, path);
    includes_step(steps, std::numeric_limits<double>::infinity(), path);  // so that a range is read to its end
    const double first = steps.is_array() ? std::max(1.0, step_number(steps[0], path + "[0]")) : 1;
    if (!includes_step(steps, first, path)) log_warning("freezing", "{}={} freezes nothing", path, json_text(steps));
  }
}

namespace {

torch::nn::Module& module_of(void* module) { return *static_cast<torch::nn::Module*>(module); }

const fathom_freezing_v1 kTable = {
    sizeof(fathom_freezing_v1), [](void* module) { return guard([&] { freeze(module_of(module)); }); },
    [](void* module, int32_t partial) { return guard([&] { unfreeze(module_of(module), partial != 0); }); }};

[[maybe_unused]] const bool kIsOffered = [] {
  plugins::add_host_extension(FATHOM_FREEZING_EXTENSION, &kTable);
  return true;
}();

}  // namespace
}  // namespace fathom::training
