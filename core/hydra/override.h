// A parsed command line override: `key=value`, `+key=value`, `++key=value`, `~key`, `~key=value`,
// `group@package=option`.
//
// Values keep what the grammar knows and a config node does not: quotes (needed to write the word again) and sweeps.
// Plain values; safe to copy and to read from many threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

struct Element;
struct ElementEntry;

struct QuotedString {
  std::string text;  // after un-escaping
  char quote = '\'';
  bool operator==(const QuotedString&) const = default;
};

// a,b,c or choice(a,b,c)
struct ChoiceSweep {
  std::vector<Element> list;
  bool simple_form = false;
  bool shuffle = false;
  std::vector<std::string> tags = {};
};

// range(start, stop, step): stop is exclusive. Numbers keep the type they were written with.
struct RangeSweep {
  Scalar start, stop, step;
  bool shuffle = false;
  std::vector<std::string> tags = {};
};

// interval(start, end): continuous; only optimizing sweepers can use it.
struct IntervalSweep {
  Scalar start, end;
  std::vector<std::string> tags = {};
};

// glob(include, exclude): the options of a config group that match.
struct Glob {
  std::vector<Scalar> include, exclude;
};

using ElementList = std::vector<Element>;
using ElementMap = std::vector<ElementEntry>;  // keys are primitives, unique, in order

struct Element {
  std::variant<std::monostate, bool, int64_t, double, std::string, QuotedString, ElementList, ElementMap, ChoiceSweep,
               RangeSweep, IntervalSweep, Glob>
      value;

  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(value);
  }
  template <typename T>
  const T& as() const {
    return std::get<T>(value);
  }
  bool is_null() const { return is<std::monostate>(); }
  bool is_sweep() const { return is<ChoiceSweep>() || is<RangeSweep>() || is<IntervalSweep>() || is<Glob>(); }
  // A string, quoted or not; null for anything else.
  const std::string* text() const;
};

struct ElementEntry {
  Element first, second;
};

enum class OverrideType { kChange, kAdd, kForceAdd, kDelete };

enum class ValueType {
  kNone,  // a deletion without a value
  kElement,
  kChoiceSweep,
  kGlobChoiceSweep,
  kSimpleChoiceSweep,
  kRangeSweep,
  kIntervalSweep,
};

struct Override {
  OverrideType type = OverrideType::kChange;
  std::string key;                     // a dotted key or a group with slashes
  std::optional<std::string> package;  // what stands after '@'
  ValueType value_type = ValueType::kNone;
  Element value;     // null for kNone
  std::string word;  // as typed

  bool is_sweep() const { return value_type != ValueType::kNone && value_type != ValueType::kElement; }
  // hydra.… and hydra/…: settings of the run, not of the job.
  bool is_hydra() const;
  std::string key_element() const;  // "key" or "key@package", without the prefix
};

// The value written back as a word part, as in job names and sweeps: blanks and special characters escaped, quotes
// kept, booleans as Python writes them. Throws ConfigError for sweeps.
std::string value_text(const Element& element);

// Backslashes before \ ( ) [ ] { } : = , blank and tab.
std::string escape_special_characters(std::string_view text);

// The value as a node, every node with `origin`. Throws ConfigError KeyValidationError for a null key of a map and
// for sweeps inside values.
Node to_node(const Element& element, Origin origin);

// An Origin that names the command line word.
Origin command_line_origin(std::string_view word);

// "int", "str", "list" … as messages name types.
std::string_view element_type_name(const Element& element);

}  // namespace fathom::config
