// Structured configs: what OmegaConf makes of dataclasses. A Schema is the declared type of a field; a Node of a typed
// tree points at its own. Schemas are immutable once built and shared between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

using SchemaPtr = std::shared_ptr<const Schema>;

struct EnumType {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> members;
};

struct ClassType;

// The type of a field. Conversions are those of OmegaConf 2.3: an int field takes ints and strings that Python's int()
// takes, but no bool or float; a float field also ints; a bool field ints and yes/no/on/off/true/false; a string field
// any scalar but bytes; an enum field a member, its name or its value; a union only exact types.
struct Schema {
  enum class Type : uint8_t { kAny, kInt, kFloat, kBool, kString, kBytes, kEnum, kUnion, kList, kDict, kTuple, kClass };
  Type type = Type::kAny;
  bool optional = false;                        // null allowed; always for kAny
  std::shared_ptr<const EnumType> enumeration;  // kEnum
  std::shared_ptr<const ClassType> object;      // kClass; kAny: the class of the present value, if it is one
  std::vector<SchemaPtr> arguments;  // kList: item; kDict: key, item; kTuple: items in order; kUnion: members

  std::string text() const;  // "Optional[int]", "List[str]", "Dict[str, Any]", "In"
};

struct Field {
  std::string name;
  SchemaPtr type;
  std::optional<Node> default_value;  // absent = "???"; instances of classes are made with instantiate()
  std::string help;                   // one line for documentation; may be empty
};

struct ClassType {
  std::string name;
  std::vector<Field> fields;
  const Field* find(std::string_view field) const;
};

SchemaPtr any_type();
SchemaPtr int_type();
SchemaPtr float_type();
SchemaPtr bool_type();
SchemaPtr string_type();
SchemaPtr bytes_type();
SchemaPtr optional_of(SchemaPtr type);
SchemaPtr list_of(SchemaPtr item);
SchemaPtr dict_of(SchemaPtr key, SchemaPtr item);
SchemaPtr tuple_of(std::vector<SchemaPtr> items);
SchemaPtr union_of(std::vector<SchemaPtr> members);
SchemaPtr enum_of(std::shared_ptr<const EnumType> enumeration);
SchemaPtr class_of(std::shared_ptr<const ClassType> object);

// A fresh object with its defaults. Throws ConfigError ValidationError for a default that does not fit its field.
Node instantiate(const std::shared_ptr<const ClassType>& object);

// `value` as a field of type `schema` holds it: converted, containers typed all the way down. Missing values and
// interpolations pass as they are. `schema` null = Any: `value` itself. Throws ConfigError ValidationError,
// KeyValidationError, ConfigKeyError/ConfigTypeError, with `full_key` and the value's origin.
Node convert(const Node& value, const SchemaPtr& schema, const std::string& full_key);

// The class whose object `node` is, or null.
const ClassType* object_type(const Node& node);
// The declared type of `map`'s child `key`, or of a list's items; null = Any.
SchemaPtr child_schema(const Node& container, const Key& key);
// The same for item `index` of a list.
SchemaPtr item_schema(const Node& list, size_t index);

}  // namespace fathom::config
