#include "core/training/parameters.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "core/base/log.h"
#include "core/base/text.h"
#include "fathom/error.h"

namespace fathom::training {
namespace {

void add_parameters(const torch::nn::Module& module, const std::string& prefix, NamedTensors& out,
                    std::unordered_set<const void*>& seen) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (item.value().defined() && seen.insert(item.value().unsafeGetTensorImpl()).second) {
      out.emplace_back(prefix + item.key(), item.value());
    }
  }
  for (const auto& child : module.named_children())
    add_parameters(*child.value(), prefix + child.key() + ".", out, seen);
}

void add_state(const torch::nn::Module& module, const std::string& prefix, NamedTensors& out) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (item.value().defined()) out.emplace_back(prefix + item.key(), item.value());
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    if (item.value().defined()) out.emplace_back(prefix + item.key(), item.value());
  }
  for (const auto& child : module.named_children()) add_state(*child.value(), prefix + child.key() + ".", out);
}

constexpr size_t kShown = 8, kAllShapes = 200;

std::string some_of(const std::vector<std::string>& names, size_t most = kShown) {
  std::vector<std::string> shown(names.begin(), names.begin() + static_cast<int64_t>(std::min(most, names.size())));
  std::string text = join(shown, ", ");
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

// What old files hold as if it were a weight: the numbers 0, 1, 2, … that transformers kept as a buffer until 4.31.
bool is_counted_again(std::string_view name) { return name.ends_with("embeddings.position_ids"); }

}  // namespace

NamedTensors named_parameters(const torch::nn::Module& module) {
  NamedTensors out;
  std::unordered_set<const void*> seen;
  add_parameters(module, "", out, seen);
  return out;
}

NamedTensors state_dict(const torch::nn::Module& module) {
  NamedTensors out;
  add_state(module, "", out);
  return out;
}

void load_state_dict(torch::nn::Module& module, NamedTensors state, bool strict, const std::string& source) {
  const NamedTensors own = state_dict(module);
  std::unordered_map<std::string_view, at::Tensor*> given;
  for (auto& [name, tensor] : state) given[name] = &tensor;

  std::vector<std::string> missing, unexpected, shapes;
  std::unordered_set<std::string_view> known;
  for (const auto& [name, tensor] : own) {
    known.insert(name);
    const auto found = given.find(name);
    if (found == given.end()) {
      missing.push_back(name);
    } else if (found->second->sizes() != tensor.sizes()) {
      shapes.push_back(name + ": file " + c10::str(found->second->sizes()) + ", model " + c10::str(tensor.sizes()));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (known.count(name) == 0 && !is_counted_again(name)) unexpected.push_back(name);
  }
  if (!shapes.empty()) {
    throw Error(Code::kBadData, "weights do not fit the model: other shapes")
        .at(source)
        .seen(some_of(shapes, kAllShapes))
        .next(
            "use the config the weights were trained with, or take over what fits: init_from_nemo_model or "
            "init_from_ptl_ckpt with {NAME: {path: FILE, include: [encoder], exclude: [" +
            shapes.front().substr(0, shapes.front().find(':')) + "]}} (strict=false does not help)");
  }
  if (strict && (!missing.empty() || !unexpected.empty())) {
    std::string seen;
    if (!missing.empty()) seen += "missing: " + some_of(missing);
    if (!unexpected.empty()) seen += (seen.empty() ? "" : "; ") + ("unexpected: " + some_of(unexpected));
    throw Error(Code::kBadData, "weights do not fit the model: other names")
        .at(source)
        .seen(seen)
        .next("use the config the weights were trained with, or load with strict=false");
  }
  if (!missing.empty()) log_warning("restore", "{}: not in the file, left as they are: {}", source, some_of(missing));
  if (!unexpected.empty()) log_warning("restore", "{}: not in the model, ignored: {}", source, some_of(unexpected));

  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : own) {
    if (const auto found = given.find(name); found != given.end()) {
      at::Tensor(tensor).copy_(*found->second);
      found->second->reset();
    }
  }
}

std::vector<std::string> load_part_of_state_dict(torch::nn::Module& module, NamedTensors state,
                                                 const std::vector<std::string>& include,
                                                 const std::vector<std::string>& exclude, const std::string& source) {
  const auto holds_any = [](const std::string& name, const std::vector<std::string>& parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](const std::string& part) { return name.find(part) != std::string::npos; });
  };
  std::unordered_set<std::string> own;
  for (const auto& [name, tensor] : state_dict(module)) own.insert(name);
  NamedTensors chosen;
  std::vector<std::string> loaded;
  for (auto& [name, tensor] : state) {
    if (!holds_any(name, include) || holds_any(name, exclude) || own.count(name) == 0) continue;
    loaded.push_back(name);
    chosen.emplace_back(std::move(name), std::move(tensor));
  }
  // What was left out was left out on purpose: only shapes can be wrong, and load_state_dict() says so.
  NamedTensors rest;
  for (const auto& [name, tensor] : state_dict(module)) {
    if (std::find(loaded.begin(), loaded.end(), name) == loaded.end()) rest.emplace_back(name, tensor);
  }
  chosen.insert(chosen.end(), rest.begin(), rest.end());
  load_state_dict(module, std::move(chosen), /*strict=*/true, source);
  return loaded;
}

int64_t count_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& [name, parameter] : named_parameters(module)) count += parameter.numel();
  return count;
}

std::vector<at::Tensor> gradients_of(const NamedTensors& parameters) {
  std::vector<at::Tensor> out;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined()) out.push_back(parameter.grad());
  }
  return out;
}

bool gradients_are_finite(const NamedTensors& parameters) {
  const at::NoGradGuard no_grad;
  for (const auto& gradient : gradients_of(parameters)) {
    // One pass: a sum that is finite has finite terms. Large finite ones may overflow it, so that is looked at closer.
    if (!std::isfinite(gradient.sum().item<double>()) && !at::isfinite(gradient).all().item<bool>()) return false;
  }
  return true;
}

double gradient_norm(const NamedTensors& parameters) {
  const auto gradients = gradients_of(parameters);
  if (gradients.empty()) return 0;
  return at::stack(at::_foreach_norm(gradients)).norm().item<double>();
}

void clip_gradient_norm(const NamedTensors& parameters, double max_norm, double norm) {
  const double factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return;  // NaN stays: multiplying would change nothing of use
  auto gradients = gradients_of(parameters);
  at::_foreach_mul_(gradients, factor);
}

void clip_gradient_value(const NamedTensors& parameters, double limit) {
  for (auto& gradient : gradients_of(parameters)) gradient.clamp_(-limit, limit);
}

}  // namespace fathom::training
