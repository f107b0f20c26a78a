// Text to sound: FastPitch (384 wide, 6 + 6 layers) and HiFi-GAN V1, random weights, 100 tokens of five frames (5.8 s),
// beside the same networks as plain calls of libtorch, which work weight norms out at every call as torch's modules do.
// And what a text of ten minutes takes of memory, beside one of half a minute: each a process of its own.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/inference/synthesizer.h"
#include "core/models/nemo_file.h"
#include "core/plugins/registry.h"
#include "fathom/synthesis.h"
#include "tests/bench/process_case.h"

namespace {

using namespace fathom;  // NOLINT

constexpr int64_t kTokens = 100, kFramesAToken = 5, kHop = 256, kRate = 22050, kMels = 80;
constexpr int64_t kWidth = 384, kHead = 64, kInner = 1536, kLayers = 6;
const std::vector<int64_t> kRates = {8, 8, 2, 2}, kKernels = {16, 16, 4, 4}, kBlocks = {3, 7, 11},
                           kDilations = {1, 3, 5};

Json front_end(const char* target, const char* bands) {
  return {{"_target_", target},
          {bands, kMels},
          {"lowfreq", 0},
          {"highfreq", 8000},
          {"n_fft", 1024},
          {"n_window_size", 1024},
          {"n_window_stride", kHop},
          {"pad_to", 1},
          {"pad_value", 0},
          {"sample_rate", kRate},
          {"window", "hann"},
          {"normalize", nullptr},
          {"preemph", nullptr},
          {"dither", 0.0},
          {"mag_power", 1.0},
          {"log_zero_guard_type", "add"},
          {"log_zero_guard_value", 1e-5}};
}

ModelHandle make_fastpitch() {
  Json fft = {{"_target_", "nemo.collections.tts.modules.transformer.FFTransformerEncoder"},
              {"n_layer", kLayers},
              {"n_head", 1},
              {"d_model", kWidth},
              {"d_head", kHead},
              {"d_inner", kInner},
              {"kernel_size", 3},
              {"dropout", 0.1},
              {"dropatt", 0.1},
              {"dropemb", 0.0}};
  Json decoder = fft;
  decoder["_target_"] = "nemo.collections.tts.modules.transformer.FFTransformerDecoder";
  const Json predictor = {{"_target_", "nemo.collections.tts.modules.fastpitch.TemporalPredictor"},
                          {"input_size", kWidth},
                          {"filter_size", 256},
                          {"kernel_size", 3},
                          {"dropout", 0.1},
                          {"n_layers", 2}};
  Json mel = front_end("nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor", "features");
  mel["window_size"] = mel["window_stride"] = false;
  const Json config = {
      {"_target_", "tts.FastPitchModel"},
      {"learn_alignment", true},
      {"n_speakers", 1},
      {"symbols_embedding_dim", kWidth},
      {"pitch_embedding_kernel_size", 3},
      {"n_mel_channels", kMels},
      {"preprocessor", mel},
      {"input_fft", fft},
      {"output_fft", decoder},
      {"duration_predictor", predictor},
      {"pitch_predictor", predictor},
      {"alignment_module",
       {{"_target_", "nemo.collections.tts.modules.aligner.AlignmentEncoder"}, {"n_text_channels", kWidth}}},
      {"text_tokenizer", {{"_target_", "tts.EnglishCharsTokenizer"}, {"pad_with_space", true}}},
      {"train_ds", {{"dataset", {{"_target_", "nemo.collections.tts.data.dataset.TTSDataset"}}}}}};
  ModelHandle model(create_object(1u << FATHOM_KIND_MODEL, config, "model"));
  model.torch_module()->eval();
  // Every token lasts as long.
  const at::NoGradGuard no_grad;
  auto parameters = model.torch_module()->named_parameters();
  parameters["fastpitch.duration_predictor.fc.weight"].zero_();
  parameters["fastpitch.duration_predictor.fc.bias"].fill_(std::log(1.0 + kFramesAToken));
  return model;
}

ModelHandle make_hifigan() {
  Json generator = {{"_target_", "nemo.collections.tts.modules.hifigan_modules.Generator"},
                    {"resblock", 1},
                    {"upsample_rates", kRates},
                    {"upsample_kernel_sizes", kKernels},
                    {"upsample_initial_channel", 512},
                    {"resblock_kernel_sizes", kBlocks},
                    {"resblock_dilation_sizes", std::vector<std::vector<int64_t>>(3, kDilations)}};
  Json mel = front_end("nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures", "nfilt");
  const Json config = {{"_target_", "tts.HifiGanModel"},
                       {"debug", true},
                       {"preprocessor", mel},
                       {"generator", generator},
                       {"max_steps", 1},
                       {"train_ds", {{"dataset", {{"_target_", "tts.VocoderDataset"}}}}}};
  ModelHandle model(create_object(1u << FATHOM_KIND_MODEL, config, "model"));
  model.torch_module()->eval();
  return model;
}

// A weight-normed convolution as torch's hook computes it.
struct Normed {
  at::Tensor v, g, b;
  Normed(int64_t rows, int64_t columns, int64_t kernel, int64_t out)
      : v(at::randn({rows, columns, kernel}) * 0.01), g(at::norm_except_dim(v, 2, 0)), b(at::zeros({out})) {}
  at::Tensor conv(const at::Tensor& x, int64_t dilation = 1) const {
    const int64_t kernel = v.size(2);
    return at::conv1d(x, at::_weight_norm(v, g, 0), b, 1, (kernel - 1) * dilation / 2, dilation);
  }
  at::Tensor up(const at::Tensor& x, int64_t rate) const {
    return at::conv_transpose1d(x, at::_weight_norm(v, g, 0), b, rate, (v.size(2) - rate) / 2);
  }
};

class PlainHifiGan {
 public:
  PlainHifiGan() {
    int64_t channels = 512;
    for (size_t i = 0; i < kRates.size(); ++i, channels /= 2) {
      ups_.emplace_back(channels, channels / 2, kKernels[i], channels / 2);
      for (const int64_t kernel : kBlocks) {
        for (size_t j = 0; j < 6; ++j) convs_.emplace_back(channels / 2, channels / 2, kernel, channels / 2);
      }
    }
  }
  at::Tensor run(at::Tensor x) const {
    x = pre_.conv(x);
    size_t next = 0;
    for (size_t i = 0; i < ups_.size(); ++i) {
      x = ups_[i].up(at::leaky_relu(x, 0.1), kRates[i]);
      at::Tensor sum = at::zeros_like(x);
      for (size_t block = 0; block < kBlocks.size(); ++block) {
        at::Tensor y = x;
        for (const int64_t dilation : kDilations) {
          at::Tensor t = convs_[next++].conv(at::leaky_relu(y, 0.1), dilation);
          t = convs_[next++].conv(at::leaky_relu(t, 0.1));
          y = t + y;
        }
        sum += y;
      }
      x = sum / 3;
    }
    return at::tanh(post_.conv(at::leaky_relu(x)));
  }

 private:
  Normed pre_{512, kMels, 7, 512}, post_{1, 32, 7, 1};
  std::vector<Normed> ups_, convs_;
};

class PlainFastPitch {
 public:
  at::Tensor run(const at::Tensor& tokens) const {
    at::Tensor x = stack(at::embedding(table_, tokens));
    const at::Tensor durations = predict(x).mul(0).add(double(kFramesAToken));
    x = x + at::conv1d(predict(x).unsqueeze(1), pitch_, {}, 1, 1).transpose(1, 2);
    const at::Tensor reps = (durations + 0.5).floor().to(at::kLong);
    const at::Tensor ends = at::constant_pad_nd(at::cumsum(reps, 1), {1, 0}).unsqueeze(1);
    const at::Tensor frame = at::arange(reps.sum().item<int64_t>()).view({1, -1, 1});
    const at::Tensor mult = (ends.slice(2, 0, -1) <= frame).logical_and(ends.slice(2, 1) > frame).to(at::kFloat);
    return at::linear(stack(at::matmul(mult, x)), out_).transpose(1, 2);
  }

 private:
  at::Tensor stack(at::Tensor x) const {
    const at::Tensor phase = at::arange(x.size(1), at::kFloat).unsqueeze(1) * at::rand({1, kWidth / 2});
    const at::Tensor mask = at::ones({1, x.size(1), 1});
    x = x + at::cat({phase.sin(), phase.cos()}, 1) * mask;
    for (int64_t i = 0; i < kLayers; ++i) {
      const auto qkv = at::linear(x, qkv_).chunk(3, 2);
      at::Tensor scores = at::bmm(qkv[0], qkv[1].transpose(1, 2)).mul_(0.125);
      scores.masked_fill_(at::zeros({1, 1, x.size(1)}, at::kBool), -INFINITY);
      const at::Tensor heard = at::bmm(at::softmax(scores, 2), qkv[2]);
      x = at::layer_norm(x + at::linear(heard, o_), {kWidth}, ones_, zeros_) * mask;
      const at::Tensor inner = at::relu(at::conv1d(x.transpose(1, 2), first_, {}, 1, 1));
      x = at::layer_norm(x + at::conv1d(inner, second_, {}, 1, 1).transpose(1, 2), {kWidth}, ones_, zeros_) * mask;
    }
    return x;
  }
  at::Tensor predict(const at::Tensor& x) const {
    at::Tensor y = at::relu(at::conv1d(x.transpose(1, 2), filter_, {}, 1, 1)).transpose(1, 2);
    y = at::relu(at::conv1d(at::layer_norm(y, {256}).transpose(1, 2), filter2_, {}, 1, 1)).transpose(1, 2);
    return at::linear(at::layer_norm(y, {256}), last_).squeeze(-1);
  }
  at::Tensor table_ = at::randn({50, kWidth}) * 0.1, qkv_ = at::randn({3 * kHead, kWidth}) * 0.02,
             o_ = at::randn({kWidth, kHead}) * 0.02, first_ = at::randn({kInner, kWidth, 3}) * 0.01,
             second_ = at::randn({kWidth, kInner, 3}) * 0.01, ones_ = at::ones({kWidth}), zeros_ = at::zeros({kWidth}),
             filter_ = at::randn({256, kWidth, 3}) * 0.02, filter2_ = at::randn({256, 256, 3}) * 0.02,
             last_ = at::randn({1, 256}), pitch_ = at::randn({kWidth, 1, 3}), out_ = at::randn({kMels, kWidth}) * 0.02;
};

void measure_speed(int threads) {
  at::set_num_threads(threads);
  at::manual_seed(0);
  const ModelHandle fastpitch = make_fastpitch(), hifigan = make_hifigan();
  const SpeechSynthesizerHandle speaker(fastpitch.object());
  const VocoderHandle vocoder(hifigan.object());
  const PlainFastPitch plain_speaker;
  const PlainHifiGan plain_vocoder;
  const c10::InferenceMode inference;
  const at::Tensor tokens = at::arange(kTokens).remainder(26).add(1).unsqueeze(0);
  const double seconds = static_cast<double>(kTokens * kFramesAToken * kHop) / kRate;
  const auto ours = [&](const char* precision) {
    const Values spoken = speaker.synthesize({{"tokens", tokens}});
    vocoder.vocode({{"spect", spoken["spect"]}}, {{"precision", precision}});
  };
  const std::string with = std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  for (const char* precision : {"32", "bf16"}) {
    const auto timed =
        bench::alternate([&] { ours(precision); }, [&] { plain_vocoder.run(plain_speaker.run(tokens)); }, 5);
    bench::report("tts", "FastPitch and HiFi-GAN V1, " + with + ", precision " + precision, seconds / timed.ours,
                  seconds / timed.peer, "plain libtorch in float32", "times real time", false);
  }
  const auto acoustic =
      bench::alternate([&] { speaker.synthesize({{"tokens", tokens}}); }, [&] { plain_speaker.run(tokens); }, 5);
  bench::report("tts", "FastPitch alone, " + with, acoustic.ours * 1e3, acoustic.peer * 1e3, "plain libtorch", "ms",
                true);
}

// Speaks `sentences` sentences of some six seconds through the program's own way.
void measure_memory(const std::string& name, int sentences) {
  at::set_num_threads(1);
  at::manual_seed(0);
  const std::string folder =
      std::filesystem::temp_directory_path().string() + "/fathom_bench_tts_" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  save_nemo(make_fastpitch(), folder + "/fastpitch.nemo");
  save_nemo(make_hifigan(), folder + "/hifigan.nemo");
  double spoken = 0;
  {
    SynthesisRequest request;
    request.model = folder + "/fastpitch.nemo";
    request.vocoder = folder + "/hifigan.nemo";
    request.vocoder_options = {{"precision", "bf16"}};
    request.threads = 1;
    Synthesizer synthesizer(request);
    SynthesisSink sink{[](int64_t) {}, [](const float*, size_t) {},
                       [&](const Json& report) { spoken += report["duration"].get<double>(); }};
    const std::string sentence =
        "the quick brown fox jumps over the lazy dog while nobody in the wide valley looks up at the noisy birds. ";
    std::string text;
    for (int i = 0; i < sentences; ++i) text += std::string(1, static_cast<char>('A' + i % 26)) + sentence;
    bench::measure_case(
        name, 1, [&] { synthesizer.speak({text, Json::object()}, sink); },
        [&] { return Json{{"audio_seconds", spoken / 2}}; });
  }
  std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const std::string name = argv[1];
    measure_memory(name, name == "long" ? 100 : 5);
    return 0;
  }
  keep_freed_memory();  // as in the program, for both sides
  measure_speed(1);
  measure_speed(2);
  const Json few = bench::measured(argv[0], "short", 1), many = bench::measured(argv[0], "long", 1);
  bench::report("tts", "peak memory of a text of " + std::to_string(int(many["audio_seconds"].get<double>())) + " s",
                many["peak_mb"].get<double>(), few["peak_mb"].get<double>(),
                "of " + std::to_string(int(few["audio_seconds"].get<double>())) + " s", "MB", true);
}
