// The data that a section (train_ds, …) of a speech model names: {dataset: {_target_: …}, batch_sampler?, …}.
#pragma once

#include "fathom/dataset.h"
#include "plugins/tts/data/text_side.h"

namespace fathom::tts {

// The dataset of section["dataset"], whose texts become tokens as `text` says. With batch_sampler, NeMo's
// DistributedBucketSampler for VITS, batches hold clips of like length:
//
//   batch_sampler: {batch_size: 32, boundaries: [32, 300, 400, 500, 600, 700, 800, 900, 1000], shuffle: true}
//
// in frames of a spectrogram (audio / hop_length): a batch's clips lie between the same two neighbours of boundaries,
// and clips outside of the first and the last are left out (how many goes to the log). Incomplete batches are filled up
// with clips of the same group from its beginning. The order is drawn from seed and epoch; num_replicas is the run's.
// Errors (kFailed, kBadData) name `path` and the key.
MadeDataset make_speech_data(const Json& section, const std::string& path, const TextSide& text);

}  // namespace fathom::tts
