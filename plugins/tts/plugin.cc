// The collection's registered names.
#include "fathom/plugin.h"

#include "plugins/tts/data/tts_dataset.h"
#include "plugins/tts/data/vocoder_dataset.h"
#include "plugins/tts/models/hifigan_model.h"
#include "plugins/tts/modules/hifigan_generator.h"

FATHOM_PLUGIN("tts", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::tts;  // NOLINT
  using Names = std::vector<std::string>;
  const auto model_names = [](const std::string& name, const std::string& file) {
    return Names{"nemo.collections.tts.models." + name, "nemo.collections.tts.models." + file + "." + name};
  };
  r.add<HifiGanGenerator>("tts.HifiGanGenerator", "HiFi-GAN's generator: spectrograms to audio",
                          Names{"nemo.collections.tts.modules.hifigan_modules.Generator"});
  r.add<HifiGanModel>("tts.HifiGanModel", "a vocoder trained against critics", model_names("HifiGanModel", "hifigan"));
  r.add<TTSDataset>(
      "tts.TTSDataset", "recordings and what is said in them, for acoustic models",
      Names{"nemo.collections.tts.data.dataset.TTSDataset", "nemo.collections.tts.torch.data.TTSDataset"});
  r.add<VocoderDataset>(
      "tts.VocoderDataset", "pieces of recordings, for vocoders",
      Names{"nemo.collections.tts.data.dataset.VocoderDataset", "nemo.collections.tts.data.datalayers.AudioDataset"});
}
