// What a restored model says of data, without a trainer.
#pragma once

#include <functional>

#include "core/inference/predict_request.h"

namespace fathom {

// Restores request.model, makes its predict dataset from request.data, and calls `emit` with what the model's predict
// step knows of each item, as a JSON object, in input order. An interrupt ends it with Error(kInterrupted). Throws
// Error: a model without a predict dataset (kUnavailable), and whatever restoring, the dataset or the step throw.
PredictTotals run_prediction(const PredictRequest& request, const std::function<void(const Json& item)>& emit);

}  // namespace fathom
