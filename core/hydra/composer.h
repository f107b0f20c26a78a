// Composition as `hydra_runner` does it: a primary config, its defaults lists, group choices and overrides become one
// tree, the job's config, beside the `hydra` section that describes the run.
//
//   ComposeRequest request{.config_path = "conf", .config_name = "config", .overrides = {"trainer.devices=2"}};
//   Composed composed = compose(request);
//
// Every leaf's Origin is file:line:column or the command line word. Independent calls may run in parallel.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"
#include "core/config/schema.h"
#include "core/hydra/defaults.h"
#include "core/hydra/override.h"
#include "core/hydra/search_path.h"

namespace fathom::config {

struct ComposeRequest {
  std::optional<std::string> config_path;  // main folder
  std::optional<std::string> config_dir;   // --config-dir: searched after the main folder
  std::optional<std::string> config_name;  // without suffix; absent = composed from overrides only
  Origin config_name_origin;               // where it was named, for errors
  std::vector<std::string> overrides;
  std::string version_base = "1.1";  // what NeMo's runner gets
  std::string job_name = "app";      // unless hydra.job.name is set
  bool multirun = false;             // sweeps are legal, `group: ???` is passed over
  // Hydra to the letter. Otherwise some words are read that Hydra refuses or takes literally, with a warning where the
  // result is not what Hydra gives: unquoted '=', '~' and non-ASCII text in values; `model.optim=adam` for a section
  // with a `name` sets the name; `~key` deletes also a null value.
  bool strict_overrides = false;
  // Keys that the program reads itself: `key=value` adds them where no config has them.
  std::vector<std::string> program_keys;
  std::shared_ptr<const ClassType> schema;      // merged under the primary config, as NeMo's `schema=`
  const ResolverRegistry* resolvers = nullptr;  // null: default_resolvers()
};

struct Composed {
  Node job;                                                  // what the program gets
  Node hydra;                                                // the hydra section
  std::vector<std::string> task_overrides, hydra_overrides;  // as typed
  std::vector<Override> overrides;                           // all, parsed
  DefaultsList defaults;
  std::vector<Warning> warnings;
  std::shared_ptr<ConfigRepository> repository;

  // {hydra: …} followed by the job's keys: where ${hydra.…} and the job's own interpolations resolve.
  Node all() const;
};

// Throws ConfigError: OverrideParseException, MissingConfigException, ConfigCompositionException, or a YAML error.
Composed compose(const ComposeRequest& request);

enum class ConfigPart { kJob, kHydra, kAll };
ConfigPart part_named(std::string_view name);  // "job", "hydra", or "all" for anything else

// `base` with ${hydra:…} answered by this composition, as it is now.
ResolverRegistry job_resolvers(const Composed& composed, const ResolverRegistry& base = default_resolvers());

// The job's config, {hydra: …} without its help texts, or both.
Node config_part(const Composed& composed, ConfigPart part);

// What `--cfg PART [--package P] [--resolve]` prints. Throws ConfigError PackageNotFound for an unknown package.
std::string show_config(const Composed& composed, ConfigPart part, const std::optional<std::string>& package,
                        bool resolve, const ResolverRegistry& resolvers = default_resolvers());
// That error, with the nearest keys of `root`.
[[noreturn]] void throw_package_not_found(const Node& root, const std::string& package);

}  // namespace fathom::config
