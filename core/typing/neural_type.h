// Neural types: axes and element type of what flows through a port, compared by NeMo's rules
// (nemo.core.neural_types.neural_type), interned to small numbers so that a check during a call costs nanoseconds.
//
//   const TypeId declared = intern_json(R"({"axes": ["B", "T"], "elements": "AudioSignal", "params": {"freq":
//   16000}})"); const TypeId value = intern({parse_axes("B T"), make_element("AudioSignal"), false});
//   accepted(compare(declared, value));   // true
//
// Everything here may be called from any thread. Interned types live until the process ends.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/typing/axis.h"
#include "core/typing/comparison.h"
#include "core/typing/element_type.h"

namespace fathom::typing {

struct NeuralType {
  std::optional<std::vector<Axis>> axes;  // none: any shape. Empty: a scalar.
  ElementType elements;
  bool optional = false;  // the port that declares it may be left out

  // Number of axes, -1 when the shape is not declared.
  int rank() const { return axes ? static_cast<int>(axes->size()) : -1; }

  // "axes: (batch, time); elements_type: AudioSignal", as NeMo prints it: parameters are not shown.
  std::string str() const;
  // "NeuralType(axis=(batch, time:80), element_type=AudioSignal, optional=True)", as NeMo's repr.
  std::string repr() const;
  // repr with the parameters ("element_type=AudioSignal(freq=16000)"): what neural_type_from_text reads back.
  std::string text() const;
};

// Checks the order of the axes and fills in VoidType when no element type is given. Throws Error(kBadData).
NeuralType make_neural_type(std::optional<std::vector<Axis>> axes, std::optional<ElementType> elements = std::nullopt,
                            bool optional = false);

// The JSON form that crosses the plugin boundary and stands in port tables:
//   {"axes": ["B", "D", "T"] | [{"kind": "B", "size": 64, "list": false}, …] | null, "elements": NAME | null,
//    "params": {"freq": 16000}, "optional": false}
// All keys may be left out. Labels and objects do not mix. Throws Error(kBadData) naming the wrong part.
NeuralType neural_type_from_json(const nlohmann::json& json);
// Labels where no axis has a size or is a list, objects otherwise; defaults are left out. Equal types give equal JSON.
nlohmann::json neural_type_to_json(const NeuralType& type);

// Reads what text(), repr() and str() print.
NeuralType neural_type_from_text(std::string_view text);

// NeMo's first.compare(second): `declared` is the port's type, `value` the type of what arrives. Computed anew.
Comparison compare(const NeuralType& declared, const NeuralType& value);

// ---- interned types

using TypeId = uint32_t;  // as fathom_type_id; 0 = no type
inline constexpr TypeId kNoType = 0;

// Equal types give equal ids.
TypeId intern(const NeuralType& type);
TypeId intern_json(std::string_view json);
// Throws Error(kInternal) for an id that was never given out. Lock-free.
const NeuralType& type_of(TypeId id);
// type_of(id).rank() without a throw: -1 also for kNoType and unknown ids. Lock-free.
int rank_of(TypeId id);

// The comparison through a lock-free cache: a few ns once the pair has been seen.
// kUnchecked when either side is kNoType. Throws Error(kInternal) for an unknown id.
Comparison compare(TypeId declared, TypeId value);

}  // namespace fathom::typing
