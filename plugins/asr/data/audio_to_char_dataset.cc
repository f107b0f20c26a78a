#include "plugins/asr/data/audio_to_char_dataset.h"

namespace fathom::asr {

void AudioToCharDataset::Options::describe(OptionSet<Options>& o) {
  o.include<AudioToTextDataset::Options>();
  o("labels", &Options::labels, "characters, in the order of the decoder's classes, without the blank");
  o("blank_index", &Options::blank_index, "ids equal to this one are removed from transcripts");
  o("unk_index", &Options::unk_index, "id of characters that are no label; equal to blank_index: they are removed");
  o("normalize_transcripts", &Options::normalize_transcripts,
    "normalise texts with the parser before looking characters up");
  o("parser", &Options::parser, "text parser: en, base, or null (= base)");
  o("bos_id", &Options::bos_id, "id put before each transcript");
  o("eos_id", &Options::eos_id, "id put after each transcript");
  o("pad_id", &Options::pad_id, "id that fills shorter transcripts of a batch");
}

AudioToCharDataset::AudioToCharDataset(const Options& options, audio::Manifest clips)
    : AudioToTextDataset(options, {}) {
  take_clips(std::move(clips));
}

std::shared_ptr<AudioToCharDataset> AudioToCharDataset::for_inference(Options options, audio::Manifest clips) {
  options.augmentor = nullptr;
  return std::shared_ptr<AudioToCharDataset>(new AudioToCharDataset(options, std::move(clips)));
}

AudioToCharDataset::AudioToCharDataset(const Options& options)
    : AudioToTextDataset(options, {options.bos_id, options.eos_id, options.pad_id}) {
  text::CharParser::Config config;
  config.labels = options.labels;
  config.language = text::CharParser::language_of(options.parser.value_or("base"));
  config.do_normalize = options.normalize_transcripts;
  config.blank_id = options.blank_index;
  config.unk_id = options.unk_index;
  parser_.emplace(std::move(config));

  int64_t unknown = 0, texts_with_unknown = 0;
  open_manifests([&](const audio::ManifestLine& line) {
    if (parser_->is_plain(line.text)) return true;
    const auto parsed = parser_->parse(line.text);
    if (!parsed) return false;
    unknown += parsed->unknown;
    texts_with_unknown += parsed->unknown > 0 ? 1 : 0;
    return true;
  });
  if (unknown > 0) {
    fathom::log(LogLevel::kWarning, "asr.data",
                std::to_string(unknown) + " characters of " + std::to_string(texts_with_unknown) +
                    " texts are no label and were " +
                    (options.unk_index == options.blank_index ? "dropped" : "replaced by unk_index"));
  }
}

std::vector<int64_t> AudioToCharDataset::text_ids(const audio::ManifestEntry& entry) const {
  auto parsed = parser_->parse(entry.text);
  // Only a file at text_filepath can have changed without the manifest noticing.
  if (!parsed) throw Error(Code::kBadData, "the parser cannot read the text").at(entry.where()).seen(entry.text);
  return std::move(parsed->ids);
}

}  // namespace fathom::asr
