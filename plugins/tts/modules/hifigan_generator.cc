#include "plugins/tts/modules/hifigan_generator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "plugins/lib/nn/tile_transform.h"
#include "plugins/lib/option_range.h"

namespace fathom::tts {
namespace {

constexpr double kSlope = 0.1, kLastSlope = 0.01;
constexpr int64_t kMostChannels = 1 << 14, kMostHop = 1 << 14, kWidestKernel = 1 << 10;

Ports spectrogram_in() { return {{"x", {"B D T", MelSpectrogramType{}}}}; }
Ports audio_out() { return {{"audio", {"B S T", AudioSignal{}}}}; }

NormedConvOptions conv1d(int64_t in, int64_t out, int64_t kernel, int64_t dilation = 1) {
  return {
      .in = in, .out = out, .kernel = {kernel}, .padding = {same_padding(kernel, dilation)}, .dilation = {dilation}};
}

// Odd dilations would have chunks begin thousands of frames too early, or all of them at the first frame: those equal
// the whole but for rounding, as a vocoder's must.
constexpr int64_t kLargestAlignment = 64;  // frames
int64_t aligned_to(int64_t alignment, int64_t more) {
  return std::max(alignment, more) > kLargestAlignment ? kLargestAlignment + 1 : std::lcm(alignment, more);
}

[[noreturn]] void refuse(const std::string& option, const std::string& what, const std::string& seen,
                         const std::string& expected) {
  throw Error(Code::kFailed, what).at(option).seen(seen).expected(expected);
}

}  // namespace

HifiGanResBlock::HifiGanResBlock(int64_t kind, int64_t channels, int64_t kernel,
                                 const std::vector<int64_t>& dilations) {
  const auto add = [&](torch::nn::ModuleList& list, std::vector<std::shared_ptr<NormedConv>>& own, int64_t dilation) {
    own.push_back(std::make_shared<NormedConv>(conv1d(channels, channels, kernel, dilation)));
    list->push_back(own.back());
    radius_ += nn::tile_reach(kernel, dilation);
    alignment_ = std::lcm(alignment_, nn::kTileOutputs * dilation);
  };
  torch::nn::ModuleList first = register_module(kind == 1 ? "convs1" : "convs", torch::nn::ModuleList());
  for (const int64_t dilation : dilations) add(first, dilated_, dilation);
  if (kind != 1) return;
  torch::nn::ModuleList second = register_module("convs2", torch::nn::ModuleList());
  for (size_t i = 0; i < dilations.size(); ++i) add(second, plain_, 1);
}

at::Tensor HifiGanResBlock::forward(at::Tensor x) {
  for (size_t i = 0; i < dilated_.size(); ++i) {
    at::Tensor y = dilated_[i]->forward(at::leaky_relu(x, kSlope));
    if (!plain_.empty()) y = plain_[i]->forward(at::leaky_relu(y, kSlope));
    x = y + x;
  }
  return x;
}

at::Tensor HifiGanResBlock::infer(at::Tensor x) {
  for (size_t i = 0; i < dilated_.size(); ++i) {
    at::Tensor y = dilated_[i]->infer(at::leaky_relu(x, kSlope));
    if (!plain_.empty()) y = plain_[i]->infer(at::leaky_relu_(y, kSlope));
    x = y.add_(x);
  }
  return x;
}

void HifiGanResBlock::infer_frames(at::Tensor x, float scale, bool add, at::Tensor& out) {
  for (size_t i = 0; i < dilated_.size(); ++i) {
    const nn::FrameTaps* plain = plain_.empty() ? nullptr : &plain_[i]->frame_taps();
    const bool last = i + 1 == dilated_.size();
    at::Tensor y = last ? out : at::empty_like(x);
    nn::frame_residual(x, dilated_[i]->frame_taps(), plain, static_cast<float>(kSlope), last ? scale : 1, last && add,
                       y);
    x = y;
  }
}

void HifiGanGenerator::Options::describe(OptionSet<Options>& o) {
  o("resblock", &Options::resblock, "kind of the residual blocks: 1 (HiFi-GAN v1, v2) or 2 (v3)");
  o.required("upsample_rates", &Options::upsample_rates, "how much each stage lengthens; the product is the hop")
      .example({8, 4});
  o.required("upsample_kernel_sizes", &Options::upsample_kernel_sizes, "of the transposed convolutions")
      .example({16, 8});
  o("upsample_initial_channel", &Options::upsample_initial_channel,
    "channels before the first stage; each halves them");
  o.required("resblock_kernel_sizes", &Options::resblock_kernel_sizes, "of the residual blocks side by side")
      .example({3, 7});
  o.required("resblock_dilation_sizes", &Options::resblock_dilation_sizes, "the dilations of each of them")
      .example({{1, 3, 5}, {1, 3, 5}});
  o("initial_input_size", &Options::initial_input_size, "mel bands");
  o("apply_weight_init_conv_pre", &Options::apply_weight_init_conv_pre,
    "accepted: NeMo's initialization of normed weights has no effect, there as here");
}

HifiGanGenerator::HifiGanGenerator(const Options& o) : input_size_(o.initial_input_size) {
  const size_t stages = o.upsample_rates.size();
  if (stages == 0 || stages > 16)
    refuse("upsample_rates", "the generator needs stages", std::to_string(stages), "1 to 16 rates");
  if (o.upsample_kernel_sizes.size() != stages) {
    refuse("upsample_kernel_sizes", "every stage needs its kernel", std::to_string(o.upsample_kernel_sizes.size()),
           std::to_string(stages) + ", as upsample_rates");
  }
  if (o.resblock_kernel_sizes.empty() || o.resblock_dilation_sizes.size() != o.resblock_kernel_sizes.size()) {
    refuse("resblock_dilation_sizes", "every residual block needs its dilations",
           std::to_string(o.resblock_dilation_sizes.size()),
           std::to_string(o.resblock_kernel_sizes.size()) + ", as resblock_kernel_sizes, and at least 1");
  }
  check_range("initial_input_size", o.initial_input_size, 1, kMostChannels);
  check_range("upsample_initial_channel", o.upsample_initial_channel, int64_t{1} << stages, kMostChannels);
  const int64_t kind = o.resblock == Json(1) || o.resblock == Json("1") ? 1 : 2;
  for (size_t i = 0; i < o.resblock_kernel_sizes.size(); ++i) {
    const std::string option = "resblock_kernel_sizes[" + std::to_string(i) + "]";
    check_range(option, o.resblock_kernel_sizes[i], 1, kWidestKernel);
    if (o.resblock_kernel_sizes[i] % 2 == 0)
      refuse(option, "a residual block needs an odd kernel", std::to_string(o.resblock_kernel_sizes[i]),
             "an odd number");
    const size_t wanted = kind == 1 ? 3 : 2;  // NeMo's blocks read as many
    if (o.resblock_dilation_sizes[i].size() < wanted) {
      refuse("resblock_dilation_sizes[" + std::to_string(i) + "]", "a residual block has too few dilations",
             std::to_string(o.resblock_dilation_sizes[i].size()), std::to_string(wanted));
    }
    for (const int64_t dilation : o.resblock_dilation_sizes[i])
      check_range("resblock_dilation_sizes[" + std::to_string(i) + "]", dilation, 1, kWidestKernel);
  }

  const int64_t initial = o.upsample_initial_channel;
  conv_pre_ = register_module("conv_pre", std::make_shared<NormedConv>(conv1d(o.initial_input_size, initial, 7)));
  torch::nn::ModuleList ups = register_module("ups", torch::nn::ModuleList());
  torch::nn::ModuleList groups = register_module("resblocks", torch::nn::ModuleList());
  int64_t channels = initial;
  for (size_t i = 0; i < stages; ++i) {
    const int64_t rate = o.upsample_rates[i], kernel = o.upsample_kernel_sizes[i];
    check_range("upsample_rates[" + std::to_string(i) + "]", rate, 1, kMostHop);
    check_range("upsample_kernel_sizes[" + std::to_string(i) + "]", kernel, rate, kWidestKernel);
    if ((kernel - rate) % 2 != 0) {
      refuse("upsample_kernel_sizes[" + std::to_string(i) + "]", "a stage cannot keep its length",
             std::to_string(kernel) + " with a rate of " + std::to_string(rate), "both even, or both odd");
    }
    hop_ *= rate;
    check_range("upsample_rates", hop_, 1, kMostHop);
    channels = initial >> (i + 1);
    ups_.push_back(std::make_shared<NormedConv>(NormedConvOptions{.in = initial >> i,
                                                                  .out = channels,
                                                                  .kernel = {kernel},
                                                                  .stride = {rate},
                                                                  .padding = {(kernel - rate) / 2},
                                                                  .transposed = true}));
    ups->push_back(ups_.back());
    torch::nn::ModuleList group;
    blocks_.emplace_back();
    for (size_t j = 0; j < o.resblock_kernel_sizes.size(); ++j) {
      std::vector<int64_t> dilations = o.resblock_dilation_sizes[j];
      dilations.resize(kind == 1 ? 3 : 2);
      blocks_.back().push_back(
          std::make_shared<HifiGanResBlock>(kind, channels, o.resblock_kernel_sizes[j], dilations));
      group->push_back(blocks_.back().back());
    }
    groups->push_back(group);
    // Frames whose samples at this stage are whole multiples of what each block needs.
    int64_t samples = 1;
    for (size_t j = 0; j <= i; ++j) samples *= o.upsample_rates[j];
    for (const auto& block : blocks_.back())
      alignment_ = aligned_to(alignment_, block->alignment() / std::gcd(block->alignment(), samples));
  }
  if (alignment_ > kLargestAlignment) alignment_ = 1;
  conv_post_ = register_module("conv_post", std::make_shared<NormedConv>(conv1d(channels, 1, 7)));
  context_ = context_of(o);
}

// From the last layer back to the first: what a sample at each rate depends on.
int64_t HifiGanGenerator::context_of(const Options& o) const {
  int64_t radius = 3;  // of conv_post
  for (size_t i = blocks_.size(); i-- > 0;) {
    int64_t widest = 0;
    for (const auto& block : blocks_[i]) widest = std::max(widest, block->radius());
    const int64_t kernel = o.upsample_kernel_sizes[i], rate = o.upsample_rates[i], padding = (kernel - rate) / 2;
    radius = (radius + widest + std::max(padding, kernel - 1 - padding) + rate - 1) / rate;
  }
  return radius + 3;  // of conv_pre
}

Ports HifiGanGenerator::inputs() const { return spectrogram_in(); }
Ports HifiGanGenerator::outputs() const { return audio_out(); }
void HifiGanGenerator::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(spectrogram_in());
  schema["outputs"] = ports_json(audio_out());
}
Json HifiGanGenerator::properties() const {
  return {{"hop_length", hop_}, {"context", context_}, {"alignment", alignment_}, {"feat_in", input_size_}};
}

at::Tensor HifiGanGenerator::generate(at::Tensor x) {
  x = conv_pre_->forward(x);
  for (size_t i = 0; i < ups_.size(); ++i) {
    x = ups_[i]->forward(at::leaky_relu(x, kSlope));
    at::Tensor sum;
    for (const auto& block : blocks_[i]) {
      const at::Tensor y = block->forward(x);
      sum = sum.defined() ? sum + y : y;
    }
    x = sum / static_cast<double>(blocks_[i].size());
  }
  return at::tanh(conv_post_->forward(at::leaky_relu(x, kLastSlope)));
}

at::Tensor HifiGanGenerator::infer(at::Tensor x, bool bfloat16) {
  const at::NoGradGuard no_grad;
  if (!bfloat16 && nn::frame_conv_applies(x) && conv_pre_->bias().scalar_type() == at::kFloat) return infer_frames(x);
  if (bfloat16) x = x.to(at::kBFloat16);
  x = conv_pre_->infer(x);
  for (size_t i = 0; i < ups_.size(); ++i) {
    x = ups_[i]->infer(at::leaky_relu_(x, kSlope));
    at::Tensor sum;
    for (const auto& block : blocks_[i]) {
      at::Tensor y = block->infer(x);
      sum = sum.defined() ? sum.add_(y) : y;
    }
    x = sum.div_(static_cast<double>(blocks_[i].size()));
  }
  return conv_post_->infer(at::leaky_relu_(x, kLastSlope)).to(at::kFloat).tanh_();
}

at::Tensor HifiGanGenerator::infer_frames(const at::Tensor& x) {
  at::Tensor y = nn::leaky_frame_conv(nn::to_frames(x), conv_pre_->frame_taps(), /*slope=*/1);
  for (size_t i = 0; i < ups_.size(); ++i) {
    y = nn::leaky_frame_upsampling(y, ups_[i]->frame_upsampling(), static_cast<float>(kSlope));
    at::Tensor sum = at::empty_like(y);
    for (size_t j = 0; j < blocks_[i].size(); ++j)
      blocks_[i][j]->infer_frames(y, 1 / static_cast<float>(blocks_[i].size()), j > 0, sum);
    y = sum;
  }
  return nn::from_frames(nn::leaky_frame_conv(y, conv_post_->frame_taps(), static_cast<float>(kLastSlope)), 1).tanh_();
}

const void* HifiGanGenerator::query(std::string_view id) {
  static const GeneratorInferenceTable table = {
      sizeof(GeneratorInferenceTable), [](void* self, const at::Tensor* x, int32_t bfloat16, at::Tensor* audio) {
        return guard([&] {
          auto& module = static_cast<HifiGanGenerator&>(NeuralModule::Storage::get(self));
          if (x->size(1) != module.input_size_) {
            throw Error(Code::kBadData, "the spectrogram has another number of mel bands than the generator")
                .seen(std::to_string(x->size(1)))
                .expected(std::to_string(module.input_size_));
          }
          *audio = module.infer(*x, bfloat16 != 0);
        });
      }};
  return id == kGeneratorInference ? &table : nullptr;
}

Values HifiGanGenerator::forward(const Values& in) {
  const at::Tensor& x = in.tensor("x");
  if (x.size(1) != input_size_) {
    throw Error(Code::kBadData, "the spectrogram has another number of mel bands than the generator")
        .seen(std::to_string(x.size(1)))
        .expected(std::to_string(input_size_));
  }
  return {{"audio", generate(x)}};
}

Values HifiGanGenerator::input_example() const {
  return {{"x", at::randn({1, input_size_, 16}, conv_pre_->bias().options().requires_grad(false))}};
}

}  // namespace fathom::tts
