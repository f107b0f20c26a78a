#include "host/plugin_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>
#include <thread>

#include "core/base/interrupt.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "fathom/command.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/progress.h"
#include "host/signals.h"

namespace fathom::cli {
namespace {

constexpr uint32_t kCommands = plugins::kind_bit(FATHOM_KIND_COMMAND);

std::string join_dashes(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

// A flag of an option, and what was given for it.
struct Flag {
  std::string name, type;  // "optional[…]" taken off
  CLI::Option* option = nullptr;
  bool truth = false;
  std::vector<std::string> words;
};

bool is_list(const std::string& type) { return type.starts_with("list["); }

Json number_of(const std::string& word, const std::string& type, const std::string& flag) {
  const Json value = Json::parse(word, nullptr, /*allow_exceptions=*/false);
  if (type == "int" ? !value.is_number_integer() : !value.is_number())
    throw Error(Code::kUsage, "the flag has the wrong type").at(flag).seen(word).expected(type);
  return value;
}

Json value_of(const std::string& word, const std::string& type, const std::string& flag) {
  if (type == "str") return word;
  if (type == "int" || type == "float") return number_of(word, type, flag);
  Json value = Json::parse(word, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    if (type == "any") return word;
    throw Error(Code::kUsage, "the flag's value is no JSON").at(flag).seen(word).expected(type);
  }
  return value;
}

Json flag_value(const Flag& flag) {
  const std::string shown = "--" + join_dashes(flag.name);
  if (flag.type == "bool") return flag.truth;
  if (!is_list(flag.type)) return value_of(flag.words.back(), flag.type, shown);
  const std::string item = flag.type.substr(5, flag.type.size() - 6);
  Json list = Json::array();
  for (const auto& word : flag.words) list.push_back(value_of(word, item, shown));
  return list;
}

// One flag an option of the schema; what positionals() names needs no flag.
void add_flags(CLI::App& app, const Json& schema, std::deque<Flag>& flags) {
  const Json positionals = schema.value("positionals", Json::array());
  const auto add = [&](const Json& option, bool positional) {
    Flag& flag = flags.emplace_back();
    flag.name = option["name"];
    flag.type = option["type"];
    if (flag.type.starts_with("optional[")) flag.type = flag.type.substr(9, flag.type.size() - 10);
    const std::string dashed = join_dashes(flag.name);
    std::string doc = option.value("doc", "");
    if (flag.type == "bool") {
      const bool otherwise = option.contains("default") && option["default"] == true;
      flag.option = app.add_flag("--" + dashed + ",!--no-" + dashed, flag.truth, doc + (otherwise ? " [on]" : ""));
      return;
    }
    if (option.contains("default") && !option["default"].is_null() && option["default"] != "" &&
        option["default"] != Json::array())
      doc += " [" +
             (option["default"].is_string() ? option["default"].get<std::string>() : json_text(option["default"])) +
             "]";
    flag.option = app.add_option(positional ? flag.name + ",--" + dashed : "--" + dashed, flag.words, doc);
    flag.option->type_name(is_list(flag.type) ? flag.type.substr(5, flag.type.size() - 6) : flag.type);
    if (is_list(flag.type)) {
      if (!positional) flag.option->delimiter(',')->allow_extra_args(false);
    } else {
      // Not what the next positional is for.
      flag.option->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    if (option.value("required", false)) flag.option->required();
  };
  for (const auto& name : positionals) {
    for (const auto& option : schema["options"]) {
      if (option["name"] == name) add(option, true);
    }
  }
  for (const auto& option : schema["options"]) {
    if (std::find(positionals.begin(), positionals.end(), option["name"]) == positionals.end()) add(option, false);
  }
}

// What a running command has of the program.
struct Io {
  ProgressLine line;
  fathom_command_io table;
  Io(const std::string& room, int threads) : line(room) {
    table = {sizeof(fathom_command_io),
             this,
             [](void*, fathom_str text) { return guard([&] { print(to_view(text)); }); },
             [](void* self, fathom_str what, uint64_t done, uint64_t total) {
               ProgressLine& line = static_cast<Io*>(self)->line;
               if (!line.due()) return;
               line.show(total > 0 ? fmt::format("{} of {} {} ({:.0f} %)", done, total, to_view(what),
                                                 100.0 * static_cast<double>(done) / static_cast<double>(total))
                                   : fmt::format("{} {}", done, to_view(what)));
             },
             [](void*) { return interrupt_requested() != 0 ? 1 : 0; },
             static_cast<int32_t>(threads)};
  }
};

// "tts", "some-thing" -> "tts.some_thing".
std::string component_name(const std::string& group, std::string command) {
  std::replace(command.begin(), command.end(), '-', '_');
  return group + "." + command;
}

std::string group_help(const std::string& group) {
  std::string text = fmt::format("fathom {}: commands of plugins.\n\n", group);
  for (const auto& name : plugin_commands(group)) {
    text += fmt::format("  {:<20}{}\n", name,
                        plugins::registry().find(kCommands, component_name(group, name)).component->doc);
  }
  return text + fmt::format("\nfathom {} COMMAND --help says more.\n", group);
}

}  // namespace

std::vector<std::string> plugin_command_groups() {
  std::set<std::string> groups;
  for (const auto& name : plugins::registry().names(kCommands, /*with_aliases=*/false))
    groups.insert(name.substr(0, name.find('.')));
  return {groups.begin(), groups.end()};
}

std::vector<std::string> plugin_commands(const std::string& group) {
  std::vector<std::string> found;
  for (const auto& name : plugins::registry().names(kCommands, /*with_aliases=*/false)) {
    if (name.starts_with(group + ".")) found.push_back(join_dashes(name.substr(group.size() + 1)));
  }
  return found;
}

int run_plugin_command(const std::string& group, const Words& words, const Globals& globals) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print(group_help(group));
    return words.empty() ? FATHOM_USAGE : 0;
  }
  const std::vector<std::string> known = plugin_commands(group);
  const std::string command_name = join_dashes(words[0]);
  if (std::find(known.begin(), known.end(), command_name) == known.end()) {
    throw Error(Code::kUsage, "unknown command")
        .seen(group + " " + words[0])
        .candidates(nearest_names(words[0], known))
        .next("fathom " + group + " --help lists the commands");
  }
  const std::string component = component_name(group, command_name);
  const plugins::Found found = plugins::registry().find(kCommands, component);
  const Json schema = found.component->schema;
  CLI::App app(found.component->doc, "fathom " + group + " " + command_name);
  std::deque<Flag> flags;
  add_flags(app, schema, flags);
  if (parse_arguments(app, {words.begin() + 1, words.end()})) return 0;
  Json section = {{"_target_", component}};
  for (const auto& flag : flags) {
    if (flag.option->count() > 0) section[flag.name] = flag_value(flag);
  }
  // What computes with libtorch may need what only the engine can do, such as restoring another model.
  for (const auto& plugin : plugins::registry().plugins()) {
    if (plugin.file == found.file && plugin.info.torch_use != FATHOM_TORCH_NONE) engine();
  }
  catch_interrupts();
  const Handle<fathom_command_v1> command(plugins::registry().create(kCommands, section, ""));
  Io io(group, globals.threads > 0 ? globals.threads : static_cast<int>(std::thread::hardware_concurrency()));
  try {
    check(command.vtable().run(command.self(), &io.table));
  } catch (const Error& error) {
    if (error.code() != Code::kInterrupted) throw;
    return interrupt_status(/*saved=*/false);
  }
  return 0;
}

}  // namespace fathom::cli
