// Defaults lists: which configs make up a composition, in which order, at which package.
//
// A tree is built from the primary config's `defaults` key (and those of the configs it names), with the group
// overrides of the command line applied, then flattened. See Hydra's documentation "The Defaults List".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/hydra/override.h"
#include "core/hydra/search_path.h"

namespace fathom::config {

// One config to be merged.
struct ResultDefault {
  std::string config_path;
  std::optional<std::string> parent;  // config that names it
  std::string package;                // dotted; "" is the root
  bool is_self = false;
  bool primary = false;
  std::optional<std::string> override_key;  // how the command line names this choice
};

struct DefaultsTreeLine {
  int depth = 0;
  std::string text;
};

struct DefaultsList {
  std::vector<ResultDefault> defaults;
  std::vector<Override> config_overrides;  // those that change values, not group choices
  // Choice of every group met, in the order met: override key and option (empty for `group: null`).
  std::vector<std::pair<std::string, std::optional<std::string>>> choices;
  std::vector<DefaultsTreeLine> tree;
};

struct DefaultsRequest {
  std::optional<std::string> config_name;
  Origin config_name_origin;  // where it was named, for errors
  bool skip_missing = false;  // `group: ???` is passed over (before a sweep has given it a value)
};

// Throws ConfigError: MissingConfigException for a config that is not there, ConfigCompositionException otherwise.
DefaultsList build_defaults_list(ConfigRepository& repository, const DefaultsRequest& request,
                                 const std::vector<Override>& overrides);

}  // namespace fathom::config
