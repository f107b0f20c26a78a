// Lines of text files, and the loader's share of a model's data sections. Uses no torch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fathom/json.h"

namespace fathom::nlp {

// All lines, without "\n" or "\r\n"; a last one that is empty is none. Throws Error: kNoInput for a file that cannot be
// read; kBadData (file:line) for a line that is no UTF-8.
std::vector<std::string> read_lines(const std::string& path);

// The keys of a data section that speak to the dataset, whose options are called `options`; those of the loader
// (batch_size, …) are left out, and any other is an error (kFailed) with the nearest names.
Json text_dataset_keys(const Json& section, const std::vector<std::string>& options, const std::string& config_path);

// What a predict section holds: the objects of the JSON lines at `manifest_filepath`, those of the list `lines`, or
// {"text": …} of each of `texts`. Throws kBadData (file:line) for a line that is no object with a text at `text`.
std::vector<Json> predict_lines(const Json& section, const std::string& config_path);

}  // namespace fathom::nlp
