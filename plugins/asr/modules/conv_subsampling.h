// What a Conformer encoder does first: fewer and wider frames. State names are NeMo's.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>

#include "plugins/lib/nn/length_mask.h"
#include "plugins/lib/nn/packed_linear.h"

namespace fathom::asr {

struct Frames {
  at::Tensor x;        // (B, T, D)
  at::Tensor lengths;  // (B) int64
};

// From (B, T, feat_in) to (B, T', feat_out).
class Subsampling : public torch::nn::Module {
 public:
  virtual Frames forward(const Frames& in) = 0;
  // How cache-aware streaming cuts the input: frames in per frame out, for the first chunk and later ones, and the
  // frames of the last chunk that a later one starts with.
  struct Streaming {
    int64_t first_frames = 0, frames = 0, cache = 0;
    bool pair = false;  // the first chunk differs from later ones
  };
  virtual Streaming streaming() const = 0;
  // Packs the weights of large products. No training after that.
  virtual void prepare_inference(nn::Compute compute) = 0;
};

struct ConvSubsamplingOptions {
  // "striding": 3x3 convolutions of stride 2 in time and features. "dw_striding": all but the first depthwise, each
  // with a pointwise one after it (FastConformer, Rekesh et al. 2023, arXiv:2305.05084).
  std::string kind = "striding";
  int64_t factor = 4;  // a power of 2
  int64_t feat_in = 0, feat_out = 0, channels = 0;
  bool causal = false;      // 2 frames of padding before and 1 after, instead of 1 and 1
  int64_t chunking = 1;     // > 1: the batch in so many parts, one after the other
  bool mask_inside = true;  // clear what lies beyond an item's length before every convolution (NeMo from 2.5 on)
};

// State: conv.N.{weight, bias}, out.{weight, bias}.
class ConvSubsampling final : public Subsampling {
 public:
  // Throws Error for a kind that cannot be, by name.
  explicit ConvSubsampling(const ConvSubsamplingOptions& options);
  Frames forward(const Frames& in) override;
  Streaming streaming() const override { return {1, options_.factor, options_.factor + 1, true}; }
  void prepare_inference(nn::Compute compute) override { nn::pack_weight(out_->weight, compute); }

 private:
  at::Tensor convolve(at::Tensor x, nn::LengthMaskPtr lengths, at::Tensor& out_lengths);
  int64_t output_length(int64_t length) const;

  ConvSubsamplingOptions options_;
  struct Stage {
    torch::nn::Conv2d strided{nullptr}, pointwise{nullptr};  // pointwise may be null
  };
  std::vector<Stage> stages_;
  torch::nn::Linear out_{nullptr};
};

// `factor` frames side by side through a linear layer. State: proj_out.{weight, bias}, pre_norm.{weight, bias} if any.
class StackingSubsampling final : public Subsampling {
 public:
  StackingSubsampling(int64_t factor, int64_t feat_in, int64_t feat_out, bool norm);
  Frames forward(const Frames& in) override;
  Streaming streaming() const override { return {factor_, factor_, 0, false}; }
  void prepare_inference(nn::Compute compute) override { nn::pack_weight(proj_out_->weight, compute); }

 private:
  int64_t factor_;
  torch::nn::Linear proj_out_;
  torch::nn::LayerNorm pre_norm_{nullptr};
};

// Fewer frames between two layers or after the last: "pooling" (the largest of `factor`) or "striding" (as above).
// State: reduction_enc.…, for striding.
class SubsamplingReduction final : public torch::nn::Module {
 public:
  SubsamplingReduction(const std::string& kind, int64_t width, int64_t factor);
  Frames forward(const Frames& in);

 private:
  int64_t factor_, halvings_;
  std::shared_ptr<ConvSubsampling> striding_;
};

// log2 of a power of 2, or an error that names the option.
int64_t halvings_of(int64_t factor, const char* option);

}  // namespace fathom::asr
