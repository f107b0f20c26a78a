// Declared ports of a component with their names owned, in the boundary's form for the checks; read from and written to
// JSON (plugin descriptions, `describe` output).
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/typing/neural_type.h"
#include "fathom/abi/value.h"

namespace fathom::typing {

struct Port {
  std::string name;
  TypeId type = kNoType;
  uint32_t list_depth = 0;  // lists around each value
  bool optional = false;    // may be left out
};

// A neural type wrapped in one-element lists as NeMo declares containers: TYPE, [TYPE], [[TYPE]].
// Throws PortError(kContainerDeclaration) for a list of another length, Error(kBadData) for a malformed type.
Port port_from_declaration(std::string name, const nlohmann::json& declaration);

// Not changed after construction: view() may be used from any thread, for as long as the list (or what it was moved to)
// lives.
class PortList {
 public:
  PortList() = default;
  // Throws Error(kBadData) when two ports have one name or a name is empty.
  explicit PortList(std::vector<Port> ports);
  // [{"name", "type": TYPE | [TYPE] | …, "optional"?, "list_depth"?}, …]
  static PortList from_json(const nlohmann::json& json);
  nlohmann::json to_json() const;

  const std::vector<Port>& ports() const { return *ports_; }
  std::span<const fathom_port> view() const { return table_; }
  const Port* find(std::string_view name) const;  // null when there is none

 private:
  std::unique_ptr<const std::vector<Port>> ports_ = std::make_unique<const std::vector<Port>>();
  std::vector<fathom_port> table_;  // names point into *ports_
};

}  // namespace fathom::typing
