// Neural types as authors write them: NeuralType{"B D T", SpectrogramType{}}.
//
// Axes are short names separated by blanks: B batch, T time, D dimension (C channel), W width, H height, S singleton,
// ANY, SEQ; "" is a scalar; std::nullopt matches any shape. Element types are named; a plugin adds its own with
// Registry::element_type. Types are interned by the host: equal types of two plugins are the same id.
#pragma once

#include <initializer_list>
#include <optional>

#include "fathom/abi/value.h"
#include "fathom/support.h"

namespace fathom {

struct ElementType {
  std::string name;
  Json params = Json::object();
};

#define FATHOM_ELEMENT_TYPE(NAME)                  \
  struct NAME : ElementType {                      \
    NAME() : ElementType{#NAME, Json::object()} {} \
  }
FATHOM_ELEMENT_TYPE(VoidType);
FATHOM_ELEMENT_TYPE(LogitsType);
FATHOM_ELEMENT_TYPE(ProbsType);
FATHOM_ELEMENT_TYPE(LogprobsType);
FATHOM_ELEMENT_TYPE(LengthsType);
FATHOM_ELEMENT_TYPE(LossType);
FATHOM_ELEMENT_TYPE(BoolType);
FATHOM_ELEMENT_TYPE(FloatType);
FATHOM_ELEMENT_TYPE(ChannelType);
FATHOM_ELEMENT_TYPE(EmbeddedTextType);
FATHOM_ELEMENT_TYPE(EncodedRepresentation);
FATHOM_ELEMENT_TYPE(AcousticEncodedRepresentation);
FATHOM_ELEMENT_TYPE(SpectrogramType);
FATHOM_ELEMENT_TYPE(MelSpectrogramType);
FATHOM_ELEMENT_TYPE(MFCCSpectrogramType);
FATHOM_ELEMENT_TYPE(LabelsType);
FATHOM_ELEMENT_TYPE(HypothesisType);
FATHOM_ELEMENT_TYPE(PredictionsType);
FATHOM_ELEMENT_TYPE(RegressionValuesType);
FATHOM_ELEMENT_TYPE(CategoricalValuesType);
FATHOM_ELEMENT_TYPE(MaskType);
FATHOM_ELEMENT_TYPE(Index);
FATHOM_ELEMENT_TYPE(Target);
FATHOM_ELEMENT_TYPE(ClassificationTarget);
FATHOM_ELEMENT_TYPE(StringType);
FATHOM_ELEMENT_TYPE(StringLabel);
FATHOM_ELEMENT_TYPE(IntType);
FATHOM_ELEMENT_TYPE(TokenIndex);
FATHOM_ELEMENT_TYPE(Length);
#undef FATHOM_ELEMENT_TYPE

struct AudioSignal : ElementType {
  explicit AudioSignal(std::optional<int64_t> freq = std::nullopt)
      : ElementType{"AudioSignal", Json{{"freq", freq ? Json(*freq) : Json(nullptr)}}} {}
};

class NeuralType {
 public:
  NeuralType(std::optional<std::string_view> axes, const ElementType& elements) {
    Json json = Json::object();
    if (axes) {
      json["axes"] = Json::array();
      std::string axis;
      for (const char c : std::string(*axes) + " ") {
        if (c != ' ')
          axis += c;
        else if (!axis.empty())
          json["axes"].push_back(std::exchange(axis, ""));
      }
    } else {
      json["axes"] = nullptr;
    }
    json["elements"] = elements.name;
    if (!elements.params.empty()) json["params"] = elements.params;
    json_ = json_text(json);
  }
  const std::string& json() const { return json_; }
  fathom_type_id id() const {
    fathom_type_id id = 0;
    check(host_function(&fathom_host::intern_type)(to_abi(json_), &id));
    return id;
  }

 private:
  std::string json_;
};

// A port: name, type, and how it may vary. {"length", {"B", LengthsType{}}}
struct Port {
  Port(std::string n, NeuralType t, bool is_optional = false, uint32_t lists = 0)
      : name(std::move(n)), type(std::move(t)), optional(is_optional), list_depth(lists) {}
  std::string name;
  NeuralType type;
  bool optional;        // may be left out
  uint32_t list_depth;  // 1: a list of values of this type
};
using Ports = std::vector<Port>;

inline Json ports_json(const Ports& ports) {
  Json out = Json::array();
  for (const auto& port : ports) {
    Json entry = {{"name", port.name}, {"type", parse_text(port.type.json())}};
    if (port.optional) entry["optional"] = true;
    if (port.list_depth > 0) entry["list_depth"] = port.list_depth;
    out.push_back(std::move(entry));
  }
  return out;
}

// Declared ports in the boundary's form, types interned once.
class PortTable {
 public:
  PortTable() = default;
  // `producer`: the component these are outputs of, so that messages can say where a value came from.
  explicit PortTable(const Ports& ports, std::string_view producer = {}) {
    for (const auto& port : ports) names_.push_back(port.name);
    for (size_t i = 0; i < ports.size(); ++i) {
      uint32_t source = 0;
      if (!producer.empty())
        check(host_function(&fathom_host::intern_source)(to_abi(producer), to_abi(names_[i]), &source));
      table_.push_back(
          {to_abi(names_[i]), ports[i].type.id(), ports[i].optional ? 1u : 0u, ports[i].list_depth, source});
    }
  }
  PortTable(const PortTable&) = delete;
  PortTable& operator=(const PortTable&) = delete;
  PortTable(PortTable&&) = default;
  PortTable& operator=(PortTable&&) = default;
  // Valid as long as this table, also when it moves.
  fathom_ports abi() const { return array_of<fathom_ports>(table_.data(), table_.size()); }
  size_t size() const { return table_.size(); }
  const fathom_port* find(std::string_view name) const {
    for (const auto& port : table_) {
      if (to_view(port.name) == name) return &port;
    }
    return nullptr;
  }

 private:
  std::vector<std::string> names_;  // short strings live inside: filled before any view is taken, never changed after
  std::vector<fathom_port> table_;
};

// What crossed, as a list.
inline std::vector<fathom_port> port_list(const fathom_ports& ports) {
  const ArrayView<fathom_ports> view(ports);
  std::vector<fathom_port> out;
  for (size_t i = 0; i < view.size(); ++i) out.push_back(view[i]);
  return out;
}

}  // namespace fathom
