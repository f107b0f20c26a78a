#include "plugins/lib/nn/conv_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "fathom/error.h"
#include "plugins/lib/nn/depthwise_conv.h"
#include "plugins/lib/nn/norm_kernel.h"

namespace fathom::nn {

std::shared_ptr<torch::nn::Module> make_norm(const std::string& mode, int64_t channels, int64_t norm_groups) {
  namespace nn = torch::nn;
  if (mode == "batch") return nn::BatchNorm1d(nn::BatchNorm1dOptions(channels).eps(1e-3).momentum(0.1)).ptr();
  int64_t groups = 0;
  if (mode == "layer")
    groups = 1;
  else if (mode == "instance")
    groups = channels;
  else if (mode == "group")
    groups = norm_groups == -1 ? channels : norm_groups;
  else
    throw Error(Code::kFailed, "unknown normalization_mode").seen(mode).expected("batch, layer, group or instance");
  if (groups <= 0 || channels % groups != 0) {
    throw Error(Code::kFailed, "norm_groups must divide the number of filters")
        .seen("norm_groups " + std::to_string(groups) + ", filters " + std::to_string(channels));
  }
  return nn::GroupNorm(nn::GroupNormOptions(groups, channels)).ptr();
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FusedOptions {
  at::Tensor running_mean, running_var;  // updated when training, used when not
  bool training = false, relu = false;
  double eps = 0, momentum = 0, dropout = 0;
};

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kDouble).contiguous();
  return {host.const_data_ptr<double>(), host.const_data_ptr<double>() + host.numel()};
}
at::Tensor from_doubles(const std::vector<double>& values, const at::Tensor& like) {
  return at::tensor(values, at::kDouble).to(like.scalar_type());
}

NormShape shape_of(const at::Tensor& x) { return {x.size(0), x.size(1), x.size(2)}; }

// Random bits for `numel` elements, 4 to a draw, and what to do with them.
at::Tensor draw_bits(int64_t numel, double probability, DropoutBits& dropout) {
  const double steps = std::round(probability * 65536);
  dropout.threshold = static_cast<uint16_t>(std::min(steps, 65535.0));
  dropout.scale = 65536 / (65536 - static_cast<double>(dropout.threshold));
  // The whole range of int64: random_() alone leaves the sign bit out.
  at::Tensor bits = at::empty({(numel + 3) / 4}, at::kLong);
  bits.random_(std::numeric_limits<int64_t>::min(), std::optional<int64_t>());
  dropout.bits = reinterpret_cast<const uint16_t*>(bits.const_data_ptr<int64_t>());
  return bits;
}

// The same on aten's operators, without dropout: what higher derivatives are taken of.
at::Tensor on_aten(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                   const std::optional<at::Tensor>& residual, const at::Tensor& mean, const at::Tensor& variance,
                   const FusedOptions& o) {
  at::Tensor out = o.training ? at::batch_norm(x, weight, bias, {}, {}, true, 0, o.eps, false)
                              : at::batch_norm(x, weight, bias, mean, variance, false, 0, o.eps, false);
  if (residual) out = out + *residual;
  return o.relu ? at::relu(out) : out;
}

struct NormFunction : torch::autograd::Function<NormFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const std::optional<at::Tensor>& residual, const FusedOptions& o) {
    const NormShape shape = shape_of(x);
    std::vector<double> mean(shape.channels), variance(shape.channels);
    if (o.training)
      moments(x, mean, variance);
    else
      std::tie(mean, variance) = std::pair(doubles(o.running_mean), doubles(o.running_var));
    std::vector<double> scale = doubles(weight), shift = doubles(bias);
    for (int64_t c = 0; c < shape.channels; ++c) {
      scale[c] /= std::sqrt(variance[c] + o.eps);
      shift[c] -= mean[c] * scale[c];
    }
    DropoutBits dropout;
    at::Tensor bits;
    if (o.dropout > 0) bits = draw_bits(x.numel(), o.dropout, dropout);
    at::Tensor y = at::empty_like(x);
    if (x.scalar_type() == at::kFloat)
      run_forward<float>(shape, x, scale, shift, residual, o.relu, dropout, y);
    else
      run_forward<double>(shape, x, scale, shift, residual, o.relu, dropout, y);

    if (o.training) {
      const auto count = static_cast<double>(shape.items * shape.frames);
      std::vector<double> unbiased = variance;
      for (double& v : unbiased) v *= count / (count - 1);
      o.running_mean.lerp_(from_doubles(mean, o.running_mean), o.momentum);
      o.running_var.lerp_(from_doubles(unbiased, o.running_var), o.momentum);
    }
    ctx->save_for_backward({x, weight, bias, y, residual.value_or(at::Tensor()), bits});
    ctx->saved_data["mean"] = mean;
    ctx->saved_data["variance"] = variance;
    ctx->saved_data["training"] = o.training;
    ctx->saved_data["relu"] = o.relu;
    ctx->saved_data["residual"] = residual.has_value();
    ctx->saved_data["eps"] = o.eps;
    ctx->saved_data["threshold"] = static_cast<int64_t>(dropout.threshold);
    ctx->saved_data["scale"] = dropout.scale;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();  // throws when the graph has been freed
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &y = saved[3], &residual = saved[4],
                     &bits = saved[5];
    FusedOptions o;
    o.training = ctx->saved_data["training"].toBool();
    o.relu = ctx->saved_data["relu"].toBool();
    o.eps = ctx->saved_data["eps"].toDouble();
    const std::vector<double> mean = ctx->saved_data["mean"].toDoubleVector();
    const std::vector<double> variance = ctx->saved_data["variance"].toDoubleVector();
    DropoutBits dropout;
    dropout.threshold = static_cast<uint16_t>(ctx->saved_data["threshold"].toInt());
    dropout.scale = ctx->saved_data["scale"].toDouble();
    if (bits.defined()) dropout.bits = reinterpret_cast<const uint16_t*>(bits.const_data_ptr<int64_t>());

    variable_list out(5);
    if (at::GradMode::is_enabled()) {  // somebody wants derivatives of these gradients
      at::Tensor grad = grads[0];
      if (dropout.bits != nullptr) {
        const at::Tensor kept =
            at::from_blob(const_cast<uint16_t*>(dropout.bits), {x.numel()}, at::kUInt16).to(at::kInt) >=
            static_cast<int64_t>(dropout.threshold);
        grad = grad * kept.view(x.sizes()).to(grad.scalar_type()) * dropout.scale;
      }
      const auto extra = residual.defined() ? std::optional(residual) : std::nullopt;
      const at::Tensor again = on_aten(x, weight, bias, extra, from_doubles(mean, x), from_doubles(variance, x), o);
      variable_list wanted;
      const variable_list inputs = {x, weight, bias, residual};
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].defined() && inputs[i].requires_grad()) wanted.push_back(inputs[i]);
      }
      const variable_list found = torch::autograd::grad({again}, wanted, {grad}, true, true, true);
      for (size_t i = 0, next = 0; i < inputs.size(); ++i) {
        if (inputs[i].defined() && inputs[i].requires_grad()) out[i] = found[next++];
      }
      return out;
    }

    const at::Tensor dy = grads[0].contiguous();
    const NormShape shape = shape_of(x);
    at::Tensor dz = at::empty_like(x);
    std::vector<double> sum(shape.channels), centred(shape.channels);
    if (x.scalar_type() == at::kFloat)
      run_sums<float>(shape, x, y, dy, mean, o.relu, dropout, dz, sum, centred);
    else
      run_sums<double>(shape, x, y, dy, mean, o.relu, dropout, dz, sum, centred);

    const auto count = static_cast<double>(shape.items * shape.frames);
    std::vector<double> a = doubles(weight), b(shape.channels), d(shape.channels), dweight(shape.channels);
    for (int64_t c = 0; c < shape.channels; ++c) {
      const double inverse = 1 / std::sqrt(variance[c] + o.eps);
      dweight[c] = centred[c] * inverse;
      a[c] *= inverse;
      if (o.training) {
        b[c] = -a[c] * inverse * inverse * centred[c] / count;
        d[c] = -a[c] * sum[c] / count;
      }
    }
    if (ctx->needs_input_grad(0)) {
      const bool shared = ctx->saved_data["residual"].toBool();  // dz is the residual's gradient too
      at::Tensor dx = shared ? at::empty_like(x) : dz;
      if (x.scalar_type() == at::kFloat)
        run_input<float>(shape, x, dz, mean, a, b, d, dx);
      else
        run_input<double>(shape, x, dz, mean, a, b, d, dx);
      out[0] = dx;
    }
    out[1] = from_doubles(dweight, weight);
    out[2] = from_doubles(sum, bias);
    if (ctx->saved_data["residual"].toBool()) out[3] = dz;
    return out;
  }

 private:
  static void moments(const at::Tensor& x, std::vector<double>& mean, std::vector<double>& variance) {
    if (x.scalar_type() == at::kFloat)
      channel_moments<float>(shape_of(x), x.const_data_ptr<float>(), mean.data(), variance.data());
    else
      channel_moments<double>(shape_of(x), x.const_data_ptr<double>(), mean.data(), variance.data());
  }
  template <typename T>
  static void run_forward(const NormShape& shape, const at::Tensor& x, const std::vector<double>& scale,
                          const std::vector<double>& shift, const std::optional<at::Tensor>& residual, bool relu,
                          const DropoutBits& dropout, at::Tensor& y) {
    norm_forward<T>(shape, x.const_data_ptr<T>(), scale.data(), shift.data(),
                    residual ? residual->const_data_ptr<T>() : nullptr, relu, dropout, y.mutable_data_ptr<T>());
  }
  template <typename T>
  static void run_sums(const NormShape& shape, const at::Tensor& x, const at::Tensor& y, const at::Tensor& dy,
                       const std::vector<double>& mean, bool relu, const DropoutBits& dropout, at::Tensor& dz,
                       std::vector<double>& sum, std::vector<double>& centred) {
    norm_backward_sums<T>(shape, x.const_data_ptr<T>(), y.const_data_ptr<T>(), dy.const_data_ptr<T>(), mean.data(),
                          relu, dropout, dz.mutable_data_ptr<T>(), sum.data(), centred.data());
  }
  template <typename T>
  static void run_input(const NormShape& shape, const at::Tensor& x, const at::Tensor& dz,
                        const std::vector<double>& mean, const std::vector<double>& a, const std::vector<double>& b,
                        const std::vector<double>& d, at::Tensor& dx) {
    norm_backward_input<T>(shape, x.const_data_ptr<T>(), dz.const_data_ptr<T>(), mean.data(), a.data(), b.data(),
                           d.data(), dx.mutable_data_ptr<T>());
  }
};

bool fits_kernels(const torch::nn::BatchNorm1dImpl& norm, const at::Tensor& x, const NormTail& tail) {
  const auto same = [&](const at::Tensor& other) {
    return other.defined() && other.scalar_type() == x.scalar_type() && other.is_cpu();
  };
  return x.dim() == 3 && own_kernels_apply(x, norm.weight) && same(norm.bias) && same(norm.running_mean) &&
         same(norm.running_var) && (tail.activation == nullptr || *tail.activation == Activation::kReLU) &&
         (tail.residual == nullptr || (same(*tail.residual) && tail.residual->sizes() == x.sizes())) &&
         tail.dropout < 1 && norm.options.momentum().has_value() &&
         (!norm.is_training() || x.size(0) * x.size(2) > 1) && x.numel() > 0;
}

}  // namespace

at::Tensor apply_norm(torch::nn::Module& norm, const at::Tensor& x, const NormTail& tail) {
  at::Tensor out;
  if (auto* batch = dynamic_cast<torch::nn::BatchNorm1dImpl*>(&norm)) {
    if (fits_kernels(*batch, x, tail)) {
      FusedOptions o{batch->running_mean,  batch->running_var,         batch->is_training(), tail.activation != nullptr,
                     batch->options.eps(), *batch->options.momentum(), tail.dropout};
      if (o.training) {
        const at::NoGradGuard no_grad;
        batch->num_batches_tracked.add_(1);
      }
      return NormFunction::apply(x.contiguous(), batch->weight, batch->bias,
                                 tail.residual != nullptr ? std::optional(tail.residual->contiguous()) : std::nullopt,
                                 o);
    }
    out = batch->forward(x);
  } else {
    out = dynamic_cast<torch::nn::GroupNormImpl&>(norm).forward(x);
  }
  if (tail.residual != nullptr) out = out + *tail.residual;
  if (tail.activation != nullptr) out = activate(out, *tail.activation);
  return tail.dropout > 0 ? at::dropout(out, tail.dropout, true) : out;
}

}  // namespace fathom::nn
