// A resolved tree as JSON, for the plugin boundary and machine-readable output.
#pragma once

#include "core/config/node.h"
#include "fathom/json.h"

namespace fathom::config {

// Order is kept. Enum members become their names, bytes a string of their bytes, non-string keys their Python text;
// "???" and interpolations stay strings; inf and nan become the strings "inf", "-inf", "nan", as JSON has no such
// numbers.
nlohmann::ordered_json to_json(const Node& node);
// Numbers without fraction or exponent are int, others float.
Node from_json(const nlohmann::ordered_json& json, Origin origin = {});

}  // namespace fathom::config
