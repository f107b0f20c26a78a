// The activations that configs name.
#pragma once

#include <torch/nn/module.h>

#include <string>

namespace fathom::nn {

enum class Activation { kReLU, kHardtanh, kHardtanh20, kSELU, kSwish, kGELU };

// hardtanh, relu, selu, swish, silu, gelu.
Activation parse_activation(const std::string& name);
at::Tensor activate(const at::Tensor& x, Activation activation);

// As a child without parameters: keeps its place in lists whose indices name parameters.
class ActivationLayer : public torch::nn::Module {
 public:
  explicit ActivationLayer(Activation activation) : activation_(activation) {}
  at::Tensor forward(const at::Tensor& x) { return activate(x, activation_); }

 private:
  Activation activation_;
};

}  // namespace fathom::nn
