#include "plugins/lib/nn/squeeze_excite.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "fathom/error.h"

namespace fathom::nn {

SqueezeExcite::SqueezeExcite(int64_t channels, int64_t reduction_ratio, int64_t context_window, Activation activation)
    : activation_(activation), context_window_(context_window) {
  if (reduction_ratio <= 0 || channels / reduction_ratio == 0) {
    throw Error(Code::kFailed, "se_reduction_ratio leaves no channels")
        .seen(std::to_string(reduction_ratio) + " with " + std::to_string(channels) + " channels");
  }
  const int64_t hidden = channels / reduction_ratio;
  reduce_ = torch::nn::Linear(torch::nn::LinearOptions(channels, hidden).bias(false));
  expand_ = torch::nn::Linear(torch::nn::LinearOptions(hidden, channels).bias(false));
  torch::nn::ModuleList fc;
  fc->push_back(reduce_);
  fc->push_back(std::make_shared<ActivationLayer>(activation));
  fc->push_back(expand_);
  register_module("fc", fc);
}

at::Tensor SqueezeExcite::forward(const at::Tensor& input, LengthMask& lengths) {
  const auto device = input.device().type();
  const bool autocast = at::autocast::is_autocast_enabled(device);
  const c10::impl::ExcludeDispatchKeyGuard full_precision(
      autocast ? c10::DispatchKeySet(at::autocast::get_autocast_dispatch_key_from_device_type(device))
               : c10::DispatchKeySet());
  at::Tensor x =
      input.scalar_type() == at::kHalf || input.scalar_type() == at::kBFloat16 ? input.to(at::kFloat) : input;
  x = lengths.apply(x);
  const int64_t frames = x.size(-1);
  at::Tensor pooled;
  if (is_training() && context_window_ >= 0 && frames >= context_window_) {
    const int64_t start =
        frames > context_window_ ? at::randint(frames - context_window_, {1}, at::kLong).item<int64_t>() : 0;
    const at::Tensor count = lengths.valid(frames).narrow(-1, start, context_window_).sum(-1, true).to(x.scalar_type());
    // An item that ends before the window has nothing to average.
    pooled = at::nan_to_num(x.narrow(-1, start, context_window_).sum(-1) / count.squeeze(-1), 0.0);
  } else {
    pooled = x.sum(-1) / lengths.lengths().clamp(0, frames).to(x.scalar_type()).unsqueeze(1);
  }
  const at::Tensor gate = at::sigmoid(expand_->forward(activate(reduce_->forward(pooled), activation_)));
  return (x * gate.unsqueeze(-1)).to(input.scalar_type());
}

}  // namespace fathom::nn
