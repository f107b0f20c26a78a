#include "core/hydra/command_line.h"

#include <algorithm>
#include <string_view>

#include "core/base/text.h"
#include "core/config/errors.h"

namespace fathom::config {
namespace {

enum class Value { kNone, kRequired, kOptional };

struct Flag {
  std::string_view name, short_name;
  Value value;
  std::string_view help;
  bool CommandLine::*on = nullptr;
  std::optional<std::string> CommandLine::*text = nullptr;
  std::string_view choices = {};  // separated by '|'
};

constexpr std::string_view kInfoChoices = "all|config|defaults|defaults-tree|plugins|searchpath";

constexpr Flag kFlags[] = {
    {"--help", "-h", Value::kNone, "Application's help", &CommandLine::help, nullptr, {}},
    {"--hydra-help",
     "",
     Value::kNone,
     "Help on the flags and the hydra config groups",
     &CommandLine::hydra_help,
     nullptr,
     {}},
    {"--version", "", Value::kNone, "Show the version and exit", &CommandLine::version, nullptr, {}},
    {"--cfg", "-c", Value::kRequired, "Show config instead of running [job|hydra|all]", nullptr, &CommandLine::cfg,
     "job|hydra|all"},
    {"--resolve",
     "",
     Value::kNone,
     "With --cfg or --help: resolve interpolations before printing",
     &CommandLine::resolve,
     nullptr,
     {}},
    {"--package", "-p", Value::kRequired, "Config package to show", nullptr, &CommandLine::package, {}},
    {"--run", "-r", Value::kNone, "Run a job", &CommandLine::run, nullptr, {}},
    {"--multirun",
     "-m",
     Value::kNone,
     "Run one job for every combination of the sweeps",
     &CommandLine::multirun,
     nullptr,
     {}},
    {"--shell-completion", "-sc", Value::kNone, "Shell completion", &CommandLine::shell_completion, nullptr, {}},
    {"--config-path", "-cp", Value::kRequired, "Overrides the config folder", nullptr, &CommandLine::config_path, {}},
    {"--config-name", "-cn", Value::kRequired, "Overrides the config name", nullptr, &CommandLine::config_name, {}},
    {"--config-dir",
     "-cd",
     Value::kRequired,
     "Adds a config folder to the search path",
     nullptr,
     &CommandLine::config_dir,
     {}},
    {"--info", "-i", Value::kOptional, "Show information [all|config|defaults|defaults-tree|plugins|searchpath]",
     nullptr, &CommandLine::info, kInfoChoices},
};

std::string title(const Flag& flag) {
  return std::string(flag.name) + (flag.short_name.empty() ? "" : "/" + std::string(flag.short_name));
}

bool is_choice(std::string_view choices, const std::string& value) {
  const std::vector<std::string> known = split(choices, '|');
  return std::find(known.begin(), known.end(), value) != known.end();
}

class Reader {
 public:
  explicit Reader(const std::vector<std::string>& arguments, bool unfinished = false)
      : arguments_(arguments), unfinished_(unfinished) {}

  CommandLine read(bool strict) {
    bool only_words = false;
    int groups = 0;
    bool in_group = false;
    std::vector<std::string> late;  // words after a flag that followed words
    while (index_ < arguments_.size()) {
      const std::string& argument = arguments_[index_++];
      if (!only_words && argument == "--") {
        only_words = true;
      } else if (!only_words && argument.size() > 1 && argument[0] == '-') {
        try {
          read_flag(argument);
        } catch (const Error&) {
          if (!unfinished_) throw;
        }
        in_group = false;
      } else {
        groups += in_group ? 0 : 1;
        in_group = true;
        if (groups > 1) late.push_back(argument);
        result_.overrides.push_back(argument);
      }
    }
    if (strict && !late.empty()) throw Error(Code::kUsage, "unrecognized arguments: " + join(late, " "));
    if (!unfinished_) check();
    return std::move(result_);
  }

 private:
  void read_flag(const std::string& argument) {
    const size_t equal = argument.find('=');
    const std::string name = argument.substr(0, equal);
    for (const Flag& flag : kFlags) {
      if (name != flag.name && name != flag.short_name) continue;
      if (flag.value == Value::kNone) {
        if (equal != std::string::npos)
          throw Error(Code::kUsage, "argument " + title(flag) + ": takes no value").seen(argument);
        result_.*flag.on = true;
        return;
      }
      std::string value = equal == std::string::npos ? next_value(flag) : argument.substr(equal + 1);
      if (!flag.choices.empty() && !is_choice(flag.choices, value)) {
        throw Error(Code::kUsage, "argument " + title(flag) + ": invalid choice: '" + value + "' (choose from " +
                                      join(split(flag.choices, '|'), ", ") + ")");
      }
      result_.*flag.text = std::move(value);
      return;
    }
    std::vector<std::string> names;
    for (const Flag& flag : kFlags) names.emplace_back(flag.name);
    const std::string next = equal == std::string::npos
                                 ? ""
                                 : "overrides have no dashes: " + argument.substr(argument.find_first_not_of('-'));
    throw Error(Code::kUsage, "unrecognized arguments: " + argument).candidates(nearest_names(name, names)).next(next);
  }

  std::string next_value(const Flag& flag) {
    const bool there = index_ < arguments_.size() && (arguments_[index_].size() < 2 || arguments_[index_][0] != '-');
    if (flag.value == Value::kOptional && (!there || arguments_[index_].find('=') != std::string::npos)) return "all";
    if (!there) throw Error(Code::kUsage, "argument " + title(flag) + ": expected one argument");
    return arguments_[index_++];
  }

  void check() const {
    const int modes =
        result_.run + result_.multirun + result_.cfg.has_value() + result_.info.has_value() + result_.shell_completion;
    if (modes > 1) {
      throw ConfigError("ValueError",
                        "Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified");
    }
    if (result_.resolve && !result_.cfg && !result_.help) {
      throw ConfigError("ValueError", "The --resolve flag can only be used in conjunction with --cfg or --help");
    }
  }

  const std::vector<std::string>& arguments_;
  const bool unfinished_;
  size_t index_ = 0;
  CommandLine result_;
};

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments, bool strict) {
  return Reader(arguments).read(strict);
}

CommandLine parse_unfinished_line(const std::vector<std::string>& arguments) {
  return Reader(arguments, true).read(false);
}

std::vector<FlagShape> command_line_flags() {
  std::vector<FlagShape> shapes;
  for (const Flag& flag : kFlags) {
    FlagShape shape{std::string(flag.name), std::string(flag.short_name), flag.value != Value::kNone, {}};
    if (!flag.choices.empty()) shape.choices = split(flag.choices, '|');
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

std::string command_line_flags_help() {
  std::string text;
  for (const Flag& flag : kFlags) {
    text += std::string(flag.name) + (flag.short_name.empty() ? "" : "," + std::string(flag.short_name)) + " : " +
            std::string(flag.help) + "\n";
  }
  return text + "Overrides : key=value, +key=value, ++key=value, ~key, group=option";
}

}  // namespace fathom::config
