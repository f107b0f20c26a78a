// Log-mel features of 60 s of 16 kHz audio, one thread: the preprocessor module beside the plain libtorch way.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/nn/module.h>

#include "core/plugins/host_table.h"
#include "fathom/module.h"
#include "tests/bench/measure.h"

namespace {

// What one writes with libtorch's operators: pre-emphasis, stft, power, mel matrix, log, normalisation over time.
at::Tensor plain_log_mel(const at::Tensor& audio, const at::Tensor& window, const at::Tensor& filters) {
  const at::Tensor emphasised = at::cat({audio.slice(1, 0, 1), audio.slice(1, 1) - 0.97 * audio.slice(1, 0, -1)}, 1);
  const at::Tensor spectrum =
      at::stft(emphasised, 512, 160, 320, window, /*center=*/true, "constant", false, true, true);
  const at::Tensor power = at::view_as_real(spectrum).pow(2).sum(-1);
  const at::Tensor mel = (at::matmul(filters, power) + 0x1p-24).log();
  return (mel - mel.mean(2, true)) / (mel.std(2, true, true) + 1e-5);
}

}  // namespace

int main() {
  using namespace fathom;  // NOLINT
  at::set_num_threads(1);
  host_slot() = plugins::host_table();
  const c10::InferenceMode inference;
  const at::Tensor audio = at::randn({1, 60 * 16000}) * 0.1, length = at::tensor({int64_t{60 * 16000}});
  const Json config = {{"_target_", "asr.AudioToMelSpectrogramPreprocessor"},
                       {"sample_rate", 16000},
                       {"window_size", 0.02},
                       {"window_stride", 0.01},
                       {"features", 64},
                       {"n_fft", 512},
                       {"dither", 0.0},
                       {"pad_to", 0}};
  const ModuleHandle preprocessor = make_module(config, "bench");
  preprocessor.torch_module()->eval();
  at::Tensor window, filters;
  for (const auto& item : preprocessor.torch_module()->named_buffers()) {
    if (item.key().ends_with("window")) window = item.value();
    if (item.key().ends_with("fb")) filters = item.value().squeeze(0);
  }
  const Values in{{"input_signal", audio}, {"length", length}};
  const auto timed = bench::alternate([&] { preprocessor(in); }, [&] { plain_log_mel(audio, window, filters); }, 11);
  bench::report("frontend", "log-mel of 60 s at 16 kHz, 64 bands", 60 / timed.ours, 60 / timed.peer,
                "at::stft and at::matmul", "times real time", false);
}
