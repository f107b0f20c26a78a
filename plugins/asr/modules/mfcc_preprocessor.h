// AudioToMFCCPreprocessor: samples to mel-frequency cepstral coefficients, with torchaudio's numbers as NeMo uses them.
#pragma once

#include <array>
#include <memory>

#include "fathom/module.h"
#include "plugins/lib/audio/mfcc_kernel.h"

namespace fathom::asr {

// input_signal (B, S), length (B) samples -> processed_signal (B, n_mfcc, T), processed_length (B) = ceil(length /
// hop). HTK mel scale without normalisation, reflected edges, periodic window; log(x + 1e-6), or decibels with `log:
// false` (80 dB below the loudest bin of the *batch* at most, so that a result depends on its batch). State:
// featurizer.{dct_mat, MelSpectrogram.spectrogram.window, MelSpectrogram.mel_scale.fb}.
class AudioToMFCCPreprocessor final : public NeuralModule {
 public:
  struct Options {
    int64_t sample_rate = 16000;
    Json window_size = 0.02, window_stride = 0.01;
    Json n_window_size = nullptr, n_window_stride = nullptr;
    std::optional<std::string> window = "hann";
    std::optional<int64_t> n_fft;
    double lowfreq = 0;
    std::optional<double> highfreq;
    int64_t n_mels = 64, n_mfcc = 64, dct_type = 2;
    std::optional<std::string> norm = "ortho";
    bool log = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit AudioToMFCCPreprocessor(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  // Of the windows, filters and cosines as they are now, which a restored model brings along.
  const audio::MfccKernel& kernel();
  at::Tensor cepstra_of(const at::Tensor& signal);

  int64_t sample_rate_, win_length_ = 0, hop_length_ = 0, n_fft_ = 0;
  bool log_;
  at::Tensor window_, filters_, dct_;
  std::unique_ptr<const audio::MfccKernel> kernel_;
  std::array<at::Tensor, 3> made_of_;
};

}  // namespace fathom::asr
