#include "tests/conformance/config_tree_suites.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "core/base/temporary_folder.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/merge.h"
#include "core/config/printer.h"
#include "core/config/python_text.h"
#include "core/config/resolver.h"
#include "core/config/schema.h"
#include "core/config/yaml_loader.h"
#include "core/hydra/composer.h"
#include "tests/conformance/typed_json.h"

namespace fathom::conformance {
namespace {

using config::Node;
using config::Scalar;
using config::SchemaPtr;
using nlohmann::json;

// What a case gave, to be held against `expect`: compared keys are those that are there.
struct Result {
  json value;
  std::optional<std::string> yaml, text;
  std::optional<std::vector<std::string>> missing;
};

Outcome judge_error(const json& expected, const Error& problem) {
  if (expected.value("reference_bug", false)) return pass();
  const std::string message = problem.what();
  const json parts = expected.value("contains", json::array());
  for (const json& part : parts) {
    if (message.find(part.get<std::string>()) == std::string::npos) {
      return fail("expected an error with '" + part.get<std::string>() + "', got: " + message);
    }
  }
  return pass();
}

Outcome judge(const Case& item, const std::function<Result()>& run) {
  const json& expect = item.body.at("expect");
  Result result;
  try {
    result = run();
  } catch (const Error& problem) {
    if (expect.contains("error")) return judge_error(expect["error"], problem);
    const json& inputs = item.body.at("inputs");
    const bool bigint = (expect.contains("value") && has_bigint(expect["value"])) ||
                        (inputs.contains("value") && has_bigint(inputs["value"]));
    if (bigint && std::string(problem.what()).find("64 bits") != std::string::npos) {
      return pass();  // the record allows refusing such a number with a clear error
    }
    return fail("expected a result, got: " + std::string(problem.what()));
  }
  if (expect.contains("error")) {
    if (expect["error"].value("reference_bug", false)) return pass();
    return fail("expected the error " + expect["error"].value("class", "?") + " (" +
                expect["error"].value("reference_message", "").substr(0, 120) + "), got " + json_text(result.value));
  }
  if (expect.contains("value") && expect["value"] != result.value)
    return fail(difference(expect["value"], result.value));
  if (expect.contains("yaml") && result.yaml && expect["yaml"] != *result.yaml) {
    return fail(difference(expect["yaml"], *result.yaml));
  }
  if (expect.contains("text") && result.text && expect["text"] != *result.text) {
    return fail(difference(expect["text"], *result.text));
  }
  if (expect.contains("missing") && result.missing && expect["missing"] != json(*result.missing)) {
    return fail(difference(expect["missing"], json(*result.missing)));
  }
  return pass();
}

Scalar scalar_from(const json& value) {
  if (value.is_null()) return std::monostate{};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_string()) return value.get<std::string>();
  const std::string type = value.at("t");
  if (type == "float") return *config::python_float(value.at("v").get<std::string>());
  if (type == "enum") return config::EnumMember{value.value("type", ""), value.at("v")};
  if (type == "bytes") {
    config::Bytes bytes;
    const std::string hex = value.at("hex");
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes.data += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return bytes;
  }
  if (type == "bigint") {
    throw config::ConfigError("OverflowError",
                              "integer " + value.at("v").get<std::string>() + " does not fit in 64 bits");
  }
  throw Error(Code::kBadData, "unknown typed JSON").seen(json_text(value));
}

Node node_from(const json& value) {
  if (value.is_array()) {
    Node list = Node::list();
    for (const auto& item : value) list.append(node_from(item));
    return list;
  }
  if (value.is_object() && value.at("t") == "map") {
    Node map = Node::map();
    for (const auto& pair : value.at("v")) map.set(config::Key(scalar_from(pair.at(0))), node_from(pair.at(1)));
    return map;
  }
  return Node::scalar(scalar_from(value));
}

// Variables a case sets; put back afterwards.
class Environment {
 public:
  explicit Environment(const json& inputs) {
    unset("GOLDEN_UNSET");
    unset("GOLDEN_UNSET2");
    if (!inputs.contains("env") || !inputs["env"].is_object()) return;
    for (const auto& [name, value] : inputs["env"].items()) {
      remember(name);
      setenv(name.c_str(), value.get<std::string>().c_str(), 1);
    }
  }
  Environment(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value) {
        setenv(name.c_str(), value->c_str(), 1);
      } else {
        unsetenv(name.c_str());
      }
    }
  }

 private:
  void remember(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    before_.emplace(name, value == nullptr ? std::nullopt : std::optional<std::string>(value));
  }
  void unset(const std::string& name) {
    remember(name);
    unsetenv(name.c_str());
  }
  std::map<std::string, std::optional<std::string>> before_;
};

const config::ResolverRegistry& resolvers() {
  static const config::ResolverRegistry registry = [] {
    auto made = config::ResolverRegistry::with_builtins();
    const auto echo = [](const std::vector<Node>& args, const config::ResolverContext&) {
      if (args.size() != 1)
        throw config::ConfigError("TypeError", "echo() missing 1 required positional argument: 'x'");
      return args[0];
    };
    made.add("echo", echo);
    made.add("ns.echo", echo);
    made.add("args", [](const std::vector<Node>& args, const config::ResolverContext&) {
      Node list = Node::list();
      for (const auto& arg : args) {
        static constexpr const char* kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "Enum"};
        const std::string type = arg.is_map() ? "dict" : arg.is_list() ? "list" : kNames[arg.value().index()];
        list.append(Node::scalar(type + ":" + config::python_str(arg)));
      }
      return list;
    });
    return made;
  }();
  return registry;
}

Outcome run_yaml_typing(const Case& item) {
  return judge(item, [&] {
    Result result;
    result.value = typed_json(config::load_yaml_text(item.body.at("inputs").at("yaml").get<std::string>(), "<file>"));
    return result;
  });
}

std::vector<config::Key> path_keys(const std::string& path) {
  std::vector<config::Key> keys;
  for (size_t start = 0; start <= path.size();) {
    size_t slash = path.find('/', start);
    if (slash == std::string::npos) slash = path.size();
    const std::string part = path.substr(start, slash - start);
    const auto index = config::python_int(part);
    if (index && !part.empty()) {
      keys.emplace_back(Scalar(*index));
    } else {
      keys.emplace_back(part);
    }
    start = slash + 1;
  }
  return keys;
}

// A number is an index in a list and text in a map.
Node get_by_path(const Node& root, const std::string& path) {
  std::vector<config::Key> keys = path_keys(path);
  const Node* node = &root;
  for (auto& key : keys) {
    const auto* index = std::get_if<int64_t>(&key.value);
    if (node != nullptr && node->is_map() && index != nullptr && node->find(key) == nullptr)
      key = std::to_string(*index);
    if (node == nullptr) continue;
    if (node->is_map()) {
      node = node->find(key);
    } else if (node->is_list() && index != nullptr && *index >= 0 && static_cast<size_t>(*index) < node->size()) {
      node = &node->items()[static_cast<size_t>(*index)];
    } else {
      node = nullptr;
    }
  }
  return config::get_resolved(root, keys, resolvers());
}

Outcome run_interpolation(const Case& item) {
  const json& inputs = item.body.at("inputs");
  const Environment environment(inputs);
  return judge(item, [&] {
    Node root = config::load_yaml_text(inputs.at("yaml").get<std::string>(), "<file>");
    const std::string op = inputs.at("op");
    const std::string key = inputs.contains("key") && inputs["key"].is_string() ? inputs["key"] : "";
    Result result;
    if (op == "get") {
      result.value = typed_json(get_by_path(root, key));
    } else if (op == "select") {
      Node value;
      if (config::select(root, key, &value, resolvers())) result.value = typed_json(value);
    } else if (op == "resolve") {
      config::resolve(root, resolvers());
      result.value = typed_json(root);
    } else if (op == "to_container" || op == "to_container_strict") {
      config::ContainerOptions options;
      options.throw_on_missing = op == "to_container_strict";
      result.value = typed_json(config::to_container(root, options, resolvers()));
    } else if (op == "missing_keys") {
      result.value = config::missing_keys(root, resolvers());
    } else {
      throw std::runtime_error("unknown op " + op);
    }
    return result;
  });
}

Outcome run_merge(const Case& item) {
  const json& inputs = item.body.at("inputs");
  return judge(item, [&] {
    std::vector<Node> docs;
    for (const auto& doc : inputs.at("docs")) docs.push_back(config::load_yaml_text(doc.get<std::string>(), "<file>"));
    const json flags = inputs.value("flags", json::array());
    for (const auto& flag : flags) {
      Node& doc = docs.at(flag.at("doc").get<size_t>());
      Node* node = flag.contains("key") && flag["key"].is_string()
                       ? config::find_path(doc, flag["key"].get<std::string>())
                       : &doc;
      if (node == nullptr) throw std::runtime_error("no such key: " + json_text(flag));
      if (flag.contains("struct") && flag["struct"].is_boolean()) node->struct_flag = flag["struct"].get<bool>();
      if (flag.contains("readonly") && flag["readonly"].is_boolean())
        node->readonly_flag = flag["readonly"].get<bool>();
    }
    std::vector<const Node*> trees;
    for (const auto& doc : docs) trees.push_back(&doc);
    const Node merged = config::merge(trees, resolvers());
    Result result;
    result.value = typed_json(merged);
    result.yaml = config::to_yaml(merged);
    return result;
  });
}

Outcome run_to_yaml(const Case& item) {
  const json& inputs = item.body.at("inputs");
  const Environment environment(inputs);
  return judge(item, [&] {
    config::PrintOptions options;
    options.resolve = inputs.value("resolve", false);
    options.resolvers = &resolvers();
    Result result;
    result.text = config::to_yaml(node_from(inputs.at("value")), options);
    return result;
  });
}

// Reads the corpus' schema language.
class SchemaReader {
 public:
  explicit SchemaReader(const json& schema) {
    const json enums = schema.value("enums", json::object());
    for (const auto& [name, members] : enums.items()) {
      auto made = std::make_shared<config::EnumType>();
      made->name = name;
      for (const auto& member : members) made->members.emplace_back(member.at(0), member.at(1).get<int64_t>());
      enums_[name] = made;
    }
    // Declared before use, but JSON objects are not ordered here: read what a class needs first.
    classes_json_ = schema.at("classes");
    root_ = read_class(schema.at("root"));
  }
  std::shared_ptr<const config::ClassType> root() const { return root_; }

 private:
  std::shared_ptr<const config::ClassType> read_class(const std::string& name) {
    if (const auto found = classes_.find(name); found != classes_.end()) return found->second;
    auto made = std::make_shared<config::ClassType>();
    made->name = name;
    for (const auto& declared : classes_json_.at(name)) {
      config::Field field;
      field.name = declared.at("name");
      const std::string type = declared.at("type");
      field.type = read_type(type);
      if (declared.contains("default")) field.default_value = read_default(declared["default"], type);
      made->fields.push_back(std::move(field));
    }
    return classes_[name] = made;
  }

  Node read_default(const json& value, const std::string& type) {
    if (!value.is_object() || value.at("t") != "instance") return node_from(value);
    const size_t at = type.find("class:");
    const size_t end = type.find_first_of("],", at);
    return config::instantiate(read_class(type.substr(at + 6, end == std::string::npos ? end : end - at - 6)));
  }

  static std::vector<std::string> split_arguments(const std::string& text) {
    std::vector<std::string> parts(1);
    int depth = 0;
    for (const char c : text) {
      if (c == '[') ++depth;
      if (c == ']') --depth;
      if (c == ',' && depth == 0) {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    return parts;
  }

  SchemaPtr read_type(const std::string& text) {
    const size_t bracket = text.find('[');
    if (bracket != std::string::npos) {
      const std::string name = text.substr(0, bracket);
      std::vector<SchemaPtr> arguments;
      for (const auto& part : split_arguments(text.substr(bracket + 1, text.size() - bracket - 2))) {
        arguments.push_back(read_type(part));
      }
      if (name == "optional") return config::optional_of(arguments.at(0));
      if (name == "list") return config::list_of(arguments.at(0));
      if (name == "dict") return config::dict_of(arguments.at(0), arguments.at(1));
      if (name == "tuple") return config::tuple_of(arguments);
      if (name == "union") return config::union_of(arguments);
    }
    if (text == "int") return config::int_type();
    if (text == "float") return config::float_type();
    if (text == "str") return config::string_type();
    if (text == "bool") return config::bool_type();
    if (text == "any") return config::any_type();
    if (text == "bytes") return config::bytes_type();
    if (text.rfind("enum:", 0) == 0) return config::enum_of(enums_.at(text.substr(5)));
    if (text.rfind("class:", 0) == 0) return config::class_of(read_class(text.substr(6)));
    throw std::runtime_error("unknown type " + text);
  }

  json classes_json_;
  std::map<std::string, std::shared_ptr<const config::EnumType>> enums_;
  std::map<std::string, std::shared_ptr<const config::ClassType>> classes_;
  std::shared_ptr<const config::ClassType> root_;
};

Node run_with_schema(const json& inputs, const std::shared_ptr<const config::ClassType>& schema) {
  const TemporaryFolder folder;
  folder.write("config.yaml", inputs.at("yaml").get<std::string>());
  config::ComposeRequest request;
  request.config_path = folder.path();
  request.config_name = "config";
  request.overrides = inputs.value("overrides", std::vector<std::string>{});
  request.strict_overrides = true;
  request.schema = schema;
  request.resolvers = &resolvers();
  return config::compose(request).job;
}

Outcome run_structured(const Case& item) {
  const json& inputs = item.body.at("inputs");
  const Environment environment(inputs);
  return judge(item, [&] {
    const SchemaReader schema(inputs.at("schema"));
    const std::string op = inputs.at("op");
    Node root = op == "runner" ? run_with_schema(inputs, schema.root()) : config::instantiate(schema.root());
    Result result;
    if (op == "set") {
      config::update(root, inputs.at("key").get<std::string>(), node_from(inputs.at("value")), {.merge = false},
                     resolvers());
    } else if (op == "merge" || op == "read") {
      const Node loaded = config::load_yaml_text(inputs.at("yaml").get<std::string>(), "<file>");
      root = config::merge(root, loaded, resolvers());
    } else if (op != "runner") {
      throw std::runtime_error("unknown op " + op);
    }
    if (op == "read") {
      result.value = typed_json(get_by_path(root, inputs.at("key")));
      return result;
    }
    result.value = typed_json(root);
    result.yaml = config::to_yaml(root);
    result.missing = config::missing_keys(root, resolvers());
    return result;
  });
}

}  // namespace

void add_config_tree_suites(std::vector<Suite>& suites) {
  suites.push_back({"config/yaml_typing", run_yaml_typing});
  suites.push_back({"config/interpolation", run_interpolation});
  suites.push_back({"config/merge", run_merge});
  suites.push_back({"config/to_yaml", run_to_yaml});
  suites.push_back({"config/structured", run_structured});
}

}  // namespace fathom::conformance
