// The value of a YAML scalar with a tag. parse_plain_scalar in yaml_loader.h is that of one without. Thread-safe: no
// state.
#pragma once

#include <string>
#include <string_view>

#include "core/config/node.h"

namespace fathom::config {

constexpr std::string_view kYamlTagPrefix = "tag:yaml.org,2002:";

// `tag` is in full ("tag:yaml.org,2002:int"). Throws ConfigError ConstructorError for a tag that PyYAML's safe loader
// does not know, ConstructorError or ValueError for text that does not fit it.
Scalar parse_tagged_scalar(std::string_view tag, const std::string& text);

}  // namespace fathom::config
