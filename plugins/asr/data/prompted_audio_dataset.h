// Clips of a manifest with prompts and answers, for multi-task models (NeMo's PromptedAudioToTextLhotseDataset, over a
// plain manifest).
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/asr/data/clip_loader.h"
#include "plugins/asr/data/clip_options.h"
#include "plugins/asr/data/prompt_format.h"

namespace fathom::asr {

struct PromptedSample {
  at::Tensor audio;  // (T) float32
  std::vector<int64_t> prompt, answer;
  int64_t id = 0;              // index in the dataset
  audio::ManifestEntry entry;  // in inference only
};

// A batch: audio_signal (B,T) float32 padded with 0, a_sig_length (B) int64 samples, and token ids padded with the
// tokenizer's pad, each with lengths (B): prompted_transcript (prompt, answer and its end), prompt, transcripts (the
// answer without its end).
//
// The slots of a prompt are keys of each manifest line, or of `tags` for lines without them; the answer is the line's
// `text_field`, in the language of its `lang_field` or else its target_lang. Every line is checked when the manifest is
// opened: one without a slot that the format requires, or with a value that it cannot have, is an error (kBadData) that
// names file, line and key.
//
// In inference every clip is there in order; batches have audio_signal, a_sig_length, sample_id and `entries`, a list
// of JSON objects {audio_filepath, text?, duration, offset?, and the line's own slots}.
class PromptedAudioDataset final : public DatasetOf<PromptedSample>, public HasLengths {
 public:
  struct Options : ClipOptions {
    Json tokenizer, prompt_defaults;
    std::optional<std::string> prompt_format;
    std::string text_field = "text", lang_field = "lang";
    std::map<std::string, std::string> tags;
    std::optional<double> pad_min_duration;  // s
    std::string pad_direction = "right";
    static void describe(OptionSet<Options>& o);
  };
  // Tokenizer and format are made from the options.
  explicit PromptedAudioDataset(const Options& options);
  PromptedAudioDataset(const Options& options, PromptFormat format, int64_t pad);
  static std::shared_ptr<PromptedAudioDataset> for_inference(Options options, const PromptFormat& format,
                                                             audio::Manifest clips);

  int64_t size() const override { return clips_.size(); }
  double length_hint(int64_t index) const override { return clips_.duration(index); }
  std::vector<std::string> length_units() const override;
  double length(int64_t index, std::string_view unit) const override;
  Ports outputs() const override;
  PromptedSample get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const PromptedSample*>& samples) const override;

 private:
  PromptedAudioDataset(const Options& options, PromptFormat format, audio::Manifest clips);
  // What one line says; of a line without the key, no answer.
  struct Line {
    PromptSlots slots;
    std::optional<std::string> answer;
    std::string language;
  };
  Line line_of(const audio::ManifestEntry& entry) const;
  PromptFormat::Encoded encoded(const Line& line, const audio::ManifestEntry& entry) const;
  void check_lines() const;
  at::Tensor padded(const at::Tensor& clip) const;
  void add_entries(Values& batch, const std::vector<const PromptedSample*>& samples) const;

  Options options_;
  PromptFormat format_;
  int64_t pad_ = 0;
  ClipLoader loader_;
  audio::Manifest clips_;
  bool inference_ = false;
  int64_t shortest_ = 0;  // samples; shorter clips get silence
};

}  // namespace fathom::asr
