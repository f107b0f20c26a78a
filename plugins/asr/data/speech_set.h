// The data that a section (train_ds, …) of a speech model names, as NeMo builds it: one manifest, tar files, buckets of
// tar files, or several sets that are mixed.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "fathom/batch_plan.h"
#include "plugins/asr/data/audio_to_text_dataset.h"
#include "plugins/asr/data/set_orders.h"

namespace fathom::asr {

// A part of the data, made from the section's own keys.
using MakeSpeechPart = std::function<std::shared_ptr<AudioToTextDataset>(const Json& section)>;

// is_tarred with shuffle: the shards and, within a window of shuffle_n, the clips come in another order in every epoch.
// Nested lists of manifests and of tar files: buckets (bucketing_*). is_concat: sets that are mixed (concat_*). A
// tarred set whose batches the loader plans (max_seconds, use_bucketing) is shuffled by it. Errors (kFailed, kBadData)
// name config_path and the key. `make` gives each part the rank that is given here.
MadeDataset make_speech_set(const Json& section, const std::string& config_path, const MakeSpeechPart& make,
                            const Rank& rank = {});

// Several data sets as one, or one whose items come in an order of its own. Item i of set s is item i behind those of
// the sets before.
class PlannedSpeechSet final : public DatasetOf<SpeechSample>, public HasLengths, public BatchPlanner {
 public:
  using Parts = std::vector<std::shared_ptr<AudioToTextDataset>>;
  using Planner = std::function<std::vector<std::vector<SetItem>>(const BatchRequest& request)>;
  // `plan` gives the batches of an epoch: equally many in each.
  PlannedSpeechSet(Parts parts, Planner plan);

  int64_t size() const override { return starts_.back(); }
  audio::ManifestEntry entry(int64_t index) const;
  const AudioToTextDataset& part(size_t set) const { return *parts_.at(set); }
  double length_hint(int64_t index) const override;
  std::vector<std::string> length_units() const override { return parts_.front()->length_units(); }
  double length(int64_t index, std::string_view unit) const override;
  Ports outputs() const override { return parts_.front()->outputs(); }
  SpeechSample get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const SpeechSample*>& samples) const override {
    return parts_.front()->collate(samples);
  }
  std::vector<std::vector<int64_t>> plan_batches(const BatchRequest& request) const override;

 private:
  SetItem place(int64_t index) const;

  Parts parts_;
  std::vector<int64_t> starts_;  // of each part's items, and the end
  Planner plan_;
};

}  // namespace fathom::asr
