#include "plugins/lib/nn/depthwise_conv.h"

#include <ATen/ATen.h>
#include <ATen/TracerMode.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "fathom/error.h"
#include "plugins/lib/nn/depthwise_kernel.h"

namespace fathom::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The same function on aten's operators. Also what higher derivatives are taken of.
at::Tensor on_aten(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const DepthwiseOptions& o) {
  at::Tensor in = o.mask ? o.mask->apply(x) : x;
  if (o.pad_left != o.pad_right) in = at::constant_pad_nd(in, {o.pad_left, o.pad_right});
  const int64_t pad = o.pad_left == o.pad_right ? o.pad_left : 0, filters = weight.size(0);
  const std::vector<int64_t> sizes = in.sizes().vec();
  in = in.reshape({-1, filters, sizes.back()});
  at::Tensor out =
      at::conv1d(in, weight, bias.defined() ? std::optional(bias) : std::nullopt, o.stride, pad, o.dilation, filters);
  out = out.reshape({sizes[0], sizes[1], out.size(-1)});
  return o.out_mask ? o.out_mask->apply(out) : out;
}

DepthwiseShape shape_of(const at::Tensor& x, const at::Tensor& weight, const DepthwiseOptions& o) {
  DepthwiseShape s;
  s.items = x.size(0);
  s.rows = x.size(1);
  s.t_in = x.size(2);
  s.filters = weight.size(0);
  s.kernel = weight.size(2);
  s.stride = o.stride;
  s.dilation = o.dilation;
  s.pad_left = o.pad_left;
  s.t_out = (s.t_in + o.pad_left + o.pad_right - o.dilation * (s.kernel - 1) - 1) / o.stride + 1;
  s.lengths = o.mask ? o.mask->host_lengths() : nullptr;
  s.out_lengths = o.out_mask ? o.out_mask->host_lengths() : nullptr;
  return s;
}

at::Tensor run_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const DepthwiseOptions& o) {
  const DepthwiseShape s = shape_of(x, weight, o);
  at::Tensor y = at::empty({s.items, s.rows, s.t_out}, x.options());
  if (y.numel() == 0) return y;
  if (x.scalar_type() == at::kFloat) {
    depthwise_forward<float>(s, x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                             bias.defined() ? bias.const_data_ptr<float>() : nullptr, y.mutable_data_ptr<float>());
  } else {
    depthwise_forward<double>(s, x.const_data_ptr<double>(), weight.const_data_ptr<double>(),
                              bias.defined() ? bias.const_data_ptr<double>() : nullptr, y.mutable_data_ptr<double>());
  }
  return y;
}

template <typename T>
bool all_finite(const at::Tensor& tensor) {
  // x * 0 is 0 for finite x and NaN otherwise; sums in lanes vectorise where a loop of isfinite does not.
  const T* data = tensor.const_data_ptr<T>();
  constexpr int64_t kLanes = 16;
  T sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= tensor.numel(); i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += data[i + lane] * T(0);
  }
  for (; i < tensor.numel(); ++i) sums[0] += data[i] * T(0);
  T sum = 0;
  for (const T lane : sums) sum += lane;
  return sum == T(0);
}
struct DepthwiseFunction : torch::autograd::Function<DepthwiseFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const DepthwiseOptions& options) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["bias"] = bias.has_value();
    ctx->saved_data["geometry"] =
        std::vector<int64_t>{options.stride, options.dilation, options.pad_left, options.pad_right};
    if (options.mask) ctx->saved_data["lengths"] = options.mask->lengths();
    if (options.out_mask) ctx->saved_data["out_lengths"] = options.out_mask->lengths();
    return run_forward(x, weight, bias.value_or(at::Tensor()), options);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();  // throws when the graph has been freed
    const at::Tensor &x = saved[0], &weight = saved[1];
    const auto geometry = ctx->saved_data["geometry"].toIntVector();
    DepthwiseOptions o{geometry[0], geometry[1], geometry[2], geometry[3], nullptr, nullptr};
    if (const auto it = ctx->saved_data.find("lengths"); it != ctx->saved_data.end()) {
      o.mask = std::make_shared<LengthMask>(it->second.toTensor());
    }
    if (const auto it = ctx->saved_data.find("out_lengths"); it != ctx->saved_data.end()) {
      o.out_mask = std::make_shared<LengthMask>(it->second.toTensor());
    }
    const bool need_x = ctx->needs_input_grad(0), need_w = ctx->needs_input_grad(1);
    const bool need_b = ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2);
    at::Tensor grad_bias;
    if (need_b) {
      const at::Tensor grad = o.out_mask ? o.out_mask->apply(grads[0]) : grads[0];
      grad_bias = grad.reshape({-1, weight.size(0), grad.size(-1)}).sum(at::IntArrayRef{0, 2});
    }
    // Somebody wants derivatives of these gradients: build them from operators that have them.
    if (at::GradMode::is_enabled()) return through_aten(x, weight, grads[0], grad_bias, o, need_x, need_w);

    const at::Tensor dy = grads[0].contiguous();
    const DepthwiseShape s = shape_of(x, weight, o);
    at::Tensor dx = need_x ? at::empty_like(x) : at::Tensor(), dw = need_w ? at::empty_like(weight) : at::Tensor();
    if (x.scalar_type() == at::kFloat)
      run_backward<float>(s, x, weight, dy, dx, dw);
    else
      run_backward<double>(s, x, weight, dy, dx, dw);
    // The kernels multiply the padding's zeros too, which an infinite gradient turns into NaN.
    if (need_w && !weights_are_finite(dw)) return through_aten(x, weight, grads[0], grad_bias, o, need_x, need_w);
    return {dx, dw, grad_bias, at::Tensor()};
  }

 private:
  template <typename T>
  static void run_backward(const DepthwiseShape& s, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& dy,
                           at::Tensor& dx, at::Tensor& dw) {
    depthwise_backward<T>(s, x.const_data_ptr<T>(), weight.const_data_ptr<T>(), dy.const_data_ptr<T>(),
                          dx.defined() ? dx.mutable_data_ptr<T>() : nullptr,
                          dw.defined() ? dw.mutable_data_ptr<T>() : nullptr);
  }

  static variable_list through_aten(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& grad,
                                    const at::Tensor& grad_bias, const DepthwiseOptions& o, bool need_x, bool need_w) {
    const bool create_graph = at::GradMode::is_enabled();
    const at::AutoGradMode recording(true);
    // Without a graph the inputs are cut off first, so that what is built here is freed here.
    at::Tensor in = create_graph ? x : x.detach().requires_grad_(need_x);
    at::Tensor filter = create_graph ? weight : weight.detach().requires_grad_(need_w);
    variable_list wanted;
    if (need_x) wanted.push_back(in);
    if (need_w) wanted.push_back(filter);
    variable_list out(4);
    out[2] = grad_bias;
    if (wanted.empty()) return out;
    const variable_list found =
        torch::autograd::grad({on_aten(in, filter, {}, o)}, wanted, {grad}, create_graph, create_graph);
    size_t next = 0;
    if (need_x) out[0] = found[next++];
    if (need_w) out[1] = found[next++];
    return out;
  }
};

}  // namespace

bool weights_are_finite(const at::Tensor& weight) {
  return weight.scalar_type() == at::kFloat ? all_finite<float>(weight) : all_finite<double>(weight);
}

bool own_kernels_apply(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && weight.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) &&
         weight.scalar_type() == x.scalar_type() && !at::autocast::is_autocast_enabled(at::kCPU) &&
         !at::tracer::impl::is_dispatch_enabled();
}

at::Tensor depthwise_conv1d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const DepthwiseOptions& o) {
  if (x.dim() != 3 || weight.dim() != 3 || weight.size(1) != 1 || x.size(1) % weight.size(0) != 0) {
    throw Error(Code::kFailed, "a depthwise convolution got shapes that do not fit")
        .seen("x " + c10::str(x.sizes()) + ", weight " + c10::str(weight.sizes()))
        .expected("x (B, C, T) and weight (F, 1, K) with F dividing C");
  }
  const int64_t reach = o.dilation * (weight.size(2) - 1) + 1;
  if (x.size(2) + o.pad_left + o.pad_right < reach) {
    throw Error(Code::kFailed, "a convolution's window is longer than its padded input")
        .seen(std::to_string(x.size(2)) + " frames, padding " + std::to_string(o.pad_left) + " + " +
              std::to_string(o.pad_right))
        .expected("at least " + std::to_string(reach) + " frames with the padding")
        .next("drop items that short (min_duration)");
  }
  if (!own_kernels_apply(x, weight) || (bias.defined() && bias.scalar_type() != x.scalar_type()) || o.pad_left < 0 ||
      (o.mask && o.mask->host_lengths() == nullptr) || (o.out_mask && o.out_mask->host_lengths() == nullptr)) {
    return on_aten(x, weight, bias, o);
  }
  const at::Tensor in = x.contiguous(), filter = weight.contiguous();
  if (!weights_are_finite(filter)) return on_aten(x, weight, bias, o);
  const at::Tensor offset = bias.defined() ? bias.contiguous() : bias;
  if (!at::GradMode::is_enabled() ||
      !(in.requires_grad() || filter.requires_grad() || (bias.defined() && bias.requires_grad()))) {
    return run_forward(in, filter, offset, o);
  }
  return DepthwiseFunction::apply(in, filter, offset.defined() ? std::optional(offset) : std::nullopt, o);
}

}  // namespace fathom::nn
