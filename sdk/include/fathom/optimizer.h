// Kind `optimizer`: one update of the parameters from their gradients.
//
//   struct LionOptions {
//     double lr = 1e-4, weight_decay = 0;
//     std::vector<double> betas = {0.9, 0.99};
//     static void describe(fathom::OptionSet<LionOptions>& o) {
//       o("lr", &LionOptions::lr, "learning rate")("weight_decay", &LionOptions::weight_decay, "decoupled weight
//       decay")…;
//     }
//   };
//   class Lion final : public fathom::Optimizer<LionOptions> {
//    public:
//     using Optimizer::Optimizer;
//     std::vector<fathom::StateSlot> slots(const LionOptions&) const override { return {{"exp_avg"}}; }
//     void update(LionOptions& o, fathom::UpdateBatch& b) override {
//       for (size_t i = 0; i < b.size(); ++i) {
//         at::Tensor &p = b.parameters[i], &g = b.gradients[i], &m = b.state[0][i];
//         p.mul_(1 - o.lr * o.weight_decay).add_((m * o.betas[0] + g * (1 - o.betas[0])).sign_(), -o.lr);
//         m.mul_(o.betas[1]).add_(g, 1 - o.betas[1]);
//       }
//     }
//   };
//   r.add<Lion>("lion", "sign of an interpolated momentum");
//
// Groups, overrides per group, missing gradients, state files and errors are the base class's work. Options are named
// as in PyTorch's param_groups and state as in its state_dict, so checkpoints of both read each other. One thread per
// object.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "fathom/optimizer_kind.h"
#include "fathom/values.h"

namespace fathom {

enum class StateKind {
  kLikeParameter,  // zeros in the parameter's shape
  kStep,           // PyTorch's float32 0-dim count of updates
  kInteger,        // a count that PyTorch keeps as a Python int (NovoGrad, Adafactor)
  kOwn,            // undefined until update() or initial() makes it
};
struct StateSlot {
  std::string name;  // PyTorch's key
  StateKind kind = StateKind::kLikeParameter;
};

// What one update sees: the parameters of a group that have a gradient in this step, in parallel vectors. They are
// dense float32 or float64 tensors (others are worked on as such copies and written back) on the parameter's device; a
// parameter and its gradient and kLikeParameter state have the same strides, so that kernels may walk their memory,
// where check_parameter() has made sure that it is memory they can reach. Gradients must not be changed.
struct UpdateBatch {
  std::vector<at::Tensor> parameters, gradients;
  std::vector<std::vector<at::Tensor>> state;  // [slot][i], in the order of slots()
  int64_t group_steps = 0;                     // step() calls the group has seen, this one included

  size_t size() const { return parameters.size(); }
  // The count kept in a kStep or kInteger slot. Counts stay on the CPU, whatever the device of the parameters.
  double count(size_t slot, size_t i) const {
    const at::Tensor& t = state[slot][i];
    return t.scalar_type() == at::kFloat ? *t.const_data_ptr<float>()
                                         : static_cast<double>(*t.const_data_ptr<int64_t>());
  }
  // Adds one to all counts of a slot.
  void advance(size_t slot) {
    for (at::Tensor& t : state[slot]) {
      if (t.scalar_type() == at::kFloat)
        *t.mutable_data_ptr<float>() += 1.0f;
      else
        *t.mutable_data_ptr<int64_t>() += 1;
    }
  }
};

namespace optimizer_detail {

struct TorchGroup : ParameterGroup<StateSlot> {
  UpdateBatch all;           // gradients are there during step() only
  std::vector<bool> active;  // has state
  std::vector<bool> plain;   // dense float32 or float64: worked on in place
  bool whole = true;         // every parameter is plain and has a gradient in this step
};

}  // namespace optimizer_detail

// Everything but the options' type and the formula. Authors derive from Optimizer<Options>.
class OptimizerBase : public GroupedOptimizer<optimizer_detail::TorchGroup> {
 public:
  // gradients[i] belongs to the i-th parameter in order of addition; null or undefined = none, the parameter is
  // skipped.
  void step(const fathom_tensor* list, size_t count) final {
    static_assert(sizeof(fathom_tensor) == sizeof(at::Tensor*));
    auto* const* gradients = reinterpret_cast<at::Tensor* const*>(list);
    check_gradient_count(count, parameter_count_);
    const at::NoGradGuard no_grad;
    for (Group& group : groups_) collect(group, gradients);
    std::vector<const at::Tensor*> present;
    if (wants_all_gradients()) {
      for (const Group& group : groups_) {
        for (const at::Tensor& gradient : group.all.gradients) {
          if (gradient.defined()) present.push_back(&gradient);
        }
      }
      before_step(present);
    }
    for (size_t g = 0; g < groups_.size(); ++g) step_group(g);
  }

 protected:
  using Group = optimizer_detail::TorchGroup;
  virtual at::Tensor initial_state(size_t group, size_t slot, const at::Tensor& parameter) const = 0;
  virtual void update_group(size_t group, UpdateBatch& batch) = 0;
  // Throws for parameters that the optimizer cannot work on (a kernel that walks the memory of CPU tensors).
  virtual void check_parameter(const at::Tensor& /*parameter*/, const std::string& /*name*/) const {}
  // True where every parameter has state before its first gradient, as PyTorch's Adagrad.
  virtual bool has_state_from_start() const { return false; }
  // For optimizers that look at all gradients of all groups first (a global norm).
  virtual bool wants_all_gradients() const { return false; }
  virtual void before_step(const std::vector<const at::Tensor*>& /*gradients*/) {}

 private:
  // Refuses tensors that are not of floating point, and those that check_parameter() refuses.
  const void* add_parameter(Group& group, fathom_tensor tensor) final {
    const at::Tensor& p = *reinterpret_cast<at::Tensor*>(tensor);
    if (!p.defined() || !at::isFloatingType(p.scalar_type())) {
      throw Error(Code::kFailed, "an optimizer needs floating point parameters")
          .at(group.names.back())
          .seen(p.defined() ? std::string(c10::toString(p.scalar_type())) + " on " + p.device().str()
                            : "an undefined tensor");
    }
    check_parameter(p, group.names.back());
    group.all.parameters.push_back(p);
    group.active.push_back(false);
    group.plain.push_back(p.is_non_overlapping_and_dense() &&
                          (p.scalar_type() == at::kFloat || p.scalar_type() == at::kDouble));
    return p.unsafeGetTensorImpl();
  }
  void group_added(size_t g) final {
    Group& group = groups_[g];
    group.all.state.assign(group.slots.size(), std::vector<at::Tensor>(group.all.size()));
    if (!has_state_from_start()) return;
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < group.all.size(); ++i) activate(g, i);
  }
  fathom_value state_of(const Group& group, size_t s, size_t i) const final {
    fathom_value value{};
    const at::Tensor& kept = group.all.state[s][i];
    if (!group.active[i] || !kept.defined()) return value;
    if (group.slots[s].kind == StateKind::kInteger) {
      value.kind = FATHOM_VALUE_INT;
      value.as.integer = *kept.const_data_ptr<int64_t>();
    } else {
      value.kind = FATHOM_VALUE_TENSOR;
      value.rank = static_cast<int32_t>(kept.dim());
      value.as.tensor = borrow(kept);
    }
    return value;
  }

  static bool same_layout(const at::Tensor& a, const at::Tensor& b) {
    return (a.is_contiguous() && b.is_contiguous()) || a.strides() == b.strides();
  }

  void collect(Group& group, at::Tensor* const* gradients) {
    auto& out = group.all.gradients;
    out.clear();
    group.whole = true;
    for (size_t i = 0; i < group.all.size(); ++i) {
      const at::Tensor* gradient = gradients[group.first + i];
      if (gradient == nullptr || !gradient->defined()) {
        out.emplace_back();
        group.whole = false;
        continue;
      }
      const at::Tensor& p = group.all.parameters[i];
      if (gradient->layout() != at::kStrided) {
        refuse_sparse(group.names[i]);
      }
      if (gradient->sizes() != p.sizes() || gradient->device() != p.device()) {
        throw Error(Code::kInternal, "a gradient does not fit its parameter")
            .at(group.names[i])
            .seen(c10::str(gradient->sizes(), " on ", gradient->device().str()))
            .expected(c10::str(p.sizes(), " on ", p.device().str()));
      }
      if (!group.plain[i]) group.whole = false;
      if (gradient->scalar_type() == p.scalar_type() && same_layout(*gradient, p))
        out.push_back(*gradient);
      else
        out.push_back(at::empty_like(p).copy_(*gradient));
    }
  }

  void step_group(size_t g) {
    Group& group = groups_[g];
    group.all.group_steps = ++group.steps;
    for (size_t i = 0; i < group.all.size(); ++i) {
      if (!group.active[i] && group.all.gradients[i].defined()) activate(g, i);
    }
    if (group.whole) {
      if (group.all.size() > 0) update_group(g, group.all);
    } else {
      step_part(g);
    }
    group.all.gradients.clear();  // so that they can be freed
  }

  // Some parameters have no gradient, or need a copy to be worked on: a batch of the others, written back afterwards.
  void step_part(size_t g) {
    Group& group = groups_[g];
    UpdateBatch part;
    part.group_steps = group.all.group_steps;
    part.state.resize(group.slots.size());
    std::vector<size_t> index;
    const auto work = [](const at::Tensor& t) {
      const auto type = t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
      return t.to(type).contiguous();
    };
    for (size_t i = 0; i < group.all.size(); ++i) {
      if (!group.all.gradients[i].defined()) continue;
      index.push_back(i);
      const bool plain = group.plain[i];
      part.parameters.push_back(plain ? group.all.parameters[i] : work(group.all.parameters[i]));
      part.gradients.push_back(plain ? group.all.gradients[i] : work(group.all.gradients[i]));
      for (size_t s = 0; s < group.slots.size(); ++s) {
        const at::Tensor& state = group.all.state[s][i];
        const bool convert = !plain && state.defined() && group.slots[s].kind != StateKind::kStep &&
                             group.slots[s].kind != StateKind::kInteger;
        part.state[s].push_back(convert ? work(state) : state);
      }
    }
    if (index.empty()) return;
    update_group(g, part);
    for (size_t k = 0; k < index.size(); ++k) {
      const size_t i = index[k];
      if (!group.plain[i] && !part.parameters[k].is_same(group.all.parameters[i])) {
        group.all.parameters[i].copy_(part.parameters[k]);
      }
      for (size_t s = 0; s < group.slots.size(); ++s) {
        at::Tensor& kept = group.all.state[s][i];
        const at::Tensor& made = part.state[s][k];
        if (made.is_same(kept) || !made.defined()) continue;
        if (kept.defined() && kept.sizes() == made.sizes())
          kept.copy_(made);
        else
          kept =
              group.plain[i] || made.scalar_type() == at::kLong ? made : made.to(group.all.parameters[i].scalar_type());
      }
    }
  }

  void activate(size_t g, size_t i) {
    Group& group = groups_[g];
    for (size_t s = 0; s < group.slots.size(); ++s) {
      group.all.state[s][i] = initial_state(g, s, group.all.parameters[i]);
    }
    group.active[i] = true;
  }

  void load_slot(size_t g, size_t s, size_t i, const fathom_value& given) final {
    const Value value = Value::from_abi(given);
    const at::NoGradGuard no_grad;
    Group& group = groups_[g];
    if (!group.active[i]) activate(g, i);
    at::Tensor& kept = group.all.state[s][i];
    const StateSlot& slot = group.slots[s];
    const auto fail = [&](std::string seen, std::string expected) {
      refuse_state(slot.name, group.names[i], std::move(seen), std::move(expected));
    };
    at::Tensor loaded;
    if (value.is_tensor()) {
      loaded = value.tensor();
    } else if (value.is_integer()) {
      loaded = at::zeros({}, at::kLong).fill_(value.integer());
    } else if (value.is_real()) {
      loaded = at::zeros({}, at::kDouble).fill_(value.real());
    } else {
      fail(value.kind_name(), "a tensor or a number");
    }
    const at::Tensor& p = group.all.parameters[i];
    if (slot.kind == StateKind::kStep || slot.kind == StateKind::kInteger) {
      if (loaded.numel() != 1) fail(c10::str("a tensor of shape ", loaded.sizes()), "one number");
      kept.copy_(loaded.reshape({}));
    } else if (kept.defined()) {
      if (loaded.sizes() != kept.sizes()) fail(c10::str("shape ", loaded.sizes()), c10::str("shape ", kept.sizes()));
      kept.copy_(loaded);
    } else if (loaded.sizes() == p.sizes()) {
      kept = at::empty_like(p).copy_(loaded);
    } else {
      kept = loaded.to(p.scalar_type(), /*non_blocking=*/false, /*copy=*/true).contiguous();
    }
  }
};

template <typename O>
class Optimizer : public WithOptions<O, OptimizerBase> {
 public:
  using WithOptions<O, OptimizerBase>::WithOptions;

  // --- the author's part, besides that of WithOptions ---
  virtual std::vector<StateSlot> slots(const O& /*options*/) const { return {}; }
  // A state's first value, when it is not what its kind says; may stay undefined.
  virtual at::Tensor initial(const O& /*options*/, const StateSlot& slot, const at::Tensor& parameter) const {
    switch (slot.kind) {
      case StateKind::kLikeParameter: return at::zeros_like(parameter);
      case StateKind::kStep: return at::zeros({}, at::kFloat);
      case StateKind::kInteger: return at::zeros({}, at::kLong);
      case StateKind::kOwn: return {};
    }
    return {};
  }
  virtual void update(O& options, UpdateBatch& batch) = 0;

 private:
  std::vector<StateSlot> group_slots(size_t group) const final { return slots(this->options(group)); }
  at::Tensor initial_state(size_t group, size_t slot, const at::Tensor& parameter) const final {
    return initial(this->options(group), slots(this->options(group))[slot], parameter);
  }
  void update_group(size_t group, UpdateBatch& batch) final { update(this->options(group), batch); }
};

// --- the caller's side
// ------------------------------------------------------------------------------------------------

// An optimizer made by name, of any plugin.
class OptimizerHandle {
 public:
  OptimizerHandle() = default;
  explicit OptimizerHandle(fathom_object object) : handle_(std::make_shared<Handle<fathom_optimizer_v1>>(object)) {}

  explicit operator bool() const { return handle_ != nullptr; }
  std::string name() const { return handle_->name(); }
  // What it declares: {"options": […]}.
  Json schema() const { return parse_text(to_view(handle_->component().schema)); }

  // `options` overrides the options given at creation for this group.
  void add_group(const std::vector<std::pair<std::string, at::Tensor>>& parameters,
                 const Json& options = Json::object()) {
    std::vector<fathom_parameter> list;
    for (const auto& [name, tensor] : parameters) list.push_back({to_abi(name), borrow(tensor)});
    const std::string text = json_text(options);
    const auto array = array_of<fathom_parameters>(list.data(), list.size());
    check(table().add_group(handle_->self(), &array, to_abi(text)));
  }
  // The same without a vector of tensors: gradients[i] borrowed, null = none.
  void step(const std::vector<fathom_tensor>& gradients) {
    check(table().step(handle_->self(), gradients.data(), gradients.size()));
  }
  // gradients[i] of the i-th parameter in order of addition; undefined = none, the parameter is skipped.
  void step(const std::vector<at::Tensor>& gradients) {
    pointers_.clear();
    for (const at::Tensor& g : gradients) pointers_.push_back(g.defined() ? borrow(g) : nullptr);
    check(table().step(handle_->self(), pointers_.data(), pointers_.size()));
  }
  size_t group_count() const {
    size_t count = 0;
    check(table().group_count(handle_->self(), &count));
    return count;
  }
  double get_option(size_t group, std::string_view name) const {
    double value = 0;
    check(table().get_option(handle_->self(), group, to_abi(name), &value));
    return value;
  }
  void set_option(size_t group, std::string_view name, double value) {
    check(table().set_option(handle_->self(), group, to_abi(name), value));
  }
  // A param_groups entry of PyTorch's state_dict, without `params`.
  Json group_options(size_t group) const {
    return read_json([&](const fathom_text_sink* json) { return table().group_options(handle_->self(), group, json); });
  }
  void load_group(size_t group, const Json& options) {
    const std::string text = json_text(options);
    check(table().load_group(handle_->self(), group, to_abi(text)));
  }
  // PyTorch's `state`: parameter index in order of addition -> its values. Tensors are shared with the optimizer: copy
  // what must outlive the next step.
  std::map<int64_t, Values> save_state() const {
    std::map<int64_t, Values> out;
    const fathom_state_sink sink = {&out, [](void* ctx, int64_t parameter, const fathom_named_value* value) {
                                      return guard([&] {
                                        (*static_cast<std::map<int64_t, Values>*>(ctx))[parameter].add(
                                            to_string(value->name), Value::from_abi(value->value));
                                      });
                                    }};
    check(table().save_state(handle_->self(), &sink));
    return out;
  }
  void load_state(int64_t parameter, const std::string& name, const Value& value) {
    Value::Arena arena;
    const fathom_named_value named = {to_abi(name), value.to_abi(arena)};
    check(table().load_state(handle_->self(), parameter, &named));
  }

 private:
  const fathom_optimizer_v1& table() const { return handle_->vtable(); }
  std::shared_ptr<Handle<fathom_optimizer_v1>> handle_;
  std::vector<fathom_tensor> pointers_;
};

// `config` is the model's `optim` section: its `name` or `_target_`, and the optimizer's options.
inline OptimizerHandle make_optimizer(const Json& config, const std::string& config_path) {
  return OptimizerHandle(create_object(1u << FATHOM_KIND_OPTIMIZER, config, config_path));
}

}  // namespace fathom
