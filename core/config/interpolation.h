// The grammar of interpolations: strings with ${key}, ${.relative}, ${resolver:arg,…}, nested and escaped ones.
//
//   text     := (interpolation | plain | '\${' | backslashes)*
//   node     := '${' '.'* key ('.' key | '[' key ']')* '}'
//   resolver := '${' name ':' (element (',' element?)*)? '}'      name := ID or interpolation, joined by dots
//
// Parsing only; evaluation.h evaluates. Thread-safe: no state. Throws ConfigError GrammarParseError with a caret under
// the place.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

struct Interpolation;
struct ArgumentEntry;

// Either literal text or an interpolation.
struct TextPart {
  std::string text;
  std::unique_ptr<Interpolation> interpolation;
};

// An argument of a resolver.
struct Argument {
  enum class Kind { kScalar, kText, kInterpolation, kList, kMap };
  Kind kind = Kind::kScalar;
  Scalar scalar;                       // kScalar
  std::vector<TextPart> parts;         // kText: joined to a string; kInterpolation: one part
  std::vector<Argument> items;         // kList
  std::vector<ArgumentEntry> entries;  // kMap
};

struct ArgumentEntry {
  Scalar first;
  Argument second;
};

struct Interpolation {
  bool is_resolver = false;
  std::vector<TextPart> name;  // the key's or resolver's name; parts that are interpolations must yield strings
  std::vector<Argument> arguments;
  int empty_arguments = 0;  // "${f:a,}": legal, each is "" and deserves a warning
};

// A whole value. One part that is an interpolation keeps the type of its result; otherwise the parts are joined.
std::vector<TextPart> parse_interpolation_text(std::string_view text);
// The grammar of one argument alone, as oc.decode takes it.
Argument parse_argument(std::string_view text);
// Throws when `text` is no value of the grammar.
void check_interpolation(std::string_view text);

}  // namespace fathom::config
