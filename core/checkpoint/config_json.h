// A model_config.yaml as JSON, for showing it. Scalars get the types that OmegaConf's YAML loader gives them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fathom::checkpoint {

// Interpolations and "???" stay text; non-finite numbers become text ("inf"). Error(kBadData) at `source` for a text that
// is no YAML or, with its aliases written out, absurdly large.
nlohmann::ordered_json yaml_to_json(const std::string& text, const std::string& source);

}  // namespace fathom::checkpoint
