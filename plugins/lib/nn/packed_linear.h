// Linear layers for inference: the weights are laid out once as the micro-kernels of product_kernel.h read them, in
// float32, in bfloat16 or as bytes, and take the place of the parameter, so that memory holds them once.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace fathom::nn {

enum class Compute : uint8_t {
  kFloat32,
  kBFloat16,  // products of bfloat16, summed in float32
  kInt8,  // products of bytes, summed in 32 bits: weights with a scale an output, inputs with scale and zero point a
          // row
};
// "32", "bf16" or "int8"; throws Error for another name, and for what the processor has no products for.
Compute parse_compute(const std::string& name);

class PackedLinear {
 public:
  // weight (out, in), float32. Throws nothing but for memory; ask can_pack() first.
  PackedLinear(const at::Tensor& weight, Compute compute);
  // Whether this processor has the products, and the layer's width suits them.
  static bool can_pack(const at::Tensor& weight, Compute compute);

  // x (..., in) of float32 -> (..., out); bias (out) or undefined. Rows are shared among threads; a row's result
  // depends on nothing but the row.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& bias) const;
  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

 private:
  struct Panel {
    int64_t first = 0, width = 0;
    at::Tensor weight;  // (in, width), (in / 2, width, 2) or (in / 4, width, 4)
  };
  struct Rows;  // x as the products read it
  void multiply(const Rows& rows, const Panel& panel, int64_t row, int64_t count, const float* bias, float* y) const;
  void multiply_bytes(const Rows& rows, const Panel& panel, int64_t row, int64_t count, const float* bias,
                      float* y) const;

  Compute compute_;
  int64_t in_, out_;
  std::vector<Panel> panels_;
  std::vector<float> scales_;  // kInt8: of each output
  std::vector<int32_t> sums_;  // kInt8: of each output's bytes
};

// `weight` becomes an empty tensor that holds its packed form, which packed_of() finds and linear() uses; what else
// reads it finds no elements. Does nothing where the products do not suit, or for a weight that is packed already.
void pack_weight(at::Tensor& weight, Compute compute);
const PackedLinear* packed_of(const at::Tensor& weight);

}  // namespace fathom::nn
