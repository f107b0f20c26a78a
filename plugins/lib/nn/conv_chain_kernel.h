// The two passes of conv_chain.h without autograd. Shapes are (items, channels, frames). What crosses from one stage to
// the next lies in panels: an item's frames, rounded up to kPanelStep, are cut into panels of kPanelFrames columns,
// each a row-major matrix (channels, width) of its own, so that products see few shapes and small strides.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "plugins/lib/nn/chain_rows.h"
#include "plugins/lib/nn/depthwise_kernel.h"

namespace fathom::nn {

// A stage's shape, and what its forward pass found.
struct ChainPart {
  bool depthwise = false;
  DepthwiseShape shape;  // its rows in and out, with lengths; without a depthwise convolution t_out is t_in
  int64_t channels = 0;  // of the output
  bool training = false;
  double eps = 0;
  std::vector<double> mean, variance;  // (channels), biased: the batch's when training, the running ones when not
  std::vector<Affine> norm;            // what they and the norm's parameters come to
};

// The tensors of a stage: parameters (contiguous; products' weights in the dtype rows are kept in) and what is kept.
struct ChainTensors {
  at::Tensor depthwise;          // (C, 1, K) float32, or undefined
  at::Tensor pointwise;          // (C', C)
  at::Tensor weight, bias;       // (C') float32, of the norm
  at::Tensor filtered, product;  // panels: the depthwise convolution's result (if any) and the product
};

// S: float or c10::BFloat16, the dtype of x, y and of all that is kept.
template <typename S>
struct ChainKernel {
  // Fills filtered and product of every stage and, when training, mean and variance; returns y.
  static at::Tensor forward(const at::Tensor& x, std::vector<ChainPart>& parts, std::vector<ChainTensors>& tensors,
                            ChainPart* residual, ChainTensors* residual_tensors, bool relu);

  struct Gradients {
    bool need_pointwise = true;  // asked; the others cost next to nothing
    at::Tensor depthwise, pointwise, weight, bias;
  };
  // Returns dx (undefined unless need_x); gradients of parameters are float32.
  static at::Tensor backward(const at::Tensor& x, const at::Tensor& y, const at::Tensor& dy,
                             const std::vector<ChainPart>& parts, const std::vector<ChainTensors>& tensors,
                             const ChainPart* residual, const ChainTensors* residual_tensors, bool relu, bool need_x,
                             std::vector<Gradients>& gradients, Gradients& residual_gradients);
};

extern template struct ChainKernel<float>;
extern template struct ChainKernel<c10::BFloat16>;

}  // namespace fathom::nn
