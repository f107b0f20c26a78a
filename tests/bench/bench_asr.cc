// Whole speech models, one thread: what a training step or a forward pass takes and how high memory rises, beside NeMo
// where FATHOM_PYTHON (default python3) has it (nemo_asr.py builds the same models). Each case is a process of its own:
// `bench_asr CASE [REPEATS [THREADS]]` measures ours of one case, without arguments all of them, in turn with NeMo's.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/nn.h>

#include <cstdlib>
#include <memory>

#include "core/plugins/registry.h"
#include "core/training/autocast.h"
#include "core/training/optimization.h"
#include "fathom/module.h"
#include "plugins/asr/modules/inference_compute.h"
#include "tests/bench/process_case.h"

namespace fathom {
namespace {

constexpr int64_t kLetters = 28;

Json block(int64_t filters, int64_t kernel, int64_t repeat, int64_t stride, int64_t dilation, bool residual,
           bool separable = true) {
  return {{"filters", filters},     {"repeat", repeat},     {"kernel", {kernel}},     {"stride", {stride}},
          {"dilation", {dilation}}, {"residual", residual}, {"separable", separable}, {"dropout", 0.0}};
}

// Kriman et al., "QuartzNet", 2019, table 1: 15x5.
Json quartznet() {
  Json blocks = Json::array({block(256, 33, 1, 2, 1, false)});
  const std::pair<int64_t, int64_t> kinds[] = {{256, 33}, {256, 39}, {512, 51}, {512, 63}, {512, 75}};
  for (const auto& [filters, kernel] : kinds) {
    for (int i = 0; i < 3; ++i) blocks.push_back(block(filters, kernel, 5, 1, 1, true));
  }
  blocks.push_back(block(512, 87, 1, 1, 2, false));
  blocks.push_back(block(1024, 1, 1, 1, 1, false, false));
  return {{"_target_", "asr.ConvASREncoder"}, {"feat_in", 64}, {"activation", "relu"}, {"jasper", blocks}};
}

// Majumdar and Ginsburg, "MatchboxNet", 2020: 3x1x64.
Json matchboxnet() {
  Json blocks = Json::array({block(128, 11, 1, 1, 1, false)});
  for (const int64_t kernel : {13, 15, 17}) blocks.push_back(block(64, kernel, 1, 1, 1, true));
  blocks.push_back(block(128, 29, 1, 1, 2, false));
  blocks.push_back(block(128, 1, 1, 1, 1, false, false));
  return {{"_target_", "asr.ConvASREncoder"}, {"feat_in", 64}, {"activation", "relu"}, {"jasper", blocks}};
}

Json conformer() {
  return {{"_target_", "asr.ConformerEncoder"},
          {"feat_in", 80},
          {"n_layers", 16},
          {"d_model", 176},
          {"n_heads", 4},
          {"conv_kernel_size", 31},
          {"dropout", 0.1},
          {"dropout_pre_encoder", 0.1},
          {"dropout_emb", 0.0},
          {"dropout_att", 0.1}};
}

// The encoder of the 0.6 B transducers people use (parakeet-tdt-0.6b: 24 layers of width 1024).
Json fastconformer() {
  return {{"_target_", "asr.ConformerEncoder"},
          {"feat_in", 128},
          {"n_layers", 24},
          {"d_model", 1024},
          {"n_heads", 8},
          {"subsampling", "dw_striding"},
          {"subsampling_factor", 8},
          {"subsampling_conv_channels", 256},
          {"ff_expansion_factor", 4},
          {"conv_kernel_size", 9},
          {"xscaling", false},
          {"use_bias", false}};
}

constexpr int64_t kLongFrames = 6000;  // 60 s

// A minute of audio through an encoder whose weights were laid out for `precision`; "plain": as libtorch's modules have
// them.
std::function<void()> minute(const Json& config, int64_t features, const std::string& precision) {
  const ModuleHandle encoder = make_module(config, "encoder");
  encoder.torch_module()->eval();
  if (precision != "plain") {
    const auto compute = encoder.query<asr::asr_inference_compute_v1>(ASR_INFERENCE_COMPUTE_EXTENSION);
    check(compute->prepare(compute.self(), to_abi(precision)));
  }
  const at::Tensor signal = at::randn({1, features, kLongFrames}), length = at::full({1}, kLongFrames, at::kLong);
  return [=] {
    const c10::InferenceMode inference;
    encoder({{"audio_signal", signal}, {"length", length}});
  };
}

// A model's modules as one, so that the optimizer sees their parameters.
struct Model : torch::nn::Module {
  ModuleHandle add(const std::string& name, const Json& config) {
    ModuleHandle handle = make_module(config, name);
    if (handle.torch_module() != nullptr) register_module(name, handle.torch_module());
    return handle;
  }
};

// What one run of a case does, warmed up by the caller.
std::function<void()> prepare(const std::string& name) {
  const std::string kind = name.substr(0, name.find('_'));
  if (const size_t at = name.find("_60s_"); at != std::string::npos) {
    const std::string precision = name.substr(at + 5);
    return kind == "fastconformer" ? minute(fastconformer(), 128, precision) : minute(conformer(), 80, precision);
  }
  const bool forward_only = name.ends_with("_forward"), mixed = name.ends_with("_bf16");
  const bool classifier = kind == "matchboxnet", attention = kind == "conformer";
  auto model = std::make_shared<Model>();
  const int64_t features = attention ? 80 : 64, width = classifier ? 128 : attention ? 176 : 1024;
  const int64_t items = forward_only ? 1 : classifier ? 128 : 8;
  const ModuleHandle encoder = model->add("encoder", classifier  ? matchboxnet()
                                                     : attention ? conformer()
                                                                 : quartznet());
  const ModuleHandle decoder = model->add(
      "decoder", classifier
                     ? Json{{"_target_", "asr.ConvASRDecoderClassification"}, {"feat_in", width}, {"num_classes", 30}}
                     : Json{{"_target_", "asr.ConvASRDecoder"}, {"feat_in", width}, {"num_classes", kLetters}});
  model->train(!forward_only);
  if (forward_only) {
    const at::Tensor signal = at::randn({items, features, 1000}), length = at::full({items}, 1000, at::kLong);
    return [=] {
      const c10::InferenceMode inference;
      const Values encoded = encoder({{"audio_signal", signal}, {"length", length}});
      (void)model;
      decoder({{"encoder_output", encoded["outputs"]}});
    };
  }

  Json masks = {{"_target_", "asr.SpectrogramAugmentation"}};
  if (attention)
    masks.update({{"freq_masks", 2}, {"time_masks", 5}, {"freq_width", 27}, {"time_width", 0.05}});
  else if (classifier)
    masks.update({{"freq_masks", 2},
                  {"time_masks", 2},
                  {"freq_width", 15},
                  {"time_width", 25},
                  {"rect_masks", 5},
                  {"rect_time", 25},
                  {"rect_freq", 15}});
  else
    masks.update({{"rect_masks", 5}, {"rect_time", 120}, {"rect_freq", 50}});
  const ModuleHandle augment = model->add("spec_augment", masks);
  Json optim = {{"name", "novograd"}, {"lr", 0.01}, {"betas", {0.8, 0.5}}, {"weight_decay", 0.001}};
  if (attention) optim = {{"name", "adamw"}, {"lr", 0.001}, {"betas", {0.9, 0.98}}, {"weight_decay", 0.001}};
  auto optimization =
      std::make_shared<training::Optimization>(optim, "optim", *model, nullptr, training::TrainingFacts());
  const auto precision = mixed ? Precision::kBf16Mixed : Precision::k32True;

  if (classifier) {  // from samples, as NeMo's model takes them
    const ModuleHandle front_end = model->add("preprocessor", {{"_target_", "asr.AudioToMFCCPreprocessor"},
                                                               {"window_size", 0.025},
                                                               {"window_stride", 0.01},
                                                               {"n_mels", 64},
                                                               {"n_mfcc", 64},
                                                               {"n_fft", 512}});
    const at::Tensor samples = 0.1 * at::randn({items, 16000}), length = at::full({items}, 16000, at::kLong);
    const at::Tensor labels = at::randint(0, 30, {items}, at::kLong);
    return [=] {
      Values given = front_end({{"input_signal", samples}, {"length", length}});
      given = Values{{"input_spec", given["processed_signal"]}, {"length", given["processed_length"]}};
      const at::Tensor signal = augment(given).tensor("augmented_spec");
      const Values encoded = encoder({{"audio_signal", signal}, {"length", given["length"]}});
      const at::Tensor logits = decoder({{"encoder_output", encoded["outputs"]}}).tensor("logits");
      const at::Tensor loss = at::cross_entropy_loss(logits, labels);
      optimization->zero_grad();
      loss.backward();
      optimization->step();
    };
  }
  const at::Tensor features_in = at::randn({items, features, 1000}), length = at::full({items}, 1000, at::kLong);
  const at::Tensor targets = at::randint(0, kLetters, {items, 120}, at::kLong),
                   target_lengths = at::randint(80, 121, {items}, at::kLong);
  return [=] {
    at::Tensor loss;
    {
      const training::Autocast autocast(precision);
      const at::Tensor signal = augment({{"input_spec", features_in}, {"length", length}}).tensor("augmented_spec");
      const Values encoded = encoder({{"audio_signal", signal}, {"length", length}});
      const at::Tensor log_probs = decoder({{"encoder_output", encoded["outputs"]}}).tensor("logprobs");
      loss = at::ctc_loss(log_probs.transpose(0, 1).to(at::kFloat), targets, encoded["encoded_lengths"].tensor(),
                          target_lengths, kLetters, at::Reduction::Mean, true);
    }
    optimization->zero_grad();
    loss.backward();
    optimization->step();
  };
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  using namespace fathom;  // NOLINT
  if (argc > 1) {
    at::set_num_threads(argc > 3 ? std::atoi(argv[3]) : 1);
    at::manual_seed(1);
    bench::measure_case(argv[1], argc > 2 ? std::atoi(argv[2]) : 3, prepare(argv[1]));
    return 0;
  }
  for (const char* name : {"quartznet_step", "quartznet_step_bf16", "conformer_step", "conformer_step_bf16"})
    bench::compare_with_nemo("asr", argv[0], name, 3);
  for (const char* model : {"fastconformer", "conformer"}) {
    const Json theirs = bench::nemo_case(model + std::string("_60s_32"), 2);
    const Json their_half = bench::nemo_case(model + std::string("_60s_bf16"), 2);
    // "plain": the layers as libtorch has them. Bytes are compared with NeMo's float32: on a CPU it has none.
    for (const char* precision : {"plain", "32", "bf16", "int8"}) {
      for (const int threads : {1, 2}) {
        const std::string name = std::string(model) + "_60s_" + precision;
        const Json ours = bench::measured(argv[0], name, 2, threads);
        const Json& peer = std::string(precision) == "bf16" ? their_half : theirs;
        bench::report_processes("asr", name + ", " + std::to_string(threads) + " threads", ours,
                                threads == 1 ? peer : Json(nullptr), "NeMo, one thread");
      }
    }
  }
  for (const char* name : {"quartznet_forward", "conformer_forward", "matchboxnet_step"})
    bench::compare_with_nemo("asr", argv[0], name, 9);
}
