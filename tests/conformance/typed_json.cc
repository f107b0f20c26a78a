#include "tests/conformance/typed_json.h"

#include "core/config/python_text.h"

namespace fathom::conformance {

using config::Element;
using config::Node;
using config::Scalar;
using nlohmann::json;

json typed_json(const Scalar& scalar) {
  return std::visit(
      [](const auto& v) -> json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, double>) {
          return {{"t", "float"}, {"v", config::python_float_text(v)}};
        } else if constexpr (std::is_same_v<T, config::Bytes>) {
          constexpr char kHex[] = "0123456789abcdef";
          std::string hex;
          for (unsigned char c : v.data) {
            hex += kHex[c >> 4];
            hex += kHex[c & 15];
          }
          return {{"t", "bytes"}, {"hex", hex}};
        } else if constexpr (std::is_same_v<T, config::EnumMember>) {
          return {{"t", "enum"}, {"v", v.name}};
        } else {
          return v;
        }
      },
      scalar);
}

json typed_json(const Node& node) {
  if (node.is_scalar()) return typed_json(node.value());
  if (node.is_list()) {
    json list = json::array();
    for (const Node& item : node.items()) list.push_back(typed_json(item));
    return list;
  }
  json entries = json::array();
  for (const auto& [key, value] : node.entries()) {
    entries.push_back(json::array({typed_json(key.value), typed_json(value)}));
  }
  return {{"t", "map"}, {"v", entries}};
}

json typed_json(const Element& element) {
  return std::visit(
      [](const auto& v) -> json {
        using T = std::decay_t<decltype(v)>;
        auto scalars = [](const std::vector<Scalar>& values) {
          json list = json::array();
          for (const Scalar& s : values) list.push_back(typed_json(s));
          return list;
        };
        auto elements = [](const config::ElementList& values) {
          json list = json::array();
          for (const Element& e : values) list.push_back(typed_json(e));
          return list;
        };
        if constexpr (std::is_same_v<T, config::QuotedString>) {
          return {{"t", "quoted"}, {"q", std::string(1, v.quote)}, {"v", v.text}};
        } else if constexpr (std::is_same_v<T, config::ElementList>) {
          return elements(v);
        } else if constexpr (std::is_same_v<T, config::ElementMap>) {
          json entries = json::array();
          for (const auto& [key, value] : v) entries.push_back(json::array({typed_json(key), typed_json(value)}));
          return {{"t", "map"}, {"v", entries}};
        } else if constexpr (std::is_same_v<T, config::ChoiceSweep>) {
          return {{"t", "choice_sweep"},
                  {"list", elements(v.list)},
                  {"simple", v.simple_form},
                  {"shuffle", v.shuffle},
                  {"tags", v.tags}};
        } else if constexpr (std::is_same_v<T, config::RangeSweep>) {
          return {{"t", "range_sweep"},         {"start", typed_json(v.start)}, {"stop", typed_json(v.stop)},
                  {"step", typed_json(v.step)}, {"shuffle", v.shuffle},         {"tags", v.tags}};
        } else if constexpr (std::is_same_v<T, config::IntervalSweep>) {
          return {
              {"t", "interval_sweep"}, {"start", typed_json(v.start)}, {"end", typed_json(v.end)}, {"tags", v.tags}};
        } else if constexpr (std::is_same_v<T, config::Glob>) {
          return {{"t", "glob"}, {"include", scalars(v.include)}, {"exclude", scalars(v.exclude)}};
        } else {
          return typed_json(Scalar(v));
        }
      },
      element.value);
}

bool has_bigint(const json& value) {
  if (value.is_object() && value.value("t", json()) == "bigint") return true;
  if (!value.is_structured()) return false;
  for (const json& item : value) {
    if (has_bigint(item)) return true;
  }
  return false;
}

std::string difference(const json& expected, const json& got) {
  std::string a = expected.is_string() ? expected.get<std::string>() : json_text(expected);
  std::string b = got.is_string() ? got.get<std::string>() : json_text(got);
  // What is the same in front is cut, so that the difference is in sight.
  size_t same = 0;
  while (same < a.size() && same < b.size() && a[same] == b[same]) ++same;
  const size_t from = same > 60 ? same - 60 : 0;
  auto part = [from](const std::string& text) {
    std::string cut = text.substr(std::min(from, text.size()), 400);
    return (from > 0 ? "…" : "") + cut;
  };
  return "expected " + part(a) + ", got " + part(b);
}

}  // namespace fathom::conformance
