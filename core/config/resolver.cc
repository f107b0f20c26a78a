#include "core/config/resolver.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <mutex>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/evaluation.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"

namespace fathom::config {
namespace {

using Arguments = std::vector<Node>;

const Place* place_of(const void* place) { return static_cast<const Place*>(place); }

std::string type_name(const Node& node) {
  if (node.is_map()) return "dict";
  if (node.is_list()) return "list";
  static constexpr const char* kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "Enum"};
  return kNames[node.value().index()];
}

void expect_arguments(const char* name, const Arguments& arguments, size_t least, size_t most) {
  if (arguments.size() >= least && arguments.size() <= most) return;
  throw ConfigError("TypeError", std::string("`") + name + "` takes " + std::to_string(least) +
                                     (most > least ? " to " + std::to_string(most) : std::string()) +
                                     " arguments, but " + std::to_string(arguments.size()) + " were given");
}

const std::string& string_argument(const char* name, const Node& argument) {
  if (!argument.is_string()) {
    throw ConfigError("TypeError", std::string("`") + name + "` requires a string as input, but obtained `" +
                                       python_str(argument) + "` of type: " + type_name(argument));
  }
  return std::get<std::string>(argument.value());
}

Node text_node(std::string text) { return Node::scalar(std::move(text)); }

Node env(const Arguments& arguments, const ResolverContext&) {
  expect_arguments("oc.env", arguments, 1, 2);
  const std::string& name = string_argument("oc.env", arguments[0]);
  if (const char* value = std::getenv(name.c_str())) return text_node(value);
  if (arguments.size() < 2) {
    throw ConfigError("KeyError", "Environment variable '" + name + "' not found")
        .with_next("set it, or give a default: ${oc.env:" + name + ",default}");
  }
  return arguments[1].is_null() ? Node() : text_node(python_str(arguments[1]));
}

Node decode(const Arguments& arguments, const ResolverContext& context) {
  expect_arguments("oc.decode", arguments, 1, 1);
  if (arguments[0].is_null()) return Node();
  if (!arguments[0].is_string()) {
    throw ConfigError("TypeError", "`oc.decode` can only take strings or None as input, but `" +
                                       python_str(arguments[0]) + "` is of type " + type_name(arguments[0]));
  }
  return context.decode(std::get<std::string>(arguments[0].value()));
}

Node create(const Arguments& arguments, const ResolverContext&) {
  expect_arguments("oc.create", arguments, 1, 1);
  const Node& value = arguments[0];
  if (!value.is_scalar() || value.is_null()) return value;
  if (value.is_string()) return load_yaml_text(std::get<std::string>(value.value()), "oc.create");
  throw ConfigError("ValidationError", "Object of unsupported type: '" + type_name(value) + "'");
}

Node select_key(const Arguments& arguments, const ResolverContext& context) {
  expect_arguments("oc.select", arguments, 1, 2);
  Node value;
  if (context.select(string_argument("oc.select", arguments[0]), &value)) return value;
  return arguments.size() == 2 ? arguments[1] : Node();
}

Node deprecated(const Arguments& arguments, const ResolverContext& context) {
  expect_arguments("oc.deprecated", arguments, 1, 2);
  const std::string& key = string_argument("oc.deprecated", arguments[0]);
  std::string message = "'$OLD_KEY' is deprecated. Change your code and config to use '$NEW_KEY'";
  if (arguments.size() == 2) message = string_argument("oc.deprecated", arguments[1]);
  Node value;
  std::string new_key;
  if (!context.select_unresolved(key, &value, &new_key)) {
    throw ConfigError("ConfigKeyError",
                      "In oc.deprecated resolver at '" + context.full_key() + "': Key not found: '" + key + "'");
  }
  for (const auto& [name, text] : {std::pair<std::string_view, std::string>{"OLD_KEY", context.full_key()},
                                   std::pair<std::string_view, std::string>{"NEW_KEY", new_key}}) {
    for (const std::string& variable : {"$" + std::string(name), "${" + std::string(name) + "}"}) {
      for (size_t at = message.find(variable); at != std::string::npos; at = message.find(variable, at + text.size())) {
        message.replace(at, variable.size(), text);
      }
    }
  }
  log_warning("config", "{}", message);
  return value;
}

Node dict_argument(const char* name, const Arguments& arguments, const ResolverContext& context) {
  expect_arguments(name, arguments, 1, 1);
  const std::string& key = string_argument(name, arguments[0]);
  Node value;
  std::string full_key;
  if (!context.select_unresolved(key, &value, &full_key))
    throw ConfigError("ConfigKeyError", "Key not found: '" + key + "'");
  if (value.is_missing()) throw ConfigError("MissingMandatoryValue", "Missing mandatory value: " + key);
  if (!value.is_map()) {
    throw ConfigError("TypeError",
                      std::string("`") + name + "` cannot be applied to objects of type: " + type_name(value));
  }
  return value;
}

Node dict_keys(const Arguments& arguments, const ResolverContext& context) {
  const Node map = dict_argument("oc.dict.keys", arguments, context);
  Node keys = Node::list();
  for (const auto& [key, value] : map.entries()) keys.append(Node::scalar(key.value));
  return keys;
}

Node dict_values(const Arguments& arguments, const ResolverContext& context) {
  const Node map = dict_argument("oc.dict.values", arguments, context);
  Node values = Node::list();
  for (const auto& [key, value] : map.entries()) {
    values.append(text_node("${" + std::get<std::string>(arguments[0].value()) + "." + key.text() + "}"));
  }
  return values;
}

// strftime, fixed at the first use of a format so that all of a run agrees.
Node now(const Arguments& arguments, const ResolverContext&) {
  expect_arguments("now", arguments, 1, 1);
  static std::mutex mutex;
  static auto* const cache = new std::map<std::string, std::string>();
  const std::string& format = string_argument("now", arguments[0]);
  std::lock_guard lock(mutex);
  auto found = cache->find(format);
  if (found == cache->end()) {
    static const std::time_t start = std::time(nullptr);
    std::tm local{};
    localtime_r(&start, &local);
    std::string text(256 + format.size() * 16, '\0');
    text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
    found = cache->emplace(format, text).first;
  }
  return text_node(found->second);
}

Node hydra(const Arguments& arguments, const ResolverContext& context) {
  expect_arguments("hydra", arguments, 1, 1);
  if (context.hydra() == nullptr) {
    throw ConfigError("ValueError", "HydraConfig was not set: ${hydra:…} has a value only inside a run");
  }
  // Every step of a circle through here is a read of its own, none of which sees the whole circle.
  constexpr int kDeepest = 50;
  static thread_local int depth = 0;
  if (depth == kDeepest) throw ConfigError("InterpolationResolutionError", "Recursive interpolation detected");
  struct Level {
    Level() { ++depth; }
    ~Level() { --depth; }
  } const level;
  Node value;
  const std::string path = "hydra." + string_argument("hydra", arguments[0]);
  if (select(*context.hydra(), path, &value, context.registry())) return value;
  if (find_path(*context.hydra(), path) == nullptr) {
    log_warning("config", "{}: ${{hydra:{}}} is null: there is no {}", context.full_key(), path.substr(6), path);
  }
  return Node();
}

// Python's numbers: booleans count as 0 and 1.
struct Number {
  bool is_int = true;
  int64_t integer = 0;
  double real = 0;
};
std::optional<Number> as_number(const Node& node) {
  if (!node.is_scalar()) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(&node.value())) return Number{true, *flag, *flag ? 1.0 : 0.0};
  if (const auto* integer = std::get_if<int64_t>(&node.value()))
    return Number{true, *integer, static_cast<double>(*integer)};
  if (const auto* real = std::get_if<double>(&node.value())) return Number{false, 0, *real};
  return std::nullopt;
}

[[noreturn]] void throw_overflow(const char* name) {
  throw ConfigError("OverflowError", std::string("the result of `") + name + "` does not fit in 64 bits")
      .with_next("use a float");
}

Node multiply(const Arguments& arguments, const ResolverContext&) {
  expect_arguments("multiply", arguments, 2, 2);
  const Node &x = arguments[0], &y = arguments[1];
  const auto a = as_number(x), b = as_number(y);
  if (a && b) {
    if (!a->is_int || !b->is_int) return Node::scalar(a->real * b->real);
    int64_t product = 0;
    if (__builtin_mul_overflow(a->integer, b->integer, &product)) throw_overflow("multiply");
    return Node::scalar(product);
  }
  const Node& sequence = a ? y : x;
  const auto& count = a ? a : b;
  if (!count || !count->is_int || !(sequence.is_string() || sequence.is_list())) {
    throw ConfigError("TypeError",
                      "unsupported operand type(s) for *: '" + type_name(x) + "' and '" + type_name(y) + "'");
  }
  const size_t length = sequence.is_string() ? std::get<std::string>(sequence.value()).size() : sequence.size();
  const uint64_t most = sequence.is_string() ? 10'000'000 : 1'000'000;
  if (count->integer > 0 && static_cast<uint64_t>(count->integer) > most / std::max<size_t>(1, length)) {
    throw ConfigError("OverflowError", "the result of `multiply` would be longer than " + std::to_string(most));
  }
  Node list = Node::list();
  std::string text;
  for (int64_t i = 0; i < count->integer; ++i) {
    if (sequence.is_string()) {
      text += std::get<std::string>(sequence.value());
    } else {
      for (const auto& item : sequence.items()) list.append(item);
    }
  }
  return sequence.is_string() ? text_node(std::move(text)) : list;
}

Node sum(const Arguments& arguments, const ResolverContext&) {
  expect_arguments("sum", arguments, 2, 2);
  const Node &x = arguments[0], &y = arguments[1];
  const auto a = as_number(x), b = as_number(y);
  if (a && b) {
    if (!a->is_int || !b->is_int) return Node::scalar(a->real + b->real);
    int64_t total = 0;
    if (__builtin_add_overflow(a->integer, b->integer, &total)) throw_overflow("sum");
    return Node::scalar(total);
  }
  if (x.is_string() && y.is_string()) {
    return text_node(std::get<std::string>(x.value()) + std::get<std::string>(y.value()));
  }
  if (x.is_list() && y.is_list()) {
    Node list = x;
    for (const auto& item : y.items()) list.append(item);
    return list;
  }
  throw ConfigError("TypeError",
                    "unsupported operand type(s) for +: '" + type_name(x) + "' and '" + type_name(y) + "'");
}

// The model name of the first GPU as the driver tells it; null without one.
Node gpu_name(const Arguments& arguments, const ResolverContext&) {
  expect_arguments("gpu_name", arguments, 0, 0);
  std::error_code error;
  std::vector<std::string> gpus;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    gpus.push_back(entry.path().string() + "/information");
  }
  if (gpus.empty()) return Node();
  const std::string information = read_file(*std::min_element(gpus.begin(), gpus.end()));
  for (const auto& line : split(information, '\n')) {
    if (line.rfind("Model:", 0) == 0) return text_node(std::string(trim(std::string_view(line).substr(6))));
  }
  return Node();
}

}  // namespace

const Node& ResolverContext::root() const { return *evaluation_.root()->node; }

const Node* ResolverContext::parent() const {
  const Place* place = place_of(place_);
  return place->parent == nullptr ? nullptr : place->parent->node;
}

std::string ResolverContext::full_key() const { return place_of(place_)->full_key(); }

const Node* ResolverContext::hydra() const { return evaluation_.registry().hydra_config.get(); }

const ResolverRegistry& ResolverContext::registry() const { return evaluation_.registry(); }

bool ResolverContext::select_unresolved(std::string_view key, Node* value, std::string* full_key) const {
  const Place* start = Evaluation::container_of(place_of(place_));
  const Place* found = nullptr;
  try {
    found = evaluation_.select(start, key, Evaluation::Missing::kReturn);
  } catch (const PathThroughValueError&) {
    return false;
  }
  if (found == nullptr) return false;
  *value = *found->node;
  if (full_key != nullptr) *full_key = found->full_key();
  return true;
}

bool ResolverContext::select(std::string_view key, Node* value) const {
  return select_unresolved(key, value, nullptr) && !value->is_missing();
}

Node ResolverContext::decode(std::string_view text) const {
  return evaluation_.evaluate(parse_argument(text), place_of(place_));
}

void ResolverRegistry::add(const std::string& name, ResolverFunction function, bool replace) {
  if (name.empty()) throw ConfigError("ValueError", "cannot use an empty resolver name");
  if (!replace && functions_.count(name) != 0) {
    throw ConfigError("ValueError", "resolver '" + name + "' is already registered")
        .with_next("pass replace to replace it");
  }
  functions_[name] = std::move(function);
}

const ResolverFunction* ResolverRegistry::find(std::string_view name) const {
  const auto found = functions_.find(name);
  if (found != functions_.end()) return &found->second;
  return late() != nullptr ? late()->find(name) : nullptr;
}

std::vector<std::string> ResolverRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, function] : functions_) names.push_back(name);
  if (late() != nullptr) {
    for (const auto& [name, function] : late()->functions_) names.push_back(name);
    std::sort(names.begin(), names.end());
  }
  return names;
}

struct ResolverRegistry::Late {
  std::function<void(ResolverRegistry&)> fill;
  std::once_flag filled;
  ResolverRegistry registry;
};
void ResolverRegistry::add_late(std::function<void(ResolverRegistry&)> fill) {
  late_ = std::make_shared<Late>();
  late_->fill = std::move(fill);
}
const ResolverRegistry* ResolverRegistry::late() const {
  if (!late_) return nullptr;
  std::call_once(late_->filled, [this] {
    ResolverRegistry registry;
    late_->fill(registry);
    for (const auto& [name, function] : registry.functions_) {
      if (functions_.count(name) != 0) throw ConfigError("ValueError", "resolver '" + name + "' is already registered");
    }
    late_->registry = std::move(registry);
  });
  return &late_->registry;
}

void add_builtin_resolvers(ResolverRegistry& registry) {
  registry.add("oc.env", env, true);
  registry.add("oc.decode", decode, true);
  registry.add("oc.create", create, true);
  registry.add("oc.select", select_key, true);
  registry.add("oc.deprecated", deprecated, true);
  registry.add("oc.dict.keys", dict_keys, true);
  registry.add("oc.dict.values", dict_values, true);
  registry.add("now", now, true);
  registry.add("hydra", hydra, true);
  registry.add("multiply", multiply, true);
  registry.add("sum", sum, true);
  registry.add("gpu_name", gpu_name, true);
}

ResolverRegistry ResolverRegistry::with_builtins() {
  ResolverRegistry registry;
  add_builtin_resolvers(registry);
  return registry;
}

namespace {
ResolverRegistry& the_default_resolvers() {
  static auto* const registry = new ResolverRegistry(ResolverRegistry::with_builtins());
  return *registry;
}
}  // namespace
const ResolverRegistry& default_resolvers() { return the_default_resolvers(); }
void add_late_default_resolvers(std::function<void(ResolverRegistry&)> fill) {
  the_default_resolvers().add_late(std::move(fill));
}

}  // namespace fathom::config
