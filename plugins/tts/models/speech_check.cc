#include "plugins/tts/models/speech_check.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cmath>

#include "fathom/log_level.h"
#include "plugins/tts/metrics/synthesis_quality.h"
#include "plugins/tts/modules/griffin_lim.h"

namespace fathom::tts {

at::Tensor heard_by(std::shared_ptr<GriffinLimModel>& listener, const Json& preprocessor, const at::Tensor& spect) {
  if (!listener) {
    GriffinLimModel::Options options;
    options.front_end = preprocessor;
    listener = std::make_shared<GriffinLimModel>(options);
  }
  const at::Tensor mel = spect.detach().to(at::kCPU, at::kFloat).unsqueeze(0);
  return listener->vocode({{"spect", mel}}, Json::object()).tensor("audio")[0];
}

void SpeechCheck::add(const at::Tensor& recording, const at::Tensor& synthesis, int64_t sample_rate) {
  const auto comparable = [&](const at::Tensor& x) {
    return x.numel() * 1000 >= 64 * sample_rate && x.numel() <= 120 * sample_rate;
  };
  if (!comparable(recording) || !comparable(synthesis)) return;
  const auto plain = [](const at::Tensor& x) { return x.detach().to(at::kCPU, at::kFloat).contiguous(); };
  const SynthesisQuality quality = compare_speech(plain(recording), plain(synthesis), sample_rate);
  for (const auto& [name, value] : {std::pair{"val_mcd", quality.mel_cepstral_distortion},
                                    {"val_f0_rmse", quality.f0_rmse},
                                    {"val_gross_pitch_error", quality.gross_pitch_error},
                                    {"val_voicing_error", quality.voicing_error}}) {
    if (!std::isfinite(value)) continue;  // no frame is voiced in both
    sums_[name].first += value;
    ++sums_[name].second;
  }
}

void SpeechCheck::log(const Step& step) const {
  for (const auto& [name, sum] : sums_)
    step.log(name, sum.first / static_cast<double>(sum.second), 0, static_cast<double>(sum.second));
}

void check_clip_count(int64_t count, const std::string& path) {
  if (count >= 0 && count <= 64) return;
  throw Error(Code::kFailed, "so many clips cannot be compared")
      .at(path.empty() ? "check_speech" : path + ".check_speech")
      .seen(std::to_string(count))
      .expected("0 to 64");
}

void warn_of_log_config(const Json& log_config, const std::string& path, std::string_view instead) {
  static std::atomic<bool> said = false;
  if (log_config.empty() || said.exchange(true)) return;
  log(LogLevel::kWarning, "tts",
      (path.empty() ? "" : path + ".") + "log_config: its generators are not made here; set " + std::string(instead) +
          " for what the loggers shall take, check_speech for numbers");
}

}  // namespace fathom::tts
