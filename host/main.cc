#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/config/resolver.h"
#include "core/plugins/plugin_resolvers.h"
#include "core/plugins/registry.h"
#include "host/commands.h"
#include "host/output.h"
#include "host/plugin_command.h"

namespace fathom::cli {
namespace {

std::string help_text() {
  std::string text =
      "fathom: train and run speech, language and synthesis models from typed YAML experiments.\n\n"
      "  fathom train -cp configs/asr -cn digits_quartznet trainer.max_epochs=5\n"
      "  fathom transcribe model.nemo clip.wav\n"
      "  fathom inspect model.nemo\n"
      "  fathom runs\n\n"
      "Commands:\n";
  for (const auto& command : commands()) {
    text += "  " + std::string(command.name) + std::string(14 - std::string_view(command.name).size(), ' ') +
            command.summary + "\n";
  }
  const std::vector<std::string> groups = plugin_command_groups();
  if (!groups.empty()) text += "\nCommands of plugins:\n";
  for (const auto& group : groups) text += "  " + group + ": " + join(plugin_commands(group), ", ") + "\n";
  text +=
      "\nEverywhere:\n"
      "  --help, -h                     this text, or a command's\n"
      "  --plugin-dir DIR               look for plugins here too (first)\n"
      "  --threads N                    threads to use; default: all cores\n"
      "  --color auto|always|never      colour on stderr\n"
      "  --quiet, -q | --verbose, -v    fewer or more log lines\n"
      "\nExit status: 0 done, 1 failed or bad config, 2 usage, 65 bad data, 66 no input, 69 plugin missing or "
      "refused,\n"
      "70 defect, 73 cannot create, 74 I/O, 75 interrupted after saving.\n";
  return text;
}

// Takes the global flags out of `words`.
Globals take_globals(Words& words) {
  Globals globals;
  globals.all = words;
  Colour colour = Colour::kAuto;
  Words plugin_dirs, rest;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      rest.insert(rest.end(), words.begin() + static_cast<int64_t>(i), words.end());
      break;
    }
    const auto value_of = [&](const std::string& flag) -> const std::string* {
      static std::string value;
      if (word.starts_with(flag + "=")) {
        value = word.substr(flag.size() + 1);
        return &value;
      }
      if (word != flag) return nullptr;
      if (i + 1 == words.size()) throw Error(Code::kUsage, "the flag needs a value").seen(flag);
      value = words[++i];
      return &value;
    };
    if (const auto* dir = value_of("--plugin-dir")) {
      plugin_dirs.push_back(*dir);
    } else if (const auto* threads = value_of("--threads")) {
      char* end = nullptr;
      globals.threads = static_cast<int>(std::strtol(threads->c_str(), &end, 10));
      if (*end != '\0' || globals.threads < 1)
        throw Error(Code::kUsage, "--threads needs a number of at least 1").seen(*threads);
    } else if (const auto* choice = value_of("--color")) {
      if (*choice == "always")
        colour = Colour::kAlways;
      else if (*choice == "never")
        colour = Colour::kNever;
      else if (*choice != "auto")
        throw Error(Code::kUsage, "unknown value of --color").seen(*choice).expected("auto, always or never");
    } else if (word == "--quiet" || word == "-q") {
      set_log_level(LogLevel::kWarning);
    } else if (word == "--verbose" || word == "-v") {
      set_log_level(LogLevel::kDebug);
    } else {
      rest.push_back(word);
    }
  }
  set_colour(colour);
  for (auto dir = plugin_dirs.rbegin(); dir != plugin_dirs.rend(); ++dir) plugins::registry().add_plugin_dir(*dir);
  words = std::move(rest);
  return globals;
}

int run(Words words) {
  config::add_late_default_resolvers(plugins::register_plugin_resolvers);
  // Of a line that is being typed, no flag need be right yet.
  if (!words.empty() && words[0] == "__complete") return run_complete({words.begin() + 1, words.end()}, {});
  const Globals globals = take_globals(words);
  if (words.empty()) {
    print_error(Error(Code::kUsage, "no command").next("fathom --help"));
    return FATHOM_USAGE;
  }
  const std::string name = words[0];
  words.erase(words.begin());
  if (name == "--help" || name == "-h" || name == "help") {
    print(help_text());
    return 0;
  }
  if (name == "--version") return run_version({}, globals);
  std::vector<std::string> known;
  for (const auto& command : commands()) {
    if (name == command.name) return command.run(words, globals);
    known.push_back(command.name);
  }
  for (const auto& group : plugin_command_groups()) {
    if (name == group) return run_plugin_command(group, words, globals);
    known.push_back(group);
  }
  throw Error(Code::kUsage, "unknown command")
      .seen(name)
      .candidates(nearest_names(name, known))
      .next("fathom --help lists the commands");
}

}  // namespace
}  // namespace fathom::cli

namespace {

// When memory ends, what failed is let go of and told; both take some. Given back at the first failure.
std::atomic<char*> reserve{nullptr};
constexpr size_t kReserve = 8 << 20;

void keep_reserve() {
  reserve = new char[kReserve];
  std::set_new_handler([] {
    delete[] reserve.exchange(nullptr);
    throw std::bad_alloc();
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    keep_reserve();
    // A file that may not grow (ulimit -f) is an error like a full disk, and no end without a word.
    std::signal(SIGXFSZ, SIG_IGN);
    return fathom::cli::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    return fathom::cli::report_exception(error);
  }
}
