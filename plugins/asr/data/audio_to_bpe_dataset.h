// AudioToBPEDataset: clips of a manifest and their transcripts as ids of subwords.
#pragma once

#include "plugins/asr/data/audio_to_text_dataset.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::asr {

// What AudioToTextDataset says; texts go to the tokenizer as they are. With use_start_end_token the tokenizer's ids for
// beginning and end stand around each transcript, where they are above 0, as in NeMo.
class AudioToBPEDataset final : public AudioToTextDataset {
 public:
  struct Options : AudioToTextDataset::Options {
    Json tokenizer;
    bool use_start_end_token = true;
    static void describe(OptionSet<Options>& o);
  };
  using Tokenizer = std::shared_ptr<const text::SubwordTokenizer>;

  // The tokenizer is made from options.tokenizer: {dir, type}, or what model_tokenizer.h says.
  explicit AudioToBPEDataset(const Options& options);
  AudioToBPEDataset(const Options& options, Tokenizer tokenizer);
  static std::shared_ptr<AudioToBPEDataset> for_inference(Options options, Tokenizer tokenizer, audio::Manifest clips);

 private:
  AudioToBPEDataset(const Options& options, Tokenizer tokenizer, audio::Manifest clips);
  std::vector<int64_t> text_ids(const audio::ManifestEntry& entry) const override;

  Tokenizer tokenizer_;
};

}  // namespace fathom::asr
