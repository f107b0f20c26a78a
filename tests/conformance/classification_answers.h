// The answers of a classification model to a recorded evaluation.
#pragma once

#include "fathom/model.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {

// Every answer in the case's transcripts.json, given by batches of the test data as it was recorded. Passes where the
// case has none.
Outcome compare_answers(const ModelHandle& model, const Case& c);

}  // namespace fathom::conformance
