// The flags of a Hydra program: --cfg, --multirun, --config-name … and the override words between them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fathom::config {

struct CommandLine {
  bool help = false, hydra_help = false, version = false;
  bool resolve = false, run = false, multirun = false, shell_completion = false;
  std::optional<std::string> cfg;   // job, hydra, all
  std::optional<std::string> info;  // all, config, defaults, defaults-tree, plugins, searchpath
  std::optional<std::string> package, config_path, config_name, config_dir;
  std::vector<std::string> overrides;
};

// Flags may stand anywhere, `--flag=value` and `--flag value` are the same, "--" ends the flags. With `strict`, words
// on both sides of a flag are refused, as Python's argparse does. Throws fathom::Error kUsage for unknown flags,
// missing or bad values; ConfigError for flags that exclude each other.
CommandLine parse_command_line(const std::vector<std::string>& arguments, bool strict = false);

// The same for a line that is being typed: what is not right yet is passed over.
CommandLine parse_unfinished_line(const std::vector<std::string>& arguments);

// A flag as completion must know it.
struct FlagShape {
  std::string name, short_name;  // "--cfg", "-c"
  bool takes_value = false;
  std::vector<std::string> choices;
};
std::vector<FlagShape> command_line_flags();

// One line per flag, for help.
std::string command_line_flags_help();

}  // namespace fathom::config
