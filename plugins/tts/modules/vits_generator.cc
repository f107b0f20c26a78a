#include "plugins/tts/modules/vits_generator.h"

#include <ATen/ATen.h>

#include "plugins/lib/option_range.h"
#include "plugins/tts/modules/vits_layers.h"

namespace fathom::tts {
namespace {

constexpr double kStageSlope = 0.1, kEndSlope = 0.01;
constexpr int64_t kMostOfStage = 1 << 14, kWidestOfStage = 1 << 10;

void need(bool good, const std::string& option, const std::string& seen, const std::string& expected) {
  if (!good) throw Error(Code::kFailed, "option is out of range").at(option).seen(seen).expected(expected);
}
std::string in_list(const char* option, size_t place) {
  return std::string(option) + "[" + std::to_string(place) + "]";
}

}  // namespace

VitsGenerator::VitsGenerator(const VitsGeneratorOptions& o)
    : side_by_side_(static_cast<int64_t>(o.resblock_kernel_sizes.size())) {
  const size_t stages = o.upsample_rates.size();
  need(stages >= 1 && stages <= 16, "upsample_rates", std::to_string(stages) + " rates", "1 to 16");
  need(o.upsample_kernel_sizes.size() == stages, "upsample_kernel_sizes",
       std::to_string(o.upsample_kernel_sizes.size()) + " sizes", std::to_string(stages) + ", as upsample_rates");
  need(side_by_side_ > 0 && o.resblock_dilation_sizes.size() == o.resblock_kernel_sizes.size(),
       "resblock_dilation_sizes", std::to_string(o.resblock_dilation_sizes.size()) + " lists",
       std::to_string(side_by_side_) + ", as resblock_kernel_sizes, and at least 1");
  check_range("upsample_initial_channel", o.upsample_initial_channel, int64_t{1} << stages, kMostOfStage);
  const int64_t kind = o.resblock == Json("1") ? 1 : 2;
  const size_t dilations_read = kind == 1 ? 3 : 2;  // NeMo's blocks read as many
  for (size_t i = 0; i < o.resblock_kernel_sizes.size(); ++i) {
    const int64_t kernel = o.resblock_kernel_sizes[i];
    check_range(in_list("resblock_kernel_sizes", i), kernel, 1, kWidestOfStage);
    need(kernel % 2 == 1, in_list("resblock_kernel_sizes", i), std::to_string(kernel), "an odd number");
    need(o.resblock_dilation_sizes[i].size() >= dilations_read, in_list("resblock_dilation_sizes", i),
         std::to_string(o.resblock_dilation_sizes[i].size()) + " numbers", std::to_string(dilations_read));
    for (const int64_t dilation : o.resblock_dilation_sizes[i])
      check_range(in_list("resblock_dilation_sizes", i), dilation, 1, kWidestOfStage);
  }
  conv_pre_ = register_module("conv_pre", plain_conv(o.initial_channel, o.upsample_initial_channel, 7));
  auto ups = register_module("ups", torch::nn::ModuleList()),
       blocks = register_module("resblocks", torch::nn::ModuleList());
  int64_t channels = o.upsample_initial_channel;
  for (size_t i = 0; i < stages; ++i) {
    const int64_t rate = o.upsample_rates[i], kernel = o.upsample_kernel_sizes[i];
    check_range(in_list("upsample_rates", i), rate, 1, kMostOfStage);
    check_range(in_list("upsample_kernel_sizes", i), kernel, rate, kWidestOfStage);
    need((kernel - rate) % 2 == 0, in_list("upsample_kernel_sizes", i),
         std::to_string(kernel) + " with a rate of " + std::to_string(rate), "both even, or both odd");
    hop_ *= rate;
    check_range("upsample_rates", hop_, 1, kMostOfStage);
    ups_.push_back(std::make_shared<NormedConv>(NormedConvOptions{.in = channels,
                                                                  .out = channels / 2,
                                                                  .kernel = {kernel},
                                                                  .stride = {rate},
                                                                  .padding = {(kernel - rate) / 2},
                                                                  .transposed = true}));
    ups->push_back(ups_.back());
    channels /= 2;
    for (size_t j = 0; j < o.resblock_kernel_sizes.size(); ++j) {
      std::vector<int64_t> dilations = o.resblock_dilation_sizes[j];
      dilations.resize(dilations_read);
      blocks_.push_back(std::make_shared<HifiGanResBlock>(kind, channels, o.resblock_kernel_sizes[j], dilations));
      blocks->push_back(blocks_.back());
    }
  }
  conv_post_ =
      register_module("conv_post", torch::nn::Conv1d(torch::nn::Conv1dOptions(channels, 1, 7).padding(3).bias(false)));
  if (o.gin_channels > 0) cond_ = register_module("cond", plain_conv(o.gin_channels, o.upsample_initial_channel));
}

at::Tensor VitsGenerator::forward(at::Tensor x, const at::Tensor& condition) {
  x = conv_pre_(x);
  if (condition.defined() && cond_) x = x + cond_(condition);
  for (size_t i = 0; i < ups_.size(); ++i) {
    x = ups_[i]->forward(at::leaky_relu(x, kStageSlope));
    at::Tensor sum;
    for (int64_t j = 0; j < side_by_side_; ++j) {
      const at::Tensor y = blocks_[i * static_cast<size_t>(side_by_side_) + static_cast<size_t>(j)]->forward(x);
      sum = sum.defined() ? sum + y : y;
    }
    x = sum / static_cast<double>(side_by_side_);
  }
  return at::tanh(conv_post_(at::leaky_relu(x, kEndSlope)));
}

}  // namespace fathom::tts
