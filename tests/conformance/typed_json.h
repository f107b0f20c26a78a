// The typed JSON of the configuration corpus: every value written so that its type survives (golden/config/README.md).
#pragma once

#include <string>

#include "core/config/node.h"
#include "core/hydra/override.h"
#include "fathom/json.h"

namespace fathom::conformance {

nlohmann::json typed_json(const config::Node& node);
nlohmann::json typed_json(const config::Scalar& scalar);
nlohmann::json typed_json(const config::Element& element);

// True when an integer beyond 64 bits occurs anywhere: such a value may be refused with a clear error.
bool has_bigint(const nlohmann::json& value);

// "expected …, got …", shortened.
std::string difference(const nlohmann::json& expected, const nlohmann::json& got);

}  // namespace fathom::conformance
