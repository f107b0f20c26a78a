#include "plugins/lib/nn/activation.h"

#include <ATen/ATen.h>

#include "fathom/error.h"

namespace fathom::nn {

Activation parse_activation(const std::string& name) {
  if (name == "relu") return Activation::kReLU;
  if (name == "hardtanh") return Activation::kHardtanh;
  if (name == "selu") return Activation::kSELU;
  if (name == "swish" || name == "silu") return Activation::kSwish;
  if (name == "gelu") return Activation::kGELU;
  throw Error(Code::kFailed, "unknown activation").seen(name).expected("hardtanh, relu, selu, swish, silu or gelu");
}

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kReLU: return at::relu(x);
    case Activation::kHardtanh: return at::hardtanh(x);
    case Activation::kHardtanh20: return at::hardtanh(x, 0, 20);
    case Activation::kSELU: return at::selu(x);
    case Activation::kSwish: return at::silu(x);
    case Activation::kGELU: return at::gelu(x);
  }
  throw Error(Code::kInternal, "an activation without a function");
}

}  // namespace fathom::nn
