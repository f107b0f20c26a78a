#include "core/config/json.h"

#include <cmath>

#include "core/base/json_object.h"
#include "core/config/errors.h"
#include "core/config/printer.h"

namespace fathom::config {

nlohmann::ordered_json to_json(const Node& node) {
  using Json = nlohmann::ordered_json;
  if (node.is_list()) {
    Json list = Json::array();
    for (const auto& item : node.items()) list.push_back(to_json(item));
    return list;
  }
  if (node.is_map()) {
    JsonObject map;
    for (const auto& [key, value] : node.entries()) map.set(key.text(), to_json(value));
    return map.take();
  }
  return std::visit(
      [](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, Bytes>) {
          return v.data;
        } else if constexpr (std::is_same_v<T, EnumMember>) {
          return v.name;
        } else if constexpr (std::is_same_v<T, double>) {
          if (std::isfinite(v)) return v;
          return std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf";
        } else {
          return v;
        }
      },
      node.value());
}

Node from_json(const nlohmann::ordered_json& json, Origin origin) {
  if (json.is_array()) {
    Node list = Node::list(origin);
    for (const auto& item : json) list.append(from_json(item, origin));
    return list;
  }
  if (json.is_object()) {
    Node map = Node::map(origin);
    for (const auto& [key, value] : json.items()) map.set(key, from_json(value, origin));
    return map;
  }
  if (json.is_boolean()) return Node::scalar(json.get<bool>(), origin);
  if (json.is_number_unsigned() && json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    throw ConfigError("ValueError", "integer " + json_text(json) + " does not fit in 64 bits").with_where(origin);
  }
  if (json.is_number_integer()) return Node::scalar(json.get<int64_t>(), origin);
  if (json.is_number_float()) return Node::scalar(json.get<double>(), origin);
  if (json.is_string()) return Node::scalar(json.get<std::string>(), origin);
  return Node::scalar(std::monostate{}, origin);
}

}  // namespace fathom::config
