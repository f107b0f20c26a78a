// A model's data sections (train_ds, validation_ds, …), as NeMo's configs write them, for datasets over manifests.
#pragma once

#include "fathom/support.h"
#include "plugins/lib/audio/manifest.h"

namespace fathom::asr {

// The keys that speak to the dataset, whose options are called `options`. Those of the loader (batch_size, …) are left
// out; NeMo's ways of feeding data that are not here (tarred, bucketing, lhotse, …) are left out where the section
// switches them off, and otherwise refused with kUnavailable, naming config_path.key. Any other key is an error
// (kFailed) with the nearest names.
Json dataset_keys(const Json& section, const std::vector<std::string>& options, const std::string& config_path);

// The clips that a predict section asks for: `paths`, a list of audio files, or `manifest_filepath`, whose entries need
// no duration and no text.
audio::Manifest predict_clips(const Json& section, const std::string& config_path);

}  // namespace fathom::asr
