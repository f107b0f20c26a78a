// What a validation hears: clips of its first batch beside their recordings, as numbers in the log.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "fathom/model.h"

namespace fathom::tts {

class GriffinLimModel;

// A spectrogram (D, T) of a model with this preprocessor as sound, (samples); the listener is made when it is first
// needed.
at::Tensor heard_by(std::shared_ptr<GriffinLimModel>& listener, const Json& preprocessor, const at::Tensor& spect);

class SpeechCheck {
 public:
  // A clip as it was recorded and as the model makes it, (T) float32 at `sample_rate` Hz. Clips that cannot be compared
  // (shorter than 64 ms, longer than two minutes) are left out.
  void add(const at::Tensor& recording, const at::Tensor& synthesis, int64_t sample_rate);
  // Logs the means: val_mcd (mel cepstral distortion, dB), val_f0_rmse (Hz), val_gross_pitch_error and
  // val_voicing_error (shares), those that are known. synthesis_quality.h says what they are.
  void log(const Step& step) const;

 private:
  std::map<std::string, std::pair<double, int64_t>> sums_;
};

// The doc of the option that asks for so many clips, and its check (0 to 64).
inline constexpr const char* kCheckedClips =
    "so many clips of the first validation batch are compared with their recordings: val_mcd, val_f0_rmse, "
    "val_voicing_error, val_gross_pitch_error";
void check_clip_count(int64_t count, const std::string& path);

// NeMo's log_config names generators that write a validation's pictures and sounds to files. Here the loggers take them
// when `instead` (log_images, log_audio) asks for it: says so once where a validation has such a section, and at no
// other time, for every released model carries one.
void warn_of_log_config(const Json& log_config, const std::string& path, std::string_view instead);

}  // namespace fathom::tts
