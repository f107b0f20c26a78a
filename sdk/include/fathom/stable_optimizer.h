// Optimizers on libtorch's stable ABI: a plugin built with `fathom_add_plugin(… TORCH stable …)` works with every
// libtorch from the one it was built for on, while optimizer.h binds a plugin to one version.
//
//   class SignSgd final : public fathom::stable::Optimizer<SignSgdOptions> {
//    public:
//     using Optimizer::Optimizer;
//     void update(SignSgdOptions& o, fathom::stable::UpdateBatch& b) override {
//       for (size_t i = 0; i < b.size(); ++i) {
//         fathom::stable::dispatch(b.parameters[i], [&]<typename T>(T* p) {
//           const T* g = b.gradients[i].const_data_ptr<T>();
//           for (int64_t k = 0; k < b.parameters[i].numel(); ++k) p[k] -= static_cast<T>(o.lr) * (g[k] > 0 ? 1 : -1);
//         });
//       }
//     }
//   };
//
// Groups, overrides, missing gradients, state and errors are the base class's work, as in optimizer.h. Parameters must
// be contiguous float32 or float64 tensors, on the CPU unless needs_cpu() says otherwise. Operations of libtorch are
// called through torch/csrc/stable/ops.h; those with Scalar arguments cannot be. One thread per object.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include "fathom/optimizer_kind.h"

namespace fathom::stable {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// A tensor of the boundary: at::Tensor*, which is what libtorch's AtenTensorHandle is too. Shares its memory.
inline Tensor borrow(fathom_tensor tensor) {
  AtenTensorHandle own = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_new_tensor_handle(reinterpret_cast<AtenTensorHandle>(tensor), &own));
  return Tensor(own);
}
inline fathom_tensor to_abi(const Tensor& tensor) { return reinterpret_cast<fathom_tensor>(tensor.get()); }

// Calls body(T*) with the tensor's memory as float or double.
template <typename Body>
void dispatch(const Tensor& tensor, Body&& body) {
  if (tensor.scalar_type() == ScalarType::Double)
    body(static_cast<double*>(tensor.mutable_data_ptr()));
  else
    body(static_cast<float*>(tensor.mutable_data_ptr()));
}

enum class StateKind {
  kLikeParameter,  // zeros in the parameter's shape
  kStep,           // PyTorch's float32 0-dim count of updates
};
struct StateSlot {
  std::string name;  // PyTorch's key
  StateKind kind = StateKind::kLikeParameter;
};

// What one update sees: the parameters of a group that have a gradient in this step, in parallel vectors, all
// contiguous and of one type per parameter. Gradients must not be changed.
struct UpdateBatch {
  std::vector<Tensor> parameters, gradients;
  std::vector<std::vector<Tensor>> state;  // [slot][i], in the order of slots()

  size_t size() const { return parameters.size(); }
  double count(size_t slot, size_t i) const { return *static_cast<const float*>(state[slot][i].const_data_ptr()); }
  // Adds one to all counts of a slot.
  void advance(size_t slot) {
    for (const Tensor& t : state[slot]) *static_cast<float*>(t.mutable_data_ptr()) += 1;
  }
};

namespace detail {

struct StableGroup : ParameterGroup<StateSlot> {
  std::vector<Tensor> parameters;
  std::vector<std::vector<Tensor>> state;  // [i][slot]; empty until its first gradient
};

}  // namespace detail

// Everything but the options' type and the formula. Authors derive from Optimizer<Options>.
class OptimizerBase : public GroupedOptimizer<detail::StableGroup> {
 public:
  void step(const fathom_tensor* gradients, size_t count) final {
    check_gradient_count(count, parameter_count_);
    // All gradients are looked at before any parameter changes.
    std::vector<UpdateBatch> batches;
    for (Group& group : groups_) batches.push_back(collect(group, gradients + group.first));
    for (size_t g = 0; g < groups_.size(); ++g) {
      ++groups_[g].steps;
      if (batches[g].size() > 0) update_group(g, batches[g]);
    }
  }

 protected:
  using Group = detail::StableGroup;
  virtual void update_group(size_t group, UpdateBatch& batch) = 0;
  // False for an update that works on any device: one of libtorch's operations alone, without dispatch().
  virtual bool needs_cpu() const { return true; }

 private:
  const void* add_parameter(Group& group, fathom_tensor tensor) final {
    group.parameters.push_back(borrow(tensor));
    group.state.emplace_back();
    const Tensor& p = group.parameters.back();
    check_parameter(p, group.names.back());
    return p.numel() > 0 ? p.mutable_data_ptr() : nullptr;
  }
  fathom_value state_of(const Group& group, size_t s, size_t i) const final {
    fathom_value value{};
    if (group.state[i].empty()) return value;
    value.kind = FATHOM_VALUE_TENSOR;
    value.rank = static_cast<int32_t>(group.state[i][s].dim());
    value.as.tensor = to_abi(group.state[i][s]);
    return value;
  }

  static bool is_strided(const Tensor& tensor) {
    int32_t layout = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_layout(tensor.get(), &layout));
    return layout == aoti_torch_layout_strided();
  }
  static std::string shape_of(const Tensor& tensor) {
    std::string text = "shape [";
    for (int64_t d = 0; d < tensor.dim(); ++d) text += (d > 0 ? ", " : "") + std::to_string(tensor.size(d));
    return text + "]";
  }
  static bool same_shape(const Tensor& a, const Tensor& b) { return shape_of(a) == shape_of(b); }

  void check_parameter(const Tensor& p, const std::string& name) const {
    const bool usable = p.defined() && (p.is_cpu() || !needs_cpu()) && is_strided(p) && p.is_contiguous() &&
                        (p.scalar_type() == ScalarType::Float || p.scalar_type() == ScalarType::Double);
    if (usable) return;
    throw Error(Code::kFailed, "this optimizer needs contiguous float32 or float64 parameters on the CPU")
        .at(name)
        .seen(p.defined() ? shape_of(p) : "an undefined tensor")
        .next("use another optimizer");
  }

  static UpdateBatch collect(Group& group, const fathom_tensor* gradients) {
    UpdateBatch batch;
    batch.state.resize(group.slots.size());
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      if (gradients[i] == nullptr) continue;
      Tensor gradient = borrow(gradients[i]);
      if (!gradient.defined()) continue;
      const Tensor& p = group.parameters[i];
      if (!is_strided(gradient)) refuse_sparse(group.names[i]);
      if (gradient.is_cpu() != p.is_cpu() || gradient.numel() != p.numel() || !same_shape(gradient, p)) {
        throw Error(Code::kInternal, "a gradient does not fit its parameter")
            .at(group.names[i])
            .seen(shape_of(gradient))
            .expected(shape_of(p));
      }
      if (gradient.scalar_type() != p.scalar_type()) gradient = torch::stable::to(gradient, p.scalar_type());
      if (!gradient.is_contiguous()) gradient = torch::stable::contiguous(gradient);
      if (group.state[i].empty()) activate(group, i);
      batch.parameters.push_back(p);
      batch.gradients.push_back(std::move(gradient));
      for (size_t s = 0; s < group.slots.size(); ++s) batch.state[s].push_back(group.state[i][s]);
    }
    return batch;
  }

  static void activate(Group& group, size_t i) {
    const Tensor& p = group.parameters[i];
    for (const StateSlot& slot : group.slots) {
      const std::vector<int64_t> none;
      group.state[i].push_back(slot.kind == StateKind::kStep ? torch::stable::new_zeros(p, none, ScalarType::Float)
                                                             : torch::stable::new_zeros(p, p.sizes()));
    }
  }

  void load_slot(size_t g, size_t s, size_t i, const fathom_value& value) final {
    Group& group = groups_[g];
    if (group.state[i].empty()) activate(group, i);
    Tensor& kept = group.state[i][s];
    const StateSlot& slot = group.slots[s];
    const auto fail = [&](std::string seen, std::string expected) {
      refuse_state(slot.name, group.names[i], std::move(seen), std::move(expected));
    };
    if (slot.kind == StateKind::kStep && (value.kind == FATHOM_VALUE_INT || value.kind == FATHOM_VALUE_REAL)) {
      torch::stable::fill_(kept,
                           value.kind == FATHOM_VALUE_INT ? static_cast<double>(value.as.integer) : value.as.real);
      return;
    }
    if (value.kind != FATHOM_VALUE_TENSOR) fail("a value of another kind", "a tensor");
    Tensor loaded = borrow(value.as.tensor);
    if (slot.kind == StateKind::kStep) {
      if (loaded.numel() != 1) fail("a tensor of " + shape_of(loaded), "one number");
      const std::vector<int64_t> none;
      loaded = torch::stable::reshape(loaded, none);
    } else if (!same_shape(loaded, kept)) {
      fail(shape_of(loaded), shape_of(kept));
    }
    torch::stable::copy_(kept, loaded);
  }
};

template <typename O>
class Optimizer : public WithOptions<O, OptimizerBase> {
 public:
  using WithOptions<O, OptimizerBase>::WithOptions;

  // --- the author's part, besides that of WithOptions ---
  virtual std::vector<StateSlot> slots(const O& /*options*/) const { return {}; }
  virtual void update(O& options, UpdateBatch& batch) = 0;

 private:
  std::vector<StateSlot> group_slots(size_t group) const final { return slots(this->options(group)); }
  void update_group(size_t group, UpdateBatch& batch) final { update(this->options(group), batch); }
};

}  // namespace fathom::stable
