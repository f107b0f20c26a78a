// The configuration tree: what OmegaConf calls DictConfig, ListConfig and the typed leaves, with provenance.
//
// A Node is a value: copying copies the subtree. While a config is composed the tree is changed freely; afterwards it
// is passed on as `const Node&` and never changes. Each node knows where it came from (Origin), so that every later
// error can point at a file:line:column or at the command line word.
//
// Not thread-safe for writing; reading a const Node from many threads is safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fathom::config {

struct Schema;  // a typed field or class, see schema.h; null means untyped (OmegaConf's Any)

// Where a value was written. File names are interned: an Origin is 16 bytes and cheap to copy.
struct Origin {
  const std::string* source = nullptr;  // file path, or the command line word; null = made by the program
  int32_t line = 0;                     // 1-based; 0 for a command line word
  int32_t column = 0;                   // 1-based

  std::string text() const;  // "configs/a.yaml:3:5", "command line: model.lr=1", "" when unknown
};
const std::string* intern_source(std::string_view name);  // thread-safe; lives as long as the process

struct Bytes {
  std::string data;
  bool operator==(const Bytes&) const = default;
};
struct EnumMember {
  std::string type, name;
  bool operator==(const EnumMember&) const = default;
};

// A leaf's value. Missing ("???") and interpolations ("${...}") are strings here, as in OmegaConf.
using Scalar = std::variant<std::monostate, bool, int64_t, double, std::string, Bytes, EnumMember>;

// A map key; keys are compared with their type: 1, "1" and true differ.
struct Key {
  Scalar value;
  Key(std::string text) : value(std::move(text)) {}         // NOLINT: a string is the usual key
  Key(std::string_view text) : value(std::string(text)) {}  // NOLINT
  Key(const char* text) : value(std::string(text)) {}       // NOLINT
  explicit Key(Scalar v) : value(std::move(v)) {}
  bool operator==(const Key& other) const;  // nan equals nan, as a key must be found again
  bool is_string(std::string_view text) const;
  std::string text() const;  // as in full_key: Python's str()
};

// Whether Python takes both for one key of a dict: 1, 1.0 and True are.
bool same_python_key(const Key& a, const Key& b);

class Node {
 public:
  enum class Kind : uint8_t { kScalar, kList, kMap };
  using Entry = std::pair<Key, Node>;

  Node() = default;  // null
  static Node scalar(Scalar value, Origin origin = {});
  static Node list(Origin origin = {});
  static Node map(Origin origin = {});

  Kind kind() const { return kind_; }
  bool is_map() const { return kind_ == Kind::kMap; }
  bool is_list() const { return kind_ == Kind::kList; }
  bool is_scalar() const { return kind_ == Kind::kScalar; }
  bool is_null() const { return is_scalar() && std::holds_alternative<std::monostate>(scalar_); }
  bool is_string() const { return is_scalar() && std::holds_alternative<std::string>(scalar_); }
  bool is_missing() const;        // the string "???"
  bool is_interpolation() const;  // a string holding "${", to be evaluated (also when it is escaped: "\\${")

  const Scalar& value() const { return scalar_; }  // only for scalars
  void set_value(Scalar value) { *this = scalar(std::move(value), origin_); }

  const Origin& origin() const { return origin_; }
  void set_origin(Origin origin) { origin_ = origin; }

  // Containers. Order is insertion order; lookup in a map is by hash beyond a few entries.
  size_t size() const;
  const std::vector<Node>& items() const { return items_; }  // list
  std::vector<Node>& items() { return items_; }
  const std::vector<Entry>& entries() const { return entries_; }  // map
  std::vector<Entry>& mutable_entries() {
    index_.reset();
    return entries_;
  }

  const Node* find(const Key& key) const;  // map; null when absent
  Node* find(const Key& key);
  const Node* find(std::string_view key) const;  // map, string key: no allocation
  Node* find(std::string_view key);
  const Node* find(const std::string& key) const { return find(std::string_view(key)); }
  Node* find(const std::string& key) { return find(std::string_view(key)); }
  const Node* find(const char* key) const { return find(std::string_view(key)); }
  Node* find(const char* key) { return find(std::string_view(key)); }
  Node& set(Key key, Node value);  // adds at the end, or replaces in place
  bool erase(const Key& key);
  Node& append(Node value);  // list

  // OmegaConf's container flags; unset means inherited from the parent.
  std::optional<bool> struct_flag, readonly_flag;
  // The declared type of this node (structured configs); null = Any.
  std::shared_ptr<const Schema> schema;

 private:
  struct Index;
  Kind kind_ = Kind::kScalar;
  Scalar scalar_;
  std::vector<Node> items_;
  std::vector<Entry> entries_;
  mutable std::shared_ptr<const Index> index_;  // built on first lookup of a large map, dropped by changes
  Origin origin_;
};

bool operator==(const Node& a, const Node& b);  // type and value, order of maps counts, origins do not

}  // namespace fathom::config
