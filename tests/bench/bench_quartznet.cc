// A training step of a QuartzNet-5x5-size model, one thread: our encoder, CTC and Novograd beside the same model
// written with libtorch's modules (at::conv1d for the depthwise part) and torch::optim::Adam.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/nn.h>
#include <torch/optim/adam.h>

#include "core/plugins/registry.h"
#include "core/training/optimization.h"
#include "fathom/module.h"
#include "tests/bench/measure.h"

namespace {

using namespace fathom;  // NOLINT
namespace nn = torch::nn;

constexpr int64_t kBatch = 8, kFeatures = 64, kFrames = 400, kClasses = 29;

struct Block {
  int64_t filters, kernel, repeat, stride, dilation;
  bool residual;
};
// QuartzNet 5x5: Kriman et al., "QuartzNet", 2019, table 1.
const std::vector<Block> kBlocks = {{256, 33, 1, 2, 1, false}, {256, 33, 5, 1, 1, true}, {256, 39, 5, 1, 1, true},
                                    {512, 51, 5, 1, 1, true},  {512, 63, 5, 1, 1, true}, {512, 75, 5, 1, 1, true},
                                    {512, 87, 1, 1, 2, false}, {1024, 1, 1, 1, 1, false}};

struct PlainBlockImpl : nn::Module {
  PlainBlockImpl(int64_t in, const Block& b) : block(b) {
    int64_t channels = in;
    for (int64_t i = 0; i < b.repeat; ++i) {
      const auto padding = b.dilation * (b.kernel - 1) / 2;
      depthwise.push_back(
          register_module("d" + std::to_string(i), nn::Conv1d(nn::Conv1dOptions(channels, channels, b.kernel)
                                                                  .stride(b.stride)
                                                                  .dilation(b.dilation)
                                                                  .padding(padding)
                                                                  .groups(channels)
                                                                  .bias(false))));
      pointwise.push_back(
          register_module("p" + std::to_string(i), nn::Conv1d(nn::Conv1dOptions(channels, b.filters, 1).bias(false))));
      norm.push_back(
          register_module("n" + std::to_string(i), nn::BatchNorm1d(nn::BatchNorm1dOptions(b.filters).eps(1e-3))));
      channels = b.filters;
    }
    if (b.residual) {
      shortcut = register_module("s", nn::Conv1d(nn::Conv1dOptions(in, b.filters, 1).bias(false)));
      shortcut_norm = register_module("sn", nn::BatchNorm1d(nn::BatchNorm1dOptions(b.filters).eps(1e-3)));
    }
  }
  at::Tensor forward(at::Tensor x) {
    const at::Tensor input = x;
    for (size_t i = 0; i < depthwise.size(); ++i) {
      x = norm[i]->forward(pointwise[i]->forward(depthwise[i]->forward(x)));
      if (i + 1 < depthwise.size()) x = at::relu(x);
    }
    if (block.residual) x = x + shortcut_norm->forward(shortcut->forward(input));
    return at::relu(x);
  }
  Block block;
  std::vector<nn::Conv1d> depthwise, pointwise;
  std::vector<nn::BatchNorm1d> norm;
  nn::Conv1d shortcut{nullptr};
  nn::BatchNorm1d shortcut_norm{nullptr};
};
TORCH_MODULE(PlainBlock);

struct PlainModelImpl : nn::Module {
  PlainModelImpl() {
    int64_t channels = kFeatures;
    for (size_t i = 0; i < kBlocks.size(); ++i) {
      blocks.push_back(register_module("b" + std::to_string(i), PlainBlock(channels, kBlocks[i])));
      channels = kBlocks[i].filters;
    }
    head = register_module("head", nn::Conv1d(nn::Conv1dOptions(channels, kClasses, 1)));
  }
  at::Tensor forward(at::Tensor x) {
    for (auto& block : blocks) x = block->forward(x);
    return at::log_softmax(head->forward(x).transpose(1, 2), -1);
  }
  std::vector<PlainBlock> blocks;
  nn::Conv1d head{nullptr};
};
TORCH_MODULE(PlainModel);

// Our modules as one, so that the optimizer sees their parameters.
struct OurModelImpl : nn::Module {
  OurModelImpl() {
    Json jasper = Json::array();
    for (const auto& b : kBlocks) {
      jasper.push_back({{"filters", b.filters},
                        {"repeat", b.repeat},
                        {"kernel", {b.kernel}},
                        {"stride", {b.stride}},
                        {"dilation", {b.dilation}},
                        {"dropout", 0.0},
                        {"residual", b.residual},
                        {"separable", b.kernel > 1}});
    }
    encoder = make_module({{"_target_", "asr.ConvASREncoder"},
                           {"feat_in", kFeatures},
                           {"activation", "relu"},
                           {"conv_mask", true},
                           {"jasper", jasper}},
                          "encoder");
    decoder =
        make_module({{"_target_", "asr.ConvASRDecoder"}, {"feat_in", 1024}, {"num_classes", kClasses - 1}}, "decoder");
    register_module("encoder", encoder.torch_module());
    register_module("decoder", decoder.torch_module());
  }
  at::Tensor forward(const at::Tensor& features, const at::Tensor& lengths) {
    const Values encoded = encoder({{"audio_signal", features}, {"length", lengths}});
    return decoder({{"encoder_output", encoded["outputs"]}}).tensor("logprobs");
  }
  ModuleHandle encoder, decoder;
};
TORCH_MODULE(OurModel);

}  // namespace

int main() {
  at::set_num_threads(1);
  at::manual_seed(0);
  const at::Tensor features = at::randn({kBatch, kFeatures, kFrames});
  const at::Tensor lengths = at::full({kBatch}, kFrames, at::kLong),
                   out_lengths = at::full({kBatch}, kFrames / 2, at::kLong);
  const at::Tensor targets = at::randint(0, kClasses - 1, {kBatch, 40}, at::kLong),
                   target_lengths = at::full({kBatch}, 40, at::kLong);
  const auto ctc = [&](const at::Tensor& log_probs) {
    return at::ctc_loss(log_probs.transpose(0, 1), targets, out_lengths, target_lengths, kClasses - 1,
                        at::Reduction::Mean, true);
  };

  OurModel ours;
  training::TrainingFacts facts;
  training::Optimization optimization(
      {{"name", "novograd"}, {"lr", 0.01}, {"betas", {0.8, 0.5}}, {"weight_decay", 0.001}}, "optim", *ours, nullptr,
      facts);
  const auto our_step = [&] {
    optimization.zero_grad();
    ctc(ours->forward(features, lengths)).backward();
    optimization.step();
  };
  PlainModel plain;
  torch::optim::Adam adam(plain->parameters(), torch::optim::AdamOptions(0.001));
  const auto plain_step = [&] {
    adam.zero_grad();
    ctc(plain->forward(features)).backward();
    adam.step();
  };
  const auto timed = bench::alternate(our_step, plain_step, 5);
  bench::report("quartznet", "training step, 5x5 blocks, 8 x 4 s", timed.ours * 1e3, timed.peer * 1e3,
                "at::conv1d and torch::optim::Adam", "ms", true);
}
