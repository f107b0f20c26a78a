// Element types: what the numbers of a tensor are. A tree of named classes, some with parameters (AudioSignal(freq)).
// The built-in tree is NeMo's (nemo.core.neural_types.elements); plugins add to it by name.
// All functions may be called from any thread; classes live until the process ends.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/typing/comparison.h"
#include "core/typing/param.h"

namespace fathom::typing {

struct ElementClass {
  std::string name;
  const ElementClass* parent = nullptr;  // null only for ElementType, the root
  Params defaults;                       // parameters with their defaults, the ancestors' included
  std::optional<std::vector<std::string>>
      fields;                // names of the parts of a structured element; inherited when not given
  bool open_params = false;  // takes parameters it does not declare
  std::string doc;
  std::string provider;  // who registered it: a plugin's name, "nemo" for the built-in tree

  // Whether this is `other` or one of its descendants.
  bool is_a(const ElementClass& other) const {
    for (const ElementClass* at = this; at != nullptr; at = at->parent) {
      if (at == &other) return true;
    }
    return false;
  }
};

// What a plugin says about an element type it adds.
struct ElementTypeDefinition {
  std::string name;
  std::string parent = "ElementType";
  Params params = {};  // its own, with defaults
  std::optional<std::vector<std::string>> fields = std::nullopt;
  bool open_params = false;
  std::string doc = {};
};

// Adds an element type. The same definition again is the same class; another definition under a known name throws
// Error(kFailed) naming both providers; an unknown parent throws Error(kFailed) with candidates.
const ElementClass& register_element_type(const ElementTypeDefinition& definition, std::string_view provider);
// The same from JSON: {"name", "parent"?, "params"?: {name: default}, "fields"?: [name…], "open_params"?, "doc"?}.
const ElementClass& register_element_type_json(std::string_view json, std::string_view provider);

const ElementClass* find_element_class(std::string_view name);  // null when unknown
const ElementClass& element_class(std::string_view name);       // throws Error(kBadData) with candidates
std::vector<const ElementClass*> element_classes();             // in the order of registration

// An element type with its parameters filled in.
struct ElementType {
  const ElementClass* cls = nullptr;
  Params params;

  // The class name with the parameters that are not None: "AudioSignal(freq=16000)".
  std::string text() const;
};

// Throws Error(kBadData) for an unknown class or a parameter it does not have.
ElementType make_element(std::string_view name, const Params& params = {});

// NeMo's ElementType.compare: `first` is the declared type, `second` the value's.
Comparison compare(const ElementType& first, const ElementType& second);

}  // namespace fathom::typing
