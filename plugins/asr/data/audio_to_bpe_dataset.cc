#include "plugins/asr/data/audio_to_bpe_dataset.h"

#include "plugins/asr/data/model_tokenizer.h"

namespace fathom::asr {
namespace {

struct SubwordMarks {
  std::optional<int64_t> bos, eos;
  int64_t pad = 0;
};

SubwordMarks subword_marks(const text::SubwordTokenizer& tokenizer, bool use_start_end_token) {
  const text::SpecialIds ids = tokenizer.special_ids();
  SubwordMarks marks;
  if (use_start_end_token && ids.bos > 0) marks.bos = ids.bos;
  if (use_start_end_token && ids.eos > 0) marks.eos = ids.eos;
  if (ids.pad > 0) marks.pad = ids.pad;
  return marks;
}

}  // namespace

void AudioToBPEDataset::Options::describe(OptionSet<Options>& o) {
  o.include<AudioToTextDataset::Options>();
  o("tokenizer", &Options::tokenizer, "of the transcripts: {dir, type: bpe or wpe}; a model gives its own");
  o("use_start_end_token", &Options::use_start_end_token,
    "put the tokenizer's ids for beginning and end around each transcript, where it has them");
}

AudioToBPEDataset::AudioToBPEDataset(const Options& options)
    : AudioToBPEDataset(options, ModelTokenizer::read(options.tokenizer, "tokenizer").tokenizer()) {}

AudioToBPEDataset::AudioToBPEDataset(const Options& options, Tokenizer tokenizer)
    : AudioToTextDataset(options,
                         [&] {
                           const SubwordMarks marks = subword_marks(*tokenizer, options.use_start_end_token);
                           return Marks{marks.bos, marks.eos, marks.pad};
                         }()),
      tokenizer_(std::move(tokenizer)) {
  open_manifests([](const audio::ManifestLine&) { return true; });  // every text can be cut into pieces
}

AudioToBPEDataset::AudioToBPEDataset(const Options& options, Tokenizer tokenizer, audio::Manifest clips)
    : AudioToTextDataset(options, {}), tokenizer_(std::move(tokenizer)) {
  take_clips(std::move(clips));
}

std::shared_ptr<AudioToBPEDataset> AudioToBPEDataset::for_inference(Options options, Tokenizer tokenizer,
                                                                    audio::Manifest clips) {
  options.augmentor = nullptr;
  return std::shared_ptr<AudioToBPEDataset>(new AudioToBPEDataset(options, std::move(tokenizer), std::move(clips)));
}

std::vector<int64_t> AudioToBPEDataset::text_ids(const audio::ManifestEntry& entry) const {
  try {
    return tokenizer_->text_to_ids_in(entry.text, entry.lang);  // of several languages the line says which
  } catch (Error& error) {
    error.locate(entry.where());
    throw;
  }
}

}  // namespace fathom::asr
