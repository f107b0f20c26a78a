#include "core/plugins/absent_classes.h"

#include <array>

namespace fathom::plugins {
namespace {

struct Row {
  std::string_view collection, name, what, instead;
};
constexpr std::string_view kVocoder =
    "train HifiGanModel on the same data, or leave the vocoder out: Griffin-Lim always "
    "works";
constexpr std::string_view kAcoustic = "train FastPitchModel or Tacotron2Model on the same data";
constexpr std::array kRows = {
    Row{"tts", "UnivNetModel", "UnivNet, a vocoder that NeMo had until 1.x", kVocoder},
    Row{"tts", "WaveGlowModel", "WaveGlow, a vocoder that NeMo had until 1.x", kVocoder},
    Row{"tts", "SqueezeWaveModel", "SqueezeWave, a vocoder that NeMo had until 1.0", kVocoder},
    Row{"tts", "UniGlowModel", "UniGlow, a vocoder that NeMo had until 1.x", kVocoder},
    Row{"tts", "MelGanModel", "MelGAN, a vocoder that NeMo had until 1.x", kVocoder},
    Row{"tts", "EDMelGanModel", "ED-MelGAN, a vocoder that NeMo had until 1.x", kVocoder},
    Row{"tts", "MixerTTSModel", "Mixer-TTS, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "RadTTSModel", "RAD-TTS, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "GlowTTSModel", "Glow-TTS, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "TalkNetSpectModel", "TalkNet, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "TalkNetDursModel", "TalkNet, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "TalkNetPitchModel", "TalkNet, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "FastSpeech2Model", "FastSpeech 2, which NeMo had until 1.x", kAcoustic},
    Row{"tts", "FastPitchHifiGanE2EModel", "FastPitch with HiFi-GAN in one, which NeMo had until 1.x",
        "FastPitchModel and HifiGanModel: `fathom synthesize` joins them"},
    Row{"tts", "FastSpeech2HifiGanE2EModel", "FastSpeech 2 with HiFi-GAN in one, which NeMo had until 1.x",
        "FastPitchModel and HifiGanModel: `fathom synthesize` joins them"},
    Row{"tts", "SpectrogramEnhancerModel", "the spectrogram enhancer, which NeMo had until 1.x",
        "fine-tune HifiGanModel on what the acoustic model makes (load_precomputed_mel)"},
    Row{"tts", "FastPitchModel_SSL", "FastPitch on self-supervised features", kAcoustic},
    Row{"tts", "SSLDisentangler", "the disentangler of self-supervised features", kAcoustic},
    Row{"tts", "AudioCodecModel", "the audio codec", kVocoder},
    Row{"tts", "MagpieTTSModel", "Magpie-TTS, a language model over codec tokens", kAcoustic},
    Row{"tts", "EasyMagpieTTSModel", "Magpie-TTS, a language model over codec tokens", kAcoustic},
};

}  // namespace

std::optional<AbsentClass> absent_class(std::string_view class_path) {
  constexpr std::string_view kRoot = "nemo.collections.";
  if (!class_path.starts_with(kRoot)) return std::nullopt;
  const std::string_view below = class_path.substr(kRoot.size());
  const std::string_view name = class_path.substr(class_path.rfind('.') + 1);
  for (const Row& row : kRows) {
    if (name == row.name && below.starts_with(row.collection) && below.substr(row.collection.size()).starts_with("."))
      return AbsentClass{std::string(row.what), std::string(row.instead)};
  }
  return std::nullopt;
}

}  // namespace fathom::plugins
