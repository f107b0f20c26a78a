#include "plugins/lib/nn/conv_chain.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "plugins/lib/nn/conv_chain_kernel.h"
#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One call's plan: what the passes need beside tensors. Inputs of the function are x and, stage by stage (the residual
// last): the depthwise weight if there is one, the pointwise weight, the norm's weight and bias.
struct ChainPlan : torch::CustomClassHolder {
  struct Geometry {
    int64_t stride = 1, dilation = 1, pad_left = 0, pad_right = 0;
    LengthMaskPtr mask, out_mask;  // also what keeps the lengths that the parts point to
  };
  std::vector<ChainPart> parts;  // the residual last, if any
  std::vector<Geometry> geometry;
  bool residual = false, relu = false, bfloat16 = false;

  size_t stages() const { return parts.size() - (residual ? 1 : 0); }
  at::ScalarType dtype() const { return bfloat16 ? at::kBFloat16 : at::kFloat; }
};
using ChainPlanPtr = c10::intrusive_ptr<ChainPlan>;

at::Tensor float_of(const std::vector<double>& values) { return at::tensor(values, at::kDouble).to(at::kFloat); }

// The function's inputs as the passes want them.
std::vector<ChainTensors> tensors_of(const ChainPlan& plan, at::TensorList inputs) {
  std::vector<ChainTensors> out;
  size_t next = 1;
  for (const ChainPart& part : plan.parts) {
    ChainTensors t;
    if (part.depthwise) t.depthwise = inputs[next++].contiguous();
    t.pointwise = inputs[next++].detach().squeeze(-1).to(plan.dtype()).contiguous();
    t.weight = inputs[next++].contiguous();
    t.bias = inputs[next++].contiguous();
    out.push_back(std::move(t));
  }
  return out;
}

// The same on aten's operators: what higher derivatives are taken of.
at::Tensor on_aten(const ChainPlan& plan, at::TensorList inputs) {
  const c10::impl::ExcludeDispatchKeyGuard explicitly(
      at::autocast::get_autocast_dispatch_key_from_device_type(at::kCPU));
  size_t next = 1;
  const int64_t none = 0;  // padding
  const auto stage = [&](size_t i, at::Tensor x) {
    const ChainPart& part = plan.parts[i];
    const ChainPlan::Geometry& g = plan.geometry[i];
    if (g.mask) x = g.mask->apply(x);
    if (part.depthwise) {
      x = at::conv1d(at::constant_pad_nd(x, {g.pad_left, g.pad_right}), inputs[next++].to(plan.dtype()), std::nullopt,
                     g.stride, none, g.dilation, part.shape.rows);
      if (g.out_mask) x = g.out_mask->apply(x);
    }
    x = at::conv1d(x, inputs[next++].to(plan.dtype()));
    const at::Tensor &weight = inputs[next++], &bias = inputs[next++];
    return part.training ? at::batch_norm(x, weight, bias, {}, {}, true, 0, part.eps, false)
                         : at::batch_norm(x, weight, bias, float_of(part.mean), float_of(part.variance), false, 0,
                                          part.eps, false);
  };
  const at::Tensor x = inputs[0].to(plan.dtype());
  at::Tensor y = x;
  for (size_t i = 0; i < plan.stages(); ++i) y = stage(i, i > 0 ? at::relu(y) : y);
  if (plan.residual) y = y + stage(plan.stages(), x);
  return plan.relu ? at::relu(y) : y;
}

struct ChainFunction : torch::autograd::Function<ChainFunction> {
  static at::Tensor forward(AutogradContext* ctx, at::TensorList inputs, const ChainPlanPtr& plan) {
    const at::Tensor x = inputs[0].to(plan->dtype()).contiguous();
    std::vector<ChainTensors> tensors = tensors_of(*plan, inputs);
    at::Tensor y =
        plan->bfloat16 ? run_forward<c10::BFloat16>(*plan, x, tensors) : run_forward<float>(*plan, x, tensors);
    if (ctx == nullptr) return y;
    variable_list saved(inputs.begin(), inputs.end());
    saved.push_back(y);
    for (const ChainTensors& t : tensors) {
      if (t.filtered.defined()) saved.push_back(t.filtered);
      saved.push_back(t.product);
    }
    ctx->save_for_backward(std::move(saved));
    ctx->saved_data["plan"] = c10::IValue::make_capsule(plan);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    variable_list saved = ctx->get_saved_variables();  // throws when the graph has been freed
    const auto plan = c10::static_intrusive_pointer_cast<ChainPlan>(ctx->saved_data["plan"].toCapsule());
    size_t count = 1;
    for (const ChainPart& part : plan->parts) count += part.depthwise ? 4 : 3;
    const variable_list inputs(saved.begin(), saved.begin() + static_cast<int64_t>(count));
    variable_list out(count + 1);
    if (at::GradMode::is_enabled()) {  // somebody wants derivatives of these gradients
      variable_list wanted;
      for (const at::Tensor& input : inputs) {
        if (input.requires_grad()) wanted.push_back(input);
      }
      const variable_list found = torch::autograd::grad({on_aten(*plan, inputs)}, wanted, {grads[0]}, true, true, true);
      for (size_t i = 0, next = 0; i < count; ++i) {
        if (inputs[i].requires_grad()) out[i] = found[next++];
      }
      return out;
    }
    std::vector<ChainTensors> tensors = tensors_of(*plan, inputs);
    size_t next = count;
    const at::Tensor y = saved[next++];
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (plan->parts[i].depthwise) tensors[i].filtered = std::move(saved[next++]);
      tensors[i].product = std::move(saved[next++]);
    }
    const at::Tensor x = inputs[0].to(plan->dtype()).contiguous(), dy = grads[0].to(plan->dtype()).contiguous();
    const bool need_x = ctx->needs_input_grad(0);
    std::vector<bool> need;
    for (size_t i = 0; i < count; ++i) need.push_back(ctx->needs_input_grad(i));
    at::Tensor dx = plan->bfloat16 ? run_backward<c10::BFloat16>(*plan, x, y, dy, tensors, need, out)
                                   : run_backward<float>(*plan, x, y, dy, tensors, need, out);
    if (need_x) out[0] = dx.to(inputs[0].scalar_type());
    return out;
  }

 private:
  template <typename S>
  static at::Tensor run_forward(ChainPlan& plan, const at::Tensor& x, std::vector<ChainTensors>& tensors) {
    // The passes take the residual by itself.
    ChainPart residual;
    ChainTensors residual_tensors;
    if (plan.residual) {
      residual = std::move(plan.parts.back()), plan.parts.pop_back();
      residual_tensors = std::move(tensors.back()), tensors.pop_back();
    }
    at::Tensor y = ChainKernel<S>::forward(x, plan.parts, tensors, plan.residual ? &residual : nullptr,
                                           plan.residual ? &residual_tensors : nullptr, plan.relu);
    if (plan.residual) {
      plan.parts.push_back(std::move(residual));
      tensors.push_back(std::move(residual_tensors));
    }
    return y;
  }

  template <typename S>
  static at::Tensor run_backward(const ChainPlan& plan, const at::Tensor& x, const at::Tensor& y, const at::Tensor& dy,
                                 std::vector<ChainTensors>& tensors, const std::vector<bool>& need,
                                 variable_list& out) {
    std::vector<ChainPart> parts(plan.parts.begin(), plan.parts.begin() + static_cast<int64_t>(plan.stages()));
    ChainTensors residual;
    if (plan.residual) residual = std::move(tensors.back()), tensors.pop_back();
    std::vector<typename ChainKernel<S>::Gradients> gradients(plan.parts.size());
    for (size_t i = 0, input = 1; i < plan.parts.size(); ++i) {
      if (plan.parts[i].depthwise) ++input;
      gradients[i].need_pointwise = need[input];
      input += 3;
    }
    typename ChainKernel<S>::Gradients residual_gradients = gradients.back();
    gradients.resize(parts.size());
    at::Tensor dx = ChainKernel<S>::backward(x, y, dy, parts, tensors, plan.residual ? &plan.parts.back() : nullptr,
                                             plan.residual ? &residual : nullptr, plan.relu, need[0], gradients,
                                             residual_gradients);
    if (plan.residual) gradients.push_back(std::move(residual_gradients));
    size_t next = 1;
    for (auto& g : gradients) {
      if (g.depthwise.defined()) out[next++] = g.depthwise;
      out[next++] = g.pointwise.defined() ? g.pointwise.unsqueeze(-1) : at::Tensor();
      out[next++] = g.weight;
      out[next++] = g.bias;
    }
    return dx;
  }
};

bool plain_float(const at::Tensor& tensor) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat;
}

bool autocast_to_bfloat16() {
  return at::autocast::is_autocast_enabled(at::kCPU) && at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16;
}

int64_t frames_out(const ChainStage& stage, int64_t frames) {
  const int64_t reach = stage.dilation * (stage.depthwise.size(2) - 1) + 1;
  const int64_t room = frames + stage.pad_left + stage.pad_right - reach;
  return room < 0 ? 0 : room / stage.stride + 1;
}

// Whether a stage fits the passes; frames become those of its output.
bool stage_applies(const ChainStage& stage, int64_t items, int64_t& channels, int64_t& frames, bool bfloat16) {
  const auto& norm = *stage.norm;
  if (!plain_float(stage.pointwise) || stage.pointwise.dim() != 3 || stage.pointwise.size(1) != channels ||
      stage.pointwise.size(2) != 1) {
    return false;
  }
  if (stage.depthwise.defined()) {
    if (!plain_float(stage.depthwise) || stage.depthwise.size(0) != channels || stage.depthwise.size(1) != 1 ||
        stage.pad_left < 0 || stage.pad_right < 0 || !weights_are_finite(stage.depthwise)) {
      return false;
    }
    frames = frames_out(stage, frames);
  }
  for (const LengthMaskPtr& mask : {stage.mask, stage.out_mask}) {
    if (mask && mask->host_lengths() == nullptr) return false;
  }
  if (bfloat16 && (channels % 2 != 0 || stage.pointwise.size(0) % 2 != 0)) return false;
  channels = stage.pointwise.size(0);
  return frames > 0 && plain_float(norm.weight) && plain_float(norm.bias) && plain_float(norm.running_mean) &&
         plain_float(norm.running_var) && norm.options.momentum().has_value() &&
         (!norm.is_training() || items * frames > 1);
}

void add_part(ChainPlan& plan, const ChainStage& stage, int64_t items, int64_t frames) {
  ChainPart part;
  part.depthwise = stage.depthwise.defined();
  part.shape.items = items;
  part.shape.rows = part.shape.filters = stage.pointwise.size(1);
  part.shape.t_in = frames;
  part.shape.t_out = part.depthwise ? frames_out(stage, frames) : frames;
  if (part.depthwise) {
    part.shape.kernel = stage.depthwise.size(2);
    part.shape.stride = stage.stride;
    part.shape.dilation = stage.dilation;
    part.shape.pad_left = stage.pad_left;
  }
  part.shape.lengths = stage.mask ? stage.mask->host_lengths() : nullptr;
  part.shape.out_lengths = stage.out_mask ? stage.out_mask->host_lengths() : nullptr;
  part.channels = stage.pointwise.size(0);
  const auto& norm = *stage.norm;
  part.training = norm.is_training();
  part.eps = norm.options.eps();
  if (!part.training) {
    const auto doubles = [](const at::Tensor& tensor) {
      const at::Tensor values = tensor.to(at::kDouble).contiguous();
      return std::vector<double>(values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel());
    };
    part.mean = doubles(norm.running_mean);
    part.variance = doubles(norm.running_var);
  }
  plan.parts.push_back(std::move(part));
  plan.geometry.push_back({stage.stride, stage.dilation, stage.pad_left, stage.pad_right, stage.mask, stage.out_mask});
}

void update_statistics(torch::nn::BatchNorm1dImpl& norm, const ChainPart& part) {
  if (!part.training) return;
  const at::NoGradGuard no_grad;
  const auto count = static_cast<double>(part.shape.items * part.shape.t_out);
  std::vector<double> unbiased = part.variance;
  for (double& v : unbiased) v *= count / (count - 1);
  norm.num_batches_tracked.add_(1);
  norm.running_mean.lerp_(float_of(part.mean), *norm.options.momentum());
  norm.running_var.lerp_(float_of(unbiased), *norm.options.momentum());
}

}  // namespace

bool conv_chain_applies(const at::Tensor& x, const std::vector<ChainStage>& stages,
                        const std::optional<ChainStage>& residual) {
  const bool bfloat16 = autocast_to_bfloat16();
  // Its products are oneDNN's: whoever switches that off wants aten's arithmetic.
  if (!at::globalContext().userEnabledMkldnn()) return false;
  if (x.dim() != 3 || !x.is_cpu() || x.numel() == 0 || stages.empty()) return false;
  if (bfloat16 ? !pairs_supported() || (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16)
               : !own_kernels_apply(x, stages[0].pointwise) || x.scalar_type() != at::kFloat) {
    return false;
  }
  int64_t channels = x.size(1), frames = x.size(2);
  for (const ChainStage& stage : stages) {
    if (!stage_applies(stage, x.size(0), channels, frames, bfloat16)) return false;
  }
  if (!residual) return true;
  int64_t residual_channels = x.size(1), residual_frames = x.size(2);
  return !residual->depthwise.defined() &&
         stage_applies(*residual, x.size(0), residual_channels, residual_frames, bfloat16) &&
         residual_channels == channels && residual_frames == frames;
}

at::Tensor conv_chain(const at::Tensor& x, const std::vector<ChainStage>& stages,
                      const std::optional<ChainStage>& residual, bool relu) {
  auto plan = c10::make_intrusive<ChainPlan>();
  plan->relu = relu;
  plan->residual = residual.has_value();
  plan->bfloat16 = autocast_to_bfloat16();
  std::vector<const ChainStage*> all;
  for (const ChainStage& stage : stages) all.push_back(&stage);
  if (residual) all.push_back(&*residual);

  variable_list inputs = {x};
  int64_t frames = x.size(2);
  for (size_t i = 0; i < all.size(); ++i) {
    const ChainStage& stage = *all[i];
    add_part(*plan, stage, x.size(0), i < stages.size() ? frames : x.size(2));
    frames = plan->parts.back().shape.t_out;
    if (stage.depthwise.defined()) inputs.push_back(stage.depthwise);
    inputs.insert(inputs.end(), {stage.pointwise, stage.norm->weight, stage.norm->bias});
  }
  const bool graph = at::GradMode::is_enabled() &&
                     std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& t) { return t.requires_grad(); });
  at::Tensor y = graph ? ChainFunction::apply(at::TensorList(inputs), plan)
                       : ChainFunction::forward(nullptr, at::TensorList(inputs), plan);
  for (size_t i = 0; i < all.size(); ++i) update_statistics(*all[i]->norm, plan->parts[i]);
  return y;
}

}  // namespace fathom::nn
