// Finds and reads recorded cases: .jsonl files (one case a line; also .jsonl.gz) and folders whose meta.json is one
// case.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fathom/json.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {

// JSON as Python writes it: NaN, Infinity and -Infinity become {"$float": "nan"|"inf"|"-inf"}. Throws
// nlohmann::json::exception with the place of the mistake.
nlohmann::json parse_lenient_json(std::string_view text);

// Calls `visit` for every case of `path`: a .jsonl or .jsonl.gz file, a case folder, or a folder that is walked (in the
// order of names) for either. Suite names are `suite`, or below it, from the place in the folders. Throws fathom::Error
// for a path that is not there and for lines that are not JSON. Returns the number of cases.
size_t read_cases(const std::string& suite, const std::string& path, const std::function<void(Case)>& visit);

}  // namespace fathom::conformance
