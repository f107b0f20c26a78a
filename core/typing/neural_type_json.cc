// The JSON form of neural types.
#include "core/typing/json_fields.h"
#include "core/typing/neural_type.h"
#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::typing {
namespace {

using nlohmann::json;

constexpr std::string_view kWhat = "neural type";

Axis axis_from_object(const json& body) {
  refuse_unknown_keys(body, {"kind", "size", "list"}, "axis", {});
  const AxisKind kind = axis_kind_from_label(json_text(body, "kind", "axis", {}));
  std::optional<int64_t> size;
  if (const auto it = body.find("size"); it != body.end() && !it->is_null()) {
    const bool fits = it->is_number_integer() && !(it->is_number_unsigned() && it->get<uint64_t>() > INT64_MAX);
    if (!fits) bad_field("size", *it, "a whole number", "axis", {});
    size = it->get<int64_t>();
  }
  return make_axis(kind, size, json_flag(body, "list", "axis", {}));
}

std::vector<Axis> axes_from_json(const json& body) {
  if (!body.is_array()) bad_field("axes", body, "a list of axes, or null for any shape", kWhat, {});
  bool labels = false, objects = false;
  for (const json& axis : body) {
    if (!axis.is_string() && !axis.is_object())
      bad_field("axes", body, "labels (\"B\") or objects ({\"kind\": \"B\"})", kWhat, {});
    (axis.is_string() ? labels : objects) = true;
  }
  if (labels && objects) {
    throw Error(Code::kBadData, "the axes of a neural type mix labels and full axes")
        .seen(shown(body))
        .expected("either all labels (\"B\") or all objects ({\"kind\": \"B\", \"size\": 64})");
  }
  std::vector<Axis> axes;
  for (const json& axis : body) {
    axes.push_back(labels ? Axis{axis_kind_from_label(axis.get<std::string>()), std::nullopt, false}
                          : axis_from_object(axis));
  }
  return axes;
}

json param_to_json(const ParamValue& value) {
  return std::visit(
      [](const auto& held) -> json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
          return nullptr;
        } else {
          return held;
        }
      },
      value);
}

}  // namespace

NeuralType neural_type_from_json(const json& body) {
  if (!body.is_object()) throw Error(Code::kBadData, "a neural type must be a JSON object").seen(shown(body));
  refuse_unknown_keys(body, {"axes", "elements", "params", "optional"}, kWhat, {});
  std::optional<std::vector<Axis>> axes;
  if (const auto it = body.find("axes"); it != body.end() && !it->is_null()) axes = axes_from_json(*it);
  std::string element = "VoidType";
  if (const auto it = body.find("elements"); it != body.end() && !it->is_null()) {
    if (!it->is_string()) bad_field("elements", *it, "the name of an element type", kWhat, {});
    element = it->get<std::string>();
  }
  Params params;
  if (const auto it = body.find("params"); it != body.end()) params = json_params(*it, element);
  return make_neural_type(std::move(axes), make_element(element, params), json_flag(body, "optional", kWhat, {}));
}

json neural_type_to_json(const NeuralType& type) {
  json out = json::object();
  if (type.axes) {
    bool labels = true;
    for (const Axis& axis : *type.axes) labels = labels && !axis.size && !axis.is_list;
    out["axes"] = json::array();
    for (const Axis& axis : *type.axes) {
      if (labels) {
        out["axes"].push_back(axis_kind_label(axis.kind));
        continue;
      }
      json entry = {{"kind", axis_kind_label(axis.kind)}};
      if (axis.size) entry["size"] = *axis.size;
      if (axis.is_list) entry["list"] = true;
      out["axes"].push_back(std::move(entry));
    }
  } else {
    out["axes"] = nullptr;
  }
  out["elements"] = type.elements.cls->name;
  for (const auto& [name, value] : type.elements.params) {
    const ParamValue* usual = find_param(type.elements.cls->defaults, name);
    if (usual == nullptr || *usual != value) out["params"][name] = param_to_json(value);
  }
  if (type.optional) out["optional"] = true;
  return out;
}

}  // namespace fathom::typing
