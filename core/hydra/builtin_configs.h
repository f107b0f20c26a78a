// The configs of pkg://hydra.conf: the options of the groups below hydra/, and the typed HydraConf.
#pragma once

#include <span>
#include <string_view>

#include "core/config/node.h"

namespace fathom::config {

struct BuiltinConfig {
  std::string_view file;  // "hydra/launcher/basic.yaml"
  std::string_view text;  // YAML
};

std::span<const BuiltinConfig> builtin_configs();

// A HydraConf with its defaults; keys and types as in Hydra 1.3's hydra.conf. Fresh copy.
Node hydra_conf_instance();

// The version of Hydra whose behaviour this room follows, as ${hydra.runtime.version}.
inline constexpr std::string_view kHydraVersion = "1.3.8";

}  // namespace fathom::config
