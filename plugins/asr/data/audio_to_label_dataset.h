// Clips of a manifest and the class of each: spoken commands, speech or not, speakers.
#pragma once

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/asr/data/clip_loader.h"
#include "plugins/asr/data/clip_options.h"

namespace fathom::asr {

struct LabelledClip {
  at::Tensor audio;  // (T) float32
  int64_t label = 0;
  int64_t id = 0;              // index in the dataset
  audio::ManifestEntry entry;  // in inference only
};

// A batch: audio_signal (B,T) float32, a_sig_length (B) int64 samples, label (B) int64, label_length (B) int64, all 1.
//
// A label is the text at `command`, `target` or `label` of a line, the first that is there, or at `text` where
// label_key says so. Its number is its place in `labels`; without `labels` they are those of the lines that stay,
// sorted. Items outside [min_duration, max_duration] are left out when the manifest is opened, and counted in the log.
// Errors: a line without a label, or with one that is not among them (kBadData, naming file and line); what ClipLoader
// says.
class AudioLabelDataset : public DatasetOf<LabelledClip>, public HasLengths {
 public:
  struct Options : ClipOptions {
    std::optional<std::vector<std::string>> labels;
    bool cal_labels_occurrence = false;
    std::optional<std::string> label_key;
    static void describe(OptionSet<Options>& o);
  };

  // For inference: every clip in order, no filters; padded with zeros. Batches have audio_signal, a_sig_length,
  // sample_id and `entries`, a list of JSON objects {audio_filepath, text?, duration, offset?}: text is the label, or
  // the line's text where it has none.
  static std::shared_ptr<AudioLabelDataset> for_inference(const Options& options, audio::Manifest clips);

  int64_t size() const override { return clips_.size(); }
  double length_hint(int64_t index) const override { return clips_.duration(index); }
  std::vector<std::string> length_units() const override { return {"seconds"}; }
  double length(int64_t index, std::string_view /*unit*/) const override { return clips_.duration(index); }
  Ports outputs() const override;
  LabelledClip get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const LabelledClip*>& samples) const override;

  const std::vector<std::string>& labels() const { return labels_; }
  // Clips of each label.
  const std::vector<int64_t>& occurrences() const { return occurrences_; }

 protected:
  AudioLabelDataset(const Options& options, ClipPadding padding);

 private:
  AudioLabelDataset(const Options& options, audio::Manifest clips);
  void open_manifests();
  std::string_view label_of(const audio::ManifestLine& line) const;

  Options options_;
  ClipPadding padding_;
  ClipLoader loader_;
  audio::Manifest clips_;
  bool inference_ = false;
  std::vector<std::string> labels_;
  std::vector<int64_t> occurrences_, label_ids_;  // of each label; of each clip
};

// Shorter clips of a batch are repeated (NeMo's AudioToSpeechLabelDataset): training and validation.
class AudioToSpeechLabelDataset final : public AudioLabelDataset {
 public:
  explicit AudioToSpeechLabelDataset(const Options& options) : AudioLabelDataset(options, ClipPadding::kRepeat) {}
};
// Shorter clips of a batch are followed by zeros (NeMo's AudioToClassificationLabelDataset): test.
class AudioToClassificationLabelDataset final : public AudioLabelDataset {
 public:
  explicit AudioToClassificationLabelDataset(const Options& options)
      : AudioLabelDataset(options, ClipPadding::kZeros) {}
};

}  // namespace fathom::asr
