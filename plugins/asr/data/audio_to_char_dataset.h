// AudioToCharDataset: clips of a manifest and their transcripts as character ids.
#pragma once

#include "plugins/asr/data/audio_to_text_dataset.h"
#include "plugins/lib/text/char_parser.h"

namespace fathom::asr {

// What AudioToTextDataset says; characters outside the labels are dropped and counted.
class AudioToCharDataset final : public AudioToTextDataset {
 public:
  struct Options : AudioToTextDataset::Options {
    std::vector<std::string> labels;
    int64_t blank_index = -1, unk_index = -1;
    bool normalize_transcripts = false;
    std::optional<std::string> parser = "en";
    std::optional<int64_t> bos_id, eos_id;
    int64_t pad_id = 0;
    static void describe(OptionSet<Options>& o);
  };

  explicit AudioToCharDataset(const Options& options);
  // For inference: texts are not parsed, and labels not needed.
  static std::shared_ptr<AudioToCharDataset> for_inference(Options options, audio::Manifest clips);

 private:
  AudioToCharDataset(const Options& options, audio::Manifest clips);
  std::vector<int64_t> text_ids(const audio::ManifestEntry& entry) const override;

  std::optional<text::CharParser> parser_;  // none in inference
};

}  // namespace fathom::asr
