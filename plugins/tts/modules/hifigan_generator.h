// The generator of HiFi-GAN (Kong et al. 2020, arXiv:2010.05646): a spectrogram to samples.
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include "fathom/module.h"
#include "plugins/tts/modules/normed_conv.h"

namespace fathom::tts {

// Convolutions whose dilations grow, each added to what goes in. Kind 1 has a plain convolution after each of them.
// State: convs1.N.*, convs2.N.* (kind 1), or convs.N.* (kind 2).
class HifiGanResBlock : public torch::nn::Module {
 public:
  HifiGanResBlock(int64_t kind, int64_t channels, int64_t kernel, const std::vector<int64_t>& dilations);
  at::Tensor forward(at::Tensor x);
  // The same where nothing wants a gradient, in the type of x.
  at::Tensor infer(at::Tensor x);
  // out += scale · forward(x), or out = that if not `add`, over frames (B, T, C) as frame_conv.h has them.
  void infer_frames(at::Tensor x, float scale, bool add, at::Tensor& out);
  // Samples on either side that one sample depends on, if only in how it is rounded (frame_conv.h).
  int64_t radius() const { return radius_; }
  // Samples in multiples of which parts begin that have the bits of the whole.
  int64_t alignment() const { return alignment_; }

 private:
  std::vector<std::shared_ptr<NormedConv>> dilated_, plain_;
  int64_t radius_ = 0, alignment_ = 1;
};

// x (B, initial_input_size, T) -> audio (B, 1, T · the product of upsample_rates), from -1 to 1.
class HifiGanGenerator final : public NeuralModule, public HasProperties {
 public:
  static constexpr const char* kState =
      "conv_pre, ups.N, resblocks.N.M.{convs1, convs2 | convs}.K, conv_post: each bias, "
      "weight_g, weight_v";
  struct Options {
    Json resblock = 1;  // 1 or 2; whatever else is not 1 counts as 2, as in NeMo
    std::vector<int64_t> upsample_rates, upsample_kernel_sizes;
    int64_t upsample_initial_channel = 512;
    std::vector<int64_t> resblock_kernel_sizes;
    std::vector<std::vector<int64_t>> resblock_dilation_sizes;
    int64_t initial_input_size = 80;
    bool apply_weight_init_conv_pre = false;
    static void describe(OptionSet<Options>& o);
  };
  explicit HifiGanGenerator(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  // hop_length: samples a frame; context: frames on either side that a frame's samples depend on; alignment: parts that
  // begin at a multiple of so many frames have the bits of the whole; feat_in.
  Json properties() const override;

  at::Tensor generate(at::Tensor x);
  // The same where nothing wants a gradient, in float32 on frame_conv.h where it applies; bfloat16 halves the time on
  // processors that multiply it (the error is some 48 dB below the audio).
  at::Tensor infer(at::Tensor x, bool bfloat16);
  // Of the inference, through the boundary ("tts.generator_inference/1").
  const void* query(std::string_view id);

 private:
  int64_t context_of(const Options& options) const;
  at::Tensor infer_frames(const at::Tensor& x);

  int64_t input_size_, hop_ = 1, context_ = 0, alignment_ = 1;
  std::shared_ptr<NormedConv> conv_pre_, conv_post_;
  std::vector<std::shared_ptr<NormedConv>> ups_;
  std::vector<std::vector<std::shared_ptr<HifiGanResBlock>>> blocks_;  // of each upsampling
};

// How a vocoder asks a generator of its own collection for a precision; x and audio are at::Tensor*.
inline constexpr std::string_view kGeneratorInference = "tts.generator_inference/1";
struct GeneratorInferenceTable {
  uint32_t struct_size;
  fathom_status (*infer)(void* self, const at::Tensor* x, int32_t bfloat16, at::Tensor* audio);
};

}  // namespace fathom::tts
