// Batches that NeMo made, in the place of a model's data set: "train0.audio", "train0.audio_lens", "train1.audio", … of
// a safetensors file.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <map>

#include "core/checkpoint/torch_file.h"
#include "fathom/dataset.h"

namespace fathom::conformance {

// One item is a whole batch. The batches come in the order of their numbers over all epochs, and from the first again
// where there are no more; so a loader must ask for them one by one (no workers).
class RecordedBatches final : public DatasetOf<int64_t> {
 public:
  // `prefix`: "train". `names`: recorded name -> what the model's batches call it; the others keep theirs.
  RecordedBatches(const checkpoint::NamedTensors& tensors, const std::string& prefix, int64_t batches_an_epoch,
                  std::map<std::string, std::string> names)
      : batches_an_epoch_(batches_an_epoch) {
    for (const auto& [name, tensor] : tensors) {
      if (!name.starts_with(prefix)) continue;
      const size_t dot = name.find('.');
      const auto number = std::stoll(name.substr(prefix.size(), dot - prefix.size()));
      const std::string rest = name.substr(dot + 1);
      const auto known = names.find(rest);
      batches_[number].add(known == names.end() ? rest : known->second, tensor);
    }
    if (batches_an_epoch_ <= 0) batches_an_epoch_ = static_cast<int64_t>(batches_.size());
  }
  int64_t size() const override { return batches_an_epoch_; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>&) const override {
    return batches_.at(next_++ % static_cast<int64_t>(batches_.size()));
  }

 private:
  std::map<int64_t, Values> batches_;
  int64_t batches_an_epoch_;
  mutable std::atomic<int64_t> next_ = 0;
};

}  // namespace fathom::conformance
