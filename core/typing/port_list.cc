#include "core/typing/port_list.h"

#include <set>

#include "core/typing/json_fields.h"
#include "core/typing/port_errors.h"
#include "fathom/json.h"

namespace fathom::typing {

Port port_from_declaration(std::string name, const nlohmann::json& declaration) {
  Port port{.name = std::move(name)};
  const nlohmann::json* inner = &declaration;
  while (inner->is_array()) {
    if (inner->size() != 1) throw declaration_error(port.name, shown(declaration));
    ++port.list_depth;
    inner = &inner->front();
  }
  const NeuralType type = neural_type_from_json(*inner);
  port.type = intern(type);
  port.optional = type.optional;
  return port;
}

PortList::PortList(std::vector<Port> ports) {
  std::set<std::string_view> seen;
  for (const Port& port : ports) {
    if (port.name.empty()) throw Error(Code::kBadData, "a port has no name");
    if (!seen.insert(port.name).second) throw Error(Code::kBadData, "two ports have the name '" + port.name + "'");
  }
  ports_ = std::make_unique<const std::vector<Port>>(std::move(ports));
  for (const Port& port : *ports_) {
    table_.push_back({{port.name.data(), port.name.size()}, port.type, port.optional ? 1u : 0u, port.list_depth, 0});
  }
}

PortList PortList::from_json(const nlohmann::json& body) {
  if (!body.is_array()) throw Error(Code::kBadData, "ports must be a JSON list").seen(shown(body));
  std::vector<Port> ports;
  for (const auto& entry : body) {
    if (!entry.is_object()) throw Error(Code::kBadData, "a port must be a JSON object").seen(shown(entry));
    refuse_unknown_keys(entry, {"name", "type", "optional", "list_depth"}, "port", {});
    const std::string name = json_text(entry, "name", "port", {});
    if (!entry.contains("type")) bad_field("type", entry, "a neural type", "port", name);
    Port port = port_from_declaration(name, entry["type"]);
    if (json_flag(entry, "optional", "port", name)) port.optional = true;
    if (const auto it = entry.find("list_depth"); it != entry.end()) {
      if (!it->is_number_unsigned() || it->get<uint64_t>() > 64) bad_field("list_depth", *it, "0 to 64", "port", name);
      port.list_depth += it->get<uint32_t>();
    }
    ports.push_back(std::move(port));
  }
  return PortList(std::move(ports));
}

nlohmann::json PortList::to_json() const {
  nlohmann::json out = nlohmann::json::array();
  for (const Port& port : *ports_) {
    nlohmann::json entry = {{"name", port.name}, {"type", neural_type_to_json(type_of(port.type))}};
    if (port.optional) entry["optional"] = true;
    if (port.list_depth > 0) entry["list_depth"] = port.list_depth;
    out.push_back(std::move(entry));
  }
  return out;
}

const Port* PortList::find(std::string_view name) const {
  for (const Port& port : *ports_) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

}  // namespace fathom::typing
