// What TTSDataset computes of a clip's samples, as NeMo's has it: spectra with reflected edges, a symmetric window and
// 1e-9 under the root. Thread-safe once made.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/options.h"
#include "plugins/lib/audio/pitch.h"

namespace fathom::tts {

struct SpeechFeatureOptions {
  int64_t sample_rate = 22050;  // Hz
  int64_t n_fft = 1024;
  std::optional<int64_t> win_length, hop_length;  // samples; null: n_fft, n_fft / 4
  std::string window = "hann";
  int64_t n_mels = 80;
  double lowfreq = 0;
  std::optional<double> highfreq;  // Hz; null: half the rate
  double pitch_fmin = 65.40639132514966, pitch_fmax = 2093.004522404789;
  std::string pitch_method = "pyin";
  static void describe(OptionSet<SpeechFeatureOptions>& o);
};

struct ClipPitch {
  at::Tensor pitch, voiced_mask, p_voiced;  // (T) float32: Hz, 0 where unvoiced; 0 or 1; 0 to 1
};

class SpeechFeatures {
 public:
  // Throws Error (kFailed), naming the option.
  explicit SpeechFeatures(const SpeechFeatureOptions& options);

  // `audio` (S) float32. Frames of spectra: 1 + S / hop; those need more than n_fft / 2 samples, else `where` is told
  // of with kBadData.
  int64_t frames(int64_t samples) const { return 1 + samples / hop_; }
  int64_t pitch_frames(int64_t samples) const { return 1 + samples / pitch_.hop_length; }
  int64_t hop() const { return hop_; }
  at::Tensor spectrum(const at::Tensor& audio, const std::string& where) const;  // (n_fft / 2 + 1, T)
  at::Tensor log_mel(const at::Tensor& audio, const std::string& where) const;   // (n_mels, T), natural logarithm
  at::Tensor energy(const at::Tensor& audio, const std::string& where) const;    // (T): norms over frequency
  // Frames of win_length every quarter of it, as NeMo has it, whatever hop_length says.
  ClipPitch pitch(const at::Tensor& audio) const;

 private:
  SpeechFeatureOptions options_;
  int64_t hop_;
  at::Tensor window_, filters_;
  audio::PitchOptions pitch_;
  audio::PitchMethod method_;
};

}  // namespace fathom::tts
