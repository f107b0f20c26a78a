// The decoder of VITS: HiFi-GAN's generator, with other ends (Kim, Kong & Son 2021, arXiv:2106.06103, 2.5).
#pragma once

#include "fathom/module.h"
#include "plugins/tts/modules/hifigan_generator.h"

namespace fathom::tts {

struct VitsGeneratorOptions {
  int64_t initial_channel = 192, upsample_initial_channel = 512, gin_channels = 0;
  Json resblock = "1";  // "1"; whatever else, the number 1 too, is the second kind, as in NeMo
  std::vector<int64_t> upsample_rates, upsample_kernel_sizes, resblock_kernel_sizes;
  std::vector<std::vector<int64_t>> resblock_dilation_sizes;
};

// x (B, initial_channel, T), condition (B, gin_channels, 1) or undefined -> (B, 1, T · hop) from -1 to 1. State:
// conv_pre.{weight, bias}, ups.N, resblocks.N, conv_post.weight, cond.
class VitsGenerator : public torch::nn::Module {
 public:
  explicit VitsGenerator(const VitsGeneratorOptions& options);
  at::Tensor forward(at::Tensor x, const at::Tensor& condition);
  int64_t hop() const { return hop_; }

 private:
  int64_t hop_ = 1, side_by_side_;
  torch::nn::Conv1d conv_pre_{nullptr}, conv_post_{nullptr}, cond_{nullptr};
  std::vector<std::shared_ptr<NormedConv>> ups_;
  std::vector<std::shared_ptr<HifiGanResBlock>> blocks_;
};

}  // namespace fathom::tts
