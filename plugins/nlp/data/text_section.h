// A model's data sections: the loader's share of them, and what is to be worked on. Uses no torch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fathom/json.h"

namespace fathom::nlp {

// The keys of a data section that speak to the dataset, whose options are called `options`; those of the loader
// (batch_size, …) are left out, and any other is an error (kFailed) with the nearest names.
Json text_dataset_keys(const Json& section, const std::vector<std::string>& options, const std::string& config_path);

// What a predict section holds: the objects of the JSON lines at `manifest_filepath`, those of the list `lines`, or
// {"text": …} of each of `texts`. Throws kBadData (file:line) for a line that is no object with a text at `text`.
std::vector<Json> predict_lines(const Json& section, const std::string& config_path);

}  // namespace fathom::nlp
