// A convolution whose weight is normalised: by length and direction (Salimans & Kingma 2016, arXiv:1602.07868), or by
// its largest singular value (Miyato et al. 2018, arXiv:1802.05957). Parameters and buffers have the names and the
// order of torch.nn.utils.weight_norm and spectral_norm: bias, weight_g, weight_v; bias, weight_orig, weight_u,
// weight_v.
#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "plugins/lib/nn/frame_conv.h"

namespace fathom::tts {

enum class WeightNorm { kLength, kSpectral };

struct NormedConvOptions {
  int64_t in = 0, out = 0;
  std::vector<int64_t> kernel = {};  // one number: conv1d; two: conv2d
  std::vector<int64_t> stride = {}, padding = {}, dilation = {};
  int64_t groups = 1;
  bool transposed = false;
  WeightNorm norm = WeightNorm::kLength;
};

class NormedConv : public torch::nn::Module {
 public:
  explicit NormedConv(NormedConvOptions options);

  // x (B, in, T) or (B, in, H, W). In training a spectral norm takes one step of power iteration a call, as torch's.
  at::Tensor forward(const at::Tensor& x);
  // The weight that is used: in evaluation without gradients it is worked out once, until the mode changes or a
  // parameter is written to.
  at::Tensor weight();
  // Optimizers write to parameters without torch's knowing; what was worked out before is of no use afterwards.
  void train(bool on = true) override {
    torch::nn::Module::train(on);
    folded_.reset();
    converted_.reset();
    packed_.reset();
  }
  // forward() where nothing wants a gradient, in the type of x: the weights of that type are kept too.
  at::Tensor infer(const at::Tensor& x);
  // The weight as frame_conv.h reads it, where nothing wants a gradient: worked out once, as weight() is.
  const nn::FrameTaps& frame_taps();
  const nn::FrameUpsampling& frame_upsampling();
  const at::Tensor& bias() const { return bias_; }
  const NormedConvOptions& options() const { return options_; }

 private:
  at::Tensor spectral_weight();
  bool is_packed();  // whether what is packed is of these parameters; if not, what it must be of is noted
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const;

  NormedConvOptions options_;
  at::Tensor bias_, g_, v_;                         // by length
  at::Tensor orig_, u_, right_;                     // spectral
  at::Tensor folded_, converted_, converted_bias_;  // the latter in another type
  at::Tensor converted_of_;                         // the weight that they were made of
  int64_t converted_bias_version_ = -1;
  at::Tensor packed_;         // the weight that the two below were made of
  int64_t packed_bias_ = -1;  // and the bias's version
  nn::FrameTaps frame_taps_;
  nn::FrameUpsampling frame_upsampling_;
  int64_t folded_g_ = -1, folded_v_ = -1;  // versions of the parameters it was made of
};

// Same padding of an odd kernel.
inline int64_t same_padding(int64_t kernel, int64_t dilation = 1) { return (kernel * dilation - dilation) / 2; }

}  // namespace fathom::tts
