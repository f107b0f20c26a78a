// TTSDataset's batches.
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "plugins/tts/data/tts_dataset.h"

namespace fathom::tts {
namespace {

// (B, longest) of rows of one dtype, `fill` behind the shorter ones.
at::Tensor rows_of(const std::vector<const TtsItem*>& items, at::Tensor TtsItem::*part, int64_t fill) {
  int64_t longest = 0;
  for (const TtsItem* item : items) longest = std::max(longest, (item->*part).size(0));
  at::Tensor out = at::full({static_cast<int64_t>(items.size()), longest}, fill, (items[0]->*part).options());
  for (size_t i = 0; i < items.size(); ++i) {
    const at::Tensor& row = items[i]->*part;
    out[static_cast<int64_t>(i)].narrow(0, 0, row.size(0)).copy_(row);
  }
  return out;
}

at::Tensor lengths_of(const std::vector<const TtsItem*>& items, at::Tensor TtsItem::*part) {
  std::vector<int64_t> lengths;
  for (const TtsItem* item : items) lengths.push_back((item->*part).size(-1));
  return at::tensor(lengths, at::kLong);
}

// (B, most rows, most columns)
at::Tensor planes_of(const std::vector<const TtsItem*>& items, at::Tensor TtsItem::*part, double fill) {
  int64_t rows = 0, columns = 0;
  for (const TtsItem* item : items) {
    rows = std::max(rows, (item->*part).size(0));
    columns = std::max(columns, (item->*part).size(1));
  }
  at::Tensor out = at::full({static_cast<int64_t>(items.size()), rows, columns}, fill, at::kFloat);
  for (size_t i = 0; i < items.size(); ++i) {
    const at::Tensor& one = items[i]->*part;
    out[static_cast<int64_t>(i)].narrow(0, 0, one.size(0)).narrow(1, 0, one.size(1)).copy_(one);
  }
  return out;
}

}  // namespace

Ports TTSDataset::outputs() const {
  const NeuralType row{"B T", RegressionValuesType{}}, count{"B", LengthsType{}};
  Ports ports = {{"audio", {"B T", AudioSignal{options_.sample_rate}}},
                 {"audio_len", count},
                 {"text", {"B T", TokenIndex{}}},
                 {"text_len", count}};
  for (const SupData type : types_) {
    const std::string name = type == SupData::kDurations ? "durs" : name_of(type);
    switch (type) {
      case SupData::kLogMel: ports.push_back({name, {"B D T", MelSpectrogramType{}}}); break;
      case SupData::kDurations: ports.push_back({name, {"B T", ElementType{"TokenDurationType"}}}); break;
      case SupData::kAlignPriorMatrix: ports.push_back({name, {"B T T", ProbsType{}}}); break;
      case SupData::kSpeakerId: ports.push_back({name, {"B", Index{}}}); break;
      case SupData::kReferenceAudio: ports.push_back({name, {"B T", AudioSignal{options_.sample_rate}}}); break;
      default: ports.push_back({name, row});
    }
    if (type == SupData::kLogMel || type == SupData::kPitch || type == SupData::kEnergy ||
        type == SupData::kReferenceAudio)
      ports.push_back({name + "_len", count});
  }
  return ports;
}

Values TTSDataset::collate(const std::vector<const TtsItem*>& items) const {
  Values batch{{"audio", rows_of(items, &TtsItem::audio, 0)},
               {"audio_len", lengths_of(items, &TtsItem::audio)},
               {"text", rows_of(items, &TtsItem::text, pad_)},
               {"text_len", lengths_of(items, &TtsItem::text)}};
  const auto with_lengths = [&](const std::string& name, at::Tensor TtsItem::*part) {
    batch.add(name, rows_of(items, part, 0)).add(name + "_len", lengths_of(items, part));
  };
  for (const SupData type : types_) {
    const std::string name = type == SupData::kDurations ? "durs" : name_of(type);
    switch (type) {
      case SupData::kLogMel:
        for (const TtsItem* item : items) {
          if (item->log_mel.size(0) == items[0]->log_mel.size(0)) continue;
          throw Error(Code::kBadData, "spectrograms of one batch have different numbers of mel bands")
              .seen(std::to_string(items[0]->log_mel.size(0)) + " and " + std::to_string(item->log_mel.size(0)));
        }
        batch.add(name, planes_of(items, &TtsItem::log_mel, std::numeric_limits<float>::min()))
            .add(name + "_len", lengths_of(items, &TtsItem::log_mel));
        break;
      case SupData::kDurations: batch.add(name, rows_of(items, &TtsItem::durations, 0)); break;
      case SupData::kAlignPriorMatrix: batch.add(name, planes_of(items, &TtsItem::align_prior_matrix, 0)); break;
      case SupData::kPitch: with_lengths(name, &TtsItem::pitch); break;
      case SupData::kEnergy: with_lengths(name, &TtsItem::energy); break;
      case SupData::kSpeakerId: {
        std::vector<int64_t> speakers;
        for (const TtsItem* item : items) speakers.push_back(item->speaker_id);
        batch.add(name, at::tensor(speakers, at::kLong));
        break;
      }
      case SupData::kVoicedMask: batch.add(name, rows_of(items, &TtsItem::voiced_mask, 0)); break;
      case SupData::kPVoiced: batch.add(name, rows_of(items, &TtsItem::p_voiced, 0)); break;
      case SupData::kReferenceAudio: with_lengths(name, &TtsItem::reference_audio); break;
    }
  }
  return batch;
}

}  // namespace fathom::tts
