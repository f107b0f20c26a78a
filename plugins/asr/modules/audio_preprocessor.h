// AudioToMelSpectrogramPreprocessor: samples to log-mel features, with NeMo's numbers.
#pragma once

#include "fathom/module.h"

namespace fathom::asr {

// The arithmetic (NeMo's FilterbankFeatures). Buffers: window (win_length) and fb (1, features, n_fft / 2 + 1), under
// NeMo's names.
class FilterbankFeatures : public torch::nn::Module {
 public:
  struct Settings {
    int64_t sample_rate = 16000, win_length = 320, hop_length = 160, n_fft = 512, features = 64;
    std::optional<std::string> window;
    enum class Normalize { kNone, kPerFeature, kAllFeatures, kFixed } normalize = Normalize::kNone;
    std::vector<double> fixed_mean, fixed_std;
    std::optional<double> preemph;
    double low_hz = 0, high_hz = 8000;
    bool log = true, clamp_guard = false;
    double log_guard = 0;
    double dither = 0;
    int64_t pad_to = 0, frame_splicing = 1;
    bool exact_pad = false;
    double pad_value = 0, mag_power = 2;
    double nb_augmentation_prob = 0, nb_max_freq = 4000;
    Json mel_norm = "slaney";
    bool use_grads = false;
    bool reflect = false;  // the convention of NeMo before 2.5
  };
  explicit FilterbankFeatures(const Settings& settings);

  // signal (B, S) float32, lengths (B) samples -> features (B, D, T) and lengths (B) in frames.
  std::pair<at::Tensor, at::Tensor> forward(at::Tensor signal, const at::Tensor& lengths);
  at::Tensor frame_lengths(const at::Tensor& samples) const;

  Settings settings;  // dither and pad_to may be changed between calls, as NeMo's transcribe does
  at::Tensor window, fb;

 private:
  at::Tensor pad(const at::Tensor& signal) const;
};

// input_signal (B, S), length (B) samples -> processed_signal (B, D, T), processed_length (B) frames. Computes in
// float32 and returns the dtype of the buffers. Without use_grads no gradient reaches the audio.
//
// Two conventions exist, see `front_end`: weights trained with one lose accuracy with the other.
class AudioToMelSpectrogramPreprocessor final : public NeuralModule {
 public:
  static constexpr const char* kState = "featurizer.window, featurizer.fb";
  struct Options {
    int64_t sample_rate = 16000;
    Json window_size = 0.02, window_stride = 0.01;  // seconds; false or null: n_window_size, n_window_stride instead
    Json n_window_size = nullptr, n_window_stride = nullptr;
    std::optional<std::string> window = "hann";
    Json normalize = "per_feature";
    std::optional<int64_t> n_fft;
    std::optional<double> preemph = 0.97;
    int64_t features = 64;
    double lowfreq = 0;
    std::optional<double> highfreq;
    bool log = true;
    std::string log_zero_guard_type = "add";
    Json log_zero_guard_value = 5.9604644775390625e-08;  // 2^-24
    double dither = 1e-5;
    int64_t pad_to = 16, frame_splicing = 1;
    bool exact_pad = false;
    double pad_value = 0, mag_power = 2;
    Json rng = nullptr;
    double nb_augmentation_prob = 0, nb_max_freq = 4000;
    bool use_torchaudio = false;
    Json mel_norm = "slaney";
    bool use_grads = false;
    bool stft_exact_pad = false, stft_conv = false;
    std::string front_end = "nemo3";
    static void describe(OptionSet<Options>& o);
  };
  explicit AudioToMelSpectrogramPreprocessor(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

  FilterbankFeatures& featurizer() { return *featurizer_; }

 private:
  std::shared_ptr<FilterbankFeatures> featurizer_;
};

// The same under the names of NeMo's inner class, which vocoders and speech synthesis use by itself: nfilt instead of
// features, lengths in samples only, and the buffers window and fb in the module itself.
class FilterbankFeaturesModule final : public NeuralModule {
 public:
  static constexpr const char* kState = "window, fb";
  struct Options {
    int64_t sample_rate = 16000, n_window_size = 320, n_window_stride = 160;
    std::optional<std::string> window = "hann";
    Json normalize = "per_feature";
    std::optional<int64_t> n_fft;
    std::optional<double> preemph = 0.97;
    int64_t nfilt = 64;
    double lowfreq = 0;
    std::optional<double> highfreq;
    bool log = true;
    std::string log_zero_guard_type = "add";
    Json log_zero_guard_value = 5.9604644775390625e-08;  // 2^-24
    double dither = 1e-5;
    int64_t pad_to = 16, frame_splicing = 1;
    double max_duration = 16.7;
    bool exact_pad = false;
    double pad_value = 0, mag_power = 2;
    bool use_grads = false;
    Json rng = nullptr;
    double nb_augmentation_prob = 0, nb_max_freq = 4000;
    Json mel_norm = "slaney";
    bool stft_exact_pad = false, stft_conv = false;
    std::string front_end = "nemo3";
    static void describe(OptionSet<Options>& o);
  };
  explicit FilterbankFeaturesModule(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  std::shared_ptr<FilterbankFeatures> features_;  // its buffers are this module's
};

// Window and hop in samples from NeMo's four options, each given in seconds or in samples but not in both.
std::pair<int64_t, int64_t> window_samples(int64_t sample_rate, const Json& window_size, const Json& window_stride,
                                           const Json& n_window_size, const Json& n_window_stride);
// Of n_fft, or the power of two that holds the window. Throws Error for one that does not hold it, or that reads every
// sample too often.
int64_t transform_length(const std::optional<int64_t>& n_fft, int64_t window, int64_t stride);

}  // namespace fathom::asr
