// Speech to text with a restored model.
#pragma once

#include <functional>

#include "core/inference/transcribe_request.h"

namespace fathom {

// Restores request.model, makes the model's predict dataset over the files or the manifest, and calls `emit` with one
// JSON object an item ({audio_filepath, pred_text, text?, duration, …}), in input order.
TranscribeTotals run_transcription(const TranscribeRequest& request, const std::function<void(const Json& item)>& emit);

}  // namespace fathom
