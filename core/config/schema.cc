#include "core/config/schema.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/printer.h"
#include "core/config/python_text.h"

namespace fathom::config {
namespace {

using Type = Schema::Type;

SchemaPtr simple(Type type) {
  auto schema = std::make_shared<Schema>();
  schema->type = type;
  schema->optional = type == Type::kAny;
  return schema;
}

std::string python_type_name(const Node& value) {
  if (value.is_map()) return "dict";
  if (value.is_list()) return "list";
  if (const auto* member = std::get_if<EnumMember>(&value.value())) return member->type.empty() ? "Enum" : member->type;
  static constexpr const char* kNames[] = {"NoneType", "bool", "int", "float", "str", "bytes", "Enum"};
  return kNames[value.value().index()];
}

ConfigError validation_error(const std::string& what, const Node& value, const std::string& full_key) {
  return ConfigError("ValidationError", what, full_key).with_where(value.origin());
}

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// Whether `value` may stand in for `enumeration`'s member; by member, name, "Type.NAME" or integer value.
std::optional<EnumMember> find_member(const EnumType& enumeration, const Scalar& value) {
  const auto by_name = [&](std::string_view name) -> std::optional<EnumMember> {
    for (const auto& [member, number] : enumeration.members) {
      if (member == name) return EnumMember{enumeration.name, member};
    }
    return std::nullopt;
  };
  if (const auto* member = std::get_if<EnumMember>(&value)) {
    if (!member->type.empty() && member->type != enumeration.name) return std::nullopt;
    return by_name(member->name);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (auto found = by_name(*text)) return found;
    const std::string prefix = enumeration.name + ".";
    if (text->rfind(prefix, 0) == 0) return by_name(std::string_view(*text).substr(prefix.size()));
    return std::nullopt;
  }
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    for (const auto& [member, number] : enumeration.members) {
      if (number == *integer) return EnumMember{enumeration.name, member};
    }
  }
  return std::nullopt;
}

std::string member_names(const EnumType& enumeration) {
  std::string names;
  for (const auto& [name, value] : enumeration.members) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::optional<bool> to_bool(const Scalar& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer != 0;
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return std::nullopt;
  if (const auto integer = python_int(*text)) return *integer != 0;
  const std::string word = lower(*text);
  for (const char* yes : {"yes", "y", "on", "true"}) {
    if (word == yes) return true;
  }
  for (const char* no : {"no", "n", "off", "false"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

Scalar convert_scalar(const Node& node, const Schema& schema, const std::string& full_key) {
  const auto not_converted = [&](const char* what) {
    return validation_error(
        "Value '" + python_str(node) + "' of type '" + python_type_name(node) + "' could not be converted to " + what,
        node, full_key);
  };
  static const Scalar kNone;
  const Scalar& value = node.is_scalar() ? node.value() : kNone;
  switch (schema.type) {
    case Type::kInt:
      if (std::holds_alternative<int64_t>(value)) return value;
      if (const auto* text = std::get_if<std::string>(&value)) {
        if (const auto integer = python_int(*text)) return *integer;
      }
      throw not_converted("Integer");
    case Type::kFloat:
      if (std::holds_alternative<double>(value)) return value;
      if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
      if (const auto* text = std::get_if<std::string>(&value)) {
        if (const auto number = python_float(*text)) return *number;
      }
      throw not_converted("Float");
    case Type::kBool:
      if (const auto flag = to_bool(value)) return *flag;
      throw validation_error(
          "Value '" + python_str(node) + "' is not a valid bool (type " + python_type_name(node) + ")", node, full_key);
    case Type::kString:
      if (!node.is_scalar() || std::holds_alternative<Bytes>(value)) {
        throw validation_error("Cannot convert '" + python_type_name(node) + "' to string: '" + python_str(node) + "'",
                               node, full_key);
      }
      return python_str(node);
    case Type::kBytes:
      if (std::holds_alternative<Bytes>(value)) return value;
      throw validation_error(
          "Value '" + python_str(node) + "' of type '" + python_type_name(node) + "' is not of type 'bytes'", node,
          full_key);
    case Type::kEnum: {
      if (node.is_scalar() && !std::holds_alternative<bool>(value)) {
        if (auto member = find_member(*schema.enumeration, value)) return *member;
      }
      std::vector<std::string> names, near;
      for (const auto& [name, number] : schema.enumeration->members) names.push_back(name);
      if (node.is_string()) near = nearest_names(std::get<std::string>(value), names);
      throw validation_error("Invalid value '" + python_str(node) + "', expected one of [" + join(names, ", ") + "]",
                             node, full_key)
          .with_candidates(near);
    }
    case Type::kUnion: {
      for (const auto& member : schema.arguments) {
        const bool fits = (member->type == Type::kInt && std::holds_alternative<int64_t>(value)) ||
                          (member->type == Type::kFloat && std::holds_alternative<double>(value)) ||
                          (member->type == Type::kBool && std::holds_alternative<bool>(value)) ||
                          (member->type == Type::kString && std::holds_alternative<std::string>(value)) ||
                          (member->type == Type::kBytes && std::holds_alternative<Bytes>(value)) ||
                          (member->type == Type::kEnum && std::holds_alternative<EnumMember>(value));
        if (!fits || !node.is_scalar()) continue;
        if (member->type != Type::kEnum) return value;
        if (auto found = find_member(*member->enumeration, value)) return *found;
      }
      throw validation_error("Value '" + python_str(node) + "' of type '" + python_type_name(node) +
                                 "' is incompatible with type hint '" + schema.text() + "'",
                             node, full_key);
    }
    default: break;
  }
  throw Error(Code::kInternal, "convert_scalar: not a scalar type");
}

Key convert_key(const Key& key, const Schema& schema, const Node& map, const std::string& full_key) {
  const auto fits = [&] {
    switch (schema.type) {
      case Type::kAny: return true;
      case Type::kInt: return std::holds_alternative<int64_t>(key.value);
      case Type::kFloat: return std::holds_alternative<double>(key.value);
      case Type::kBool: return std::holds_alternative<bool>(key.value);
      case Type::kString: return std::holds_alternative<std::string>(key.value);
      case Type::kBytes: return std::holds_alternative<Bytes>(key.value);
      default: return false;
    }
  };
  if (fits()) return key;
  if (schema.type == Type::kEnum) {
    if (!std::holds_alternative<bool>(key.value)) {
      if (auto member = find_member(*schema.enumeration, key.value)) return Key(Scalar(*member));
    }
    throw ConfigError("KeyValidationError",
                      "Key '" + key.text() + "' is incompatible with the enum type '" + schema.enumeration->name +
                          "', valid: [" + member_names(*schema.enumeration) + "]",
                      join_full_key(full_key, key))
        .with_where(map.origin());
  }
  throw ConfigError("KeyValidationError",
                    "Key " + key.text() + " (" + python_type_name(Node::scalar(key.value)) +
                        ") is incompatible with (" + schema.text() + ")",
                    join_full_key(full_key, key))
      .with_where(map.origin());
}

// Items that are containers pass where a value is declared, as OmegaConf 2.3 checks only values there.
Node convert_item(const Node& item, const SchemaPtr& schema, const std::string& full_key) {
  if (!item.is_scalar() && schema->type < Type::kList) return item;
  return convert(item, schema, full_key);
}

Node convert_list(const Node& value, const SchemaPtr& schema, const std::string& full_key) {
  if (value.is_map()) {
    throw ConfigError("ConfigTypeError", "Cannot merge DictConfig with ListConfig", full_key)
        .with_where(value.origin());
  }
  if (!value.is_list()) {
    throw validation_error(
        "Invalid value assigned: " + python_type_name(value) + " is not a ListConfig, list or tuple.", value, full_key)
        .with_expected(schema->text());
  }
  if (schema->type == Type::kTuple && value.size() != schema->arguments.size()) {
    throw validation_error("a value of type " + schema->text() + " has " + std::to_string(schema->arguments.size()) +
                               " items, not " + std::to_string(value.size()),
                           value, full_key);
  }
  Node list = Node::list(value.origin());
  list.schema = schema;
  list.struct_flag = value.struct_flag;
  list.readonly_flag = value.readonly_flag;
  for (size_t i = 0; i < value.size(); ++i) {
    const SchemaPtr& item = schema->arguments[schema->type == Type::kTuple ? i : 0];
    const std::string item_key = join_full_key(full_key, i);
    if (value.items()[i].is_null() && !item->optional) {
      throw validation_error("Invalid type assigned: NoneType is not a subclass of " + item->text() + ". value: None",
                             value.items()[i], item_key);
    }
    list.append(convert_item(value.items()[i], item, item_key));
  }
  return list;
}

Node convert_dict(const Node& value, const SchemaPtr& schema, const std::string& full_key) {
  if (value.is_list()) {
    throw ConfigError("ConfigTypeError", "Cannot merge DictConfig with ListConfig", full_key)
        .with_where(value.origin());
  }
  if (!value.is_map()) {
    throw validation_error("Cannot assign " + python_type_name(value) + " to " + schema->text(), value, full_key);
  }
  Node map = Node::map(value.origin());
  map.schema = schema;
  map.struct_flag = value.struct_flag;
  map.readonly_flag = value.readonly_flag;
  for (const auto& [key, item] : value.entries()) {
    Key typed = convert_key(key, *schema->arguments[0], value, full_key);
    Node converted = convert_item(item, schema->arguments[1], join_full_key(full_key, key));
    map.set(std::move(typed), std::move(converted));
  }
  return map;
}

Node convert_class(const Node& value, const SchemaPtr& schema, const std::string& full_key) {
  if (value.is_list()) {
    throw ConfigError("ConfigTypeError", "Cannot merge DictConfig with ListConfig", full_key)
        .with_where(value.origin());
  }
  if (!value.is_map()) {
    throw validation_error("Invalid type assigned: " + python_type_name(value) + " is not a subclass of " +
                               schema->object->name + ". value: " + python_str(value),
                           value, full_key);
  }
  Node object = instantiate(schema->object);
  object.schema = schema;
  object.set_origin(value.origin());
  object.struct_flag = value.struct_flag;
  object.readonly_flag = value.readonly_flag;
  for (const auto& [key, item] : value.entries()) {
    const auto* name = std::get_if<std::string>(&key.value);
    const Field* field = name == nullptr ? nullptr : schema->object->find(*name);
    if (field == nullptr) {
      throw ConfigError("ConfigKeyError", "Key '" + key.text() + "' not in '" + schema->object->name + "'",
                        join_full_key(full_key, key))
          .with_where(item.origin())
          .with_candidates(nearest_keys(object, key.text()));
    }
    if (item.is_missing()) continue;  // the default stays
    object.set(key, convert(item, field->type, join_full_key(full_key, key)));
  }
  return object;
}

}  // namespace

SchemaPtr any_type() {
  static const SchemaPtr type = simple(Type::kAny);
  return type;
}
SchemaPtr int_type() {
  static const SchemaPtr type = simple(Type::kInt);
  return type;
}
SchemaPtr float_type() {
  static const SchemaPtr type = simple(Type::kFloat);
  return type;
}
SchemaPtr bool_type() {
  static const SchemaPtr type = simple(Type::kBool);
  return type;
}
SchemaPtr string_type() {
  static const SchemaPtr type = simple(Type::kString);
  return type;
}
SchemaPtr bytes_type() {
  static const SchemaPtr type = simple(Type::kBytes);
  return type;
}

SchemaPtr optional_of(SchemaPtr type) {
  auto schema = std::make_shared<Schema>(*type);
  schema->optional = true;
  return schema;
}

SchemaPtr list_of(SchemaPtr item) {
  auto schema = std::make_shared<Schema>();
  schema->type = Type::kList;
  schema->arguments = {std::move(item)};
  return schema;
}

SchemaPtr dict_of(SchemaPtr key, SchemaPtr item) {
  auto schema = std::make_shared<Schema>();
  schema->type = Type::kDict;
  schema->arguments = {std::move(key), std::move(item)};
  return schema;
}

SchemaPtr tuple_of(std::vector<SchemaPtr> items) {
  auto schema = std::make_shared<Schema>();
  schema->type = Type::kTuple;
  schema->arguments = std::move(items);
  return schema;
}

SchemaPtr union_of(std::vector<SchemaPtr> members) {
  auto schema = std::make_shared<Schema>();
  schema->type = Type::kUnion;
  schema->arguments = std::move(members);
  return schema;
}

SchemaPtr enum_of(std::shared_ptr<const EnumType> enumeration) {
  auto schema = std::make_shared<Schema>();
  schema->type = Type::kEnum;
  schema->enumeration = std::move(enumeration);
  return schema;
}

SchemaPtr class_of(std::shared_ptr<const ClassType> object) {
  auto schema = std::make_shared<Schema>();
  schema->type = Type::kClass;
  schema->object = std::move(object);
  return schema;
}

const Field* ClassType::find(std::string_view field) const {
  for (const auto& own : fields) {
    if (own.name == field) return &own;
  }
  return nullptr;
}

std::string Schema::text() const {
  const auto arguments_text = [this] {
    std::string out;
    for (const auto& argument : arguments) out += (out.empty() ? "" : ", ") + argument->text();
    return "[" + out + "]";
  };
  std::string text;
  switch (type) {
    case Type::kAny: return "Any";
    case Type::kInt: text = "int"; break;
    case Type::kFloat: text = "float"; break;
    case Type::kBool: text = "bool"; break;
    case Type::kString: text = "str"; break;
    case Type::kBytes: text = "bytes"; break;
    case Type::kEnum: text = enumeration->name; break;
    case Type::kUnion: text = "Union" + arguments_text(); break;
    case Type::kList: text = "List" + arguments_text(); break;
    case Type::kDict: text = "Dict" + arguments_text(); break;
    case Type::kTuple: text = "Tuple" + arguments_text(); break;
    case Type::kClass: text = object->name; break;
  }
  return optional ? "Optional[" + text + "]" : text;
}

Node instantiate(const std::shared_ptr<const ClassType>& object) {
  Node node = Node::map();
  node.schema = class_of(object);
  for (const auto& field : object->fields) {
    Node value =
        field.default_value ? convert(*field.default_value, field.type, field.name) : Node::scalar(std::string("???"));
    if (!value.schema && field.type->type != Type::kAny) value.schema = field.type;
    node.set(field.name, std::move(value));
  }
  return node;
}

Node convert(const Node& value, const SchemaPtr& schema, const std::string& full_key) {
  if (!schema || schema->type == Type::kAny) return value;
  if (value.is_missing() || value.is_interpolation()) {
    Node node = Node::scalar(value.value(), value.origin());
    node.schema = schema;
    return node;
  }
  if (value.is_null()) {
    if (!schema->optional) {
      throw validation_error(schema->type < Type::kList
                                 ? "Incompatible value 'None' for field of type '" + schema->text() + "'"
                                 : "field '" + full_key + "' is not Optional",
                             value, full_key)
          .with_expected(schema->text());
    }
    Node node = Node::scalar(std::monostate{}, value.origin());
    node.schema = schema;
    return node;
  }
  switch (schema->type) {
    case Type::kList:
    case Type::kTuple: return convert_list(value, schema, full_key);
    case Type::kDict: return convert_dict(value, schema, full_key);
    case Type::kClass: return convert_class(value, schema, full_key);
    default: break;
  }
  Node node = Node::scalar(convert_scalar(value, *schema, full_key), value.origin());
  node.schema = schema;
  return node;
}

const ClassType* object_type(const Node& node) {
  return node.is_map() && node.schema ? node.schema->object.get() : nullptr;
}

SchemaPtr child_schema(const Node& container, const Key& key) {
  if (!container.schema) return nullptr;
  if (container.schema->type == Type::kDict) return container.schema->arguments[1];
  if (const ClassType* object = container.schema->object.get()) {
    const auto* name = std::get_if<std::string>(&key.value);
    const Field* field = name == nullptr ? nullptr : object->find(*name);
    return field == nullptr ? nullptr : field->type;
  }
  return nullptr;
}

SchemaPtr item_schema(const Node& list, size_t index) {
  if (!list.schema || list.schema->arguments.empty()) return nullptr;
  if (list.schema->type == Type::kTuple) {
    return index < list.schema->arguments.size() ? list.schema->arguments[index] : nullptr;
  }
  return list.schema->type == Type::kList ? list.schema->arguments[0] : nullptr;
}

}  // namespace fathom::config
