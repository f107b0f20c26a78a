#include "conv_norm.h"

#include <ATen/ATen.h>

#include "fathom/error.h"

namespace fathom::asr {

std::shared_ptr<torch::nn::Module> make_norm(const std::string& mode, int64_t channels, int64_t norm_groups) {
  namespace nn = torch::nn;
  if (mode == "batch") return nn::BatchNorm1d(nn::BatchNorm1dOptions(channels).eps(1e-3).momentum(0.1)).ptr();
  int64_t groups = 0;
  if (mode == "layer") groups = 1;
  else if (mode == "instance") groups = channels;
  else if (mode == "group") groups = norm_groups == -1 ? channels : norm_groups;
  else throw Error(Code::kFailed, "unknown normalization_mode").seen(mode).expected("batch, layer, group or instance");
  if (groups <= 0 || channels % groups != 0) {
    throw Error(Code::kFailed, "norm_groups must divide the number of filters")
        .seen("norm_groups " + std::to_string(groups) + ", filters " + std::to_string(channels));
  }
  return nn::GroupNorm(nn::GroupNormOptions(groups, channels)).ptr();
}

at::Tensor apply_norm(torch::nn::Module& norm, const at::Tensor& x, const NormTail& tail) {
  at::Tensor out;
  if (auto* batch = dynamic_cast<torch::nn::BatchNorm1dImpl*>(&norm)) out = batch->forward(x);
  else out = dynamic_cast<torch::nn::GroupNormImpl&>(norm).forward(x);
  if (tail.residual != nullptr) out = out + *tail.residual;
  return tail.activation != nullptr ? activate(out, *tail.activation) : out;
}

}  // namespace fathom::asr
