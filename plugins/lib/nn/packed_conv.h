// Convolutions in time without a graph to build, over rows (T, C): the weights are turned over once as the
// micro-kernels of product_kernel.h read them, and the frames are read where they lie, so that nothing is unfolded.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/conv.h>

#include <memory>
#include <vector>

namespace fathom::nn {

class PackedConv {
 public:
  // weight (out, in, kernel) of float32, stride 1, no dilation, same padding of an odd kernel. Ask can_pack() first.
  explicit PackedConv(const at::Tensor& weight);
  // Whether the products suit this processor and the layer, and beat what at::conv1d does.
  static bool can_pack(const at::Tensor& weight);

  // x (B, T, in) of float32 -> (B, T, out), frames beyond the ends as zeros; bias (out) or undefined; `relu`: of the
  // result. Rows are shared among threads; a row's result depends on nothing but the rows it sees.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& bias, bool relu) const;

 private:
  struct Panel {
    int64_t first = 0, width = 0;
    at::Tensor weight;  // (kernel, in, width)
  };

  int64_t in_, out_, kernel_;
  std::vector<Panel> panels_;
};

// A convolution of a layer, called as its rows want it: packed where nothing wants a gradient and the products suit
// this processor, at::conv1d elsewhere. What is packed is a copy, made by the first such call and made again when torch
// counts a write to the weight; optimizers write without torch's knowing, so a layer resets it in train().
class RowConv {
 public:
  // x (B, T, in) -> (B, T, out), with `relu` of the result.
  at::Tensor operator()(torch::nn::Conv1dImpl& conv, const at::Tensor& x, bool relu);
  void reset() { packed_.reset(); }

 private:
  std::shared_ptr<const PackedConv> packed_;
  const void* weight_ = nullptr;
  uint32_t version_ = 0;
};

}  // namespace fathom::nn
