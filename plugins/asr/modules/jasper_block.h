// A block of Jasper (arXiv:1904.03288), QuartzNet (arXiv:1910.10261) and Citrinet (arXiv:2104.01721).
#pragma once

#include <torch/nn/module.h>

#include <optional>
#include <string>
#include <vector>

#include "fathom/access.h"
#include "fathom/adapter.h"
#include "plugins/lib/nn/activation.h"
#include "plugins/lib/nn/masked_conv.h"
#include "plugins/lib/nn/squeeze_excite.h"

namespace fathom::asr {

struct JasperBlockOptions {
  int64_t in_channels = 0, filters = 0;
  int64_t repeat = 3;
  int64_t kernel = 11;  // of the first dimension; scaled by kernel_size_factor and made odd
  double kernel_size_factor = 1;
  int64_t stride = 1, dilation = 1;  // not both above 1
  double dropout = 0.2;
  nn::Activation activation = nn::Activation::kHardtanh20;
  bool residual = true;
  std::vector<int64_t>
      residual_panes;  // channels of every earlier output that is added (dense residual); empty: the input only
  std::string residual_mode = "add";  // add, stride_add (the residual's 1x1 convolution has the block's stride), max
  int64_t groups = 1;
  bool separable = false;
  int64_t heads = -1;
  std::string normalization = "batch";
  int64_t norm_groups = 1;
  bool conv_mask = true;
  bool squeeze_excite = false;
  int64_t se_reduction_ratio = 16, se_context_window = -1;
  bool stride_last = false;     // only the last repeat has the stride
  int64_t future_context = -1;  // >= 0: frames to the right a kernel may see
};

// max(int(kernel * factor), 1), made odd.
int64_t scaled_kernel_size(int64_t kernel, double factor);
// Frames of padding left and right: "same" for future_context < 0.
std::pair<int64_t, int64_t> conv_padding(int64_t kernel, int64_t stride, int64_t dilation, int64_t future_context);

// Children: mconv.N (convolutions, norms, and in between the activations and dropouts, which have no parameters),
// res.R.N.
// The block's output passes its enabled adapters, and is handed out as "encoder" while the process's access settings
// have `save_encoder_tensors`.
class JasperBlock : public torch::nn::Module, public AdapterModuleMixin, public AccessMixin {
 public:
  explicit JasperBlock(const JasperBlockOptions& options);
  // What flows between blocks: the outputs that a dense residual may still need (the last is the newest) and the
  // lengths.
  struct State {
    std::vector<at::Tensor> outputs;
    nn::LengthMaskPtr lengths;
  };
  State forward(const State& in);
  int64_t filters() const { return options_.filters; }

 private:
  // One convolution (two when separable) with its norm.
  struct Stage {
    std::shared_ptr<torch::nn::Module> depthwise, conv, norm;  // depthwise may be null
    int64_t shuffle_groups = 1;
  };
  struct Geometry {
    int64_t in, out, kernel, stride, dilation, groups, heads;
    std::pair<int64_t, int64_t> padding;
    bool separable;
  };
  Stage add_stage(torch::nn::ModuleListImpl& list, const Geometry& geometry);
  std::shared_ptr<torch::nn::Module> add_conv(torch::nn::ModuleListImpl& list, const nn::ConvOptions& options);
  nn::MaskedConv1d::Masked convolve(torch::nn::Module& conv, const nn::MaskedConv1d::Masked& in, bool mask_output);
  at::Tensor run_stage(Stage& stage, nn::MaskedConv1d::Masked in, nn::LengthMaskPtr& lengths,
                       const at::Tensor* residual, const nn::Activation* activation, double dropout);

  // The stages (with `branch`, the only residual, if not null) on conv_chain.h, where that applies: what comes out and
  // its lengths.
  std::optional<nn::MaskedConv1d::Masked> run_chain(const State& in, Stage* branch, bool activated);

  JasperBlockOptions options_;
  std::vector<Stage> stages_, residuals_;
  std::shared_ptr<nn::SqueezeExcite> squeeze_excite_;
};

}  // namespace fathom::asr
