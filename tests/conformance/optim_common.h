// What the suites of optimizers and schedulers share: recorded numbers, comparison of options, of registry records.
#pragma once

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "core/planning/config_params.h"
#include "core/plugins/registry.h"
#include "fathom/json.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance::optim {

using nlohmann::json;

inline Json ordered(const json& value) { return parse_text(json_text(value)); }

// A recorded number; NaN and the infinities are texts or {"$float": text}.
inline std::optional<double> number(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  const json& text = value.is_object() && value.contains("$float") ? value["$float"] : value;
  if (text == "nan" || text == "NaN") return std::nan("");
  if (text == "inf" || text == "Infinity") return INFINITY;
  if (text == "-inf" || text == "-Infinity") return -INFINITY;
  if (value.is_object() && value.contains("data") && value["data"].size() == 1)
    return number(value["data"][0]);  // a 0-dim tensor
  return std::nullopt;
}

inline bool close(double a, double b, double absolute, double relative) {
  if (std::isnan(b)) return std::isnan(a);
  if (std::isinf(b)) return a == b;
  return std::abs(a - b) <= absolute * std::max(1.0, std::abs(b)) || std::abs(a - b) <= relative * std::abs(b);
}

inline std::string shown(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

// Whether `body` throws an Error; its text goes to `text`.
template <typename Body>
bool fails(Body&& body, std::string& text) {
  try {
    body();
    return false;
  } catch (const Error& error) {
    text = error.what();
    return true;
  }
}

struct Tolerance {
  double absolute, relative;
};

inline std::string compare_option(const json& got, const json& expected, Tolerance tolerance) {
  if (const auto b = number(expected)) {
    const auto a = number(got);
    if (expected.is_boolean() != got.is_boolean()) return "expected " + json_text(expected) + ", got " + json_text(got);
    return a && close(*a, *b, tolerance.absolute, tolerance.absolute)
               ? ""
               : "expected " + json_text(expected) + ", got " + json_text(got);
  }
  if (expected.is_array() && got.is_array() && expected.size() == got.size()) {
    for (size_t i = 0; i < expected.size(); ++i) {
      if (const std::string error = compare_option(got[i], expected[i], tolerance); !error.empty()) return error;
    }
    return "";
  }
  return expected == got ? "" : "expected " + json_text(expected) + ", got " + json_text(got);
}

// Recorded lists are texts where the recorder met a config list.
inline std::string compare_fields(const json& got, const json& expected) {
  if (got.size() != expected.size()) return "expected " + json_text(expected) + ", got " + json_text(got);
  for (const auto& [key, value] : expected.items()) {
    if (!got.contains(key)) return "there is no '" + key + "'";
    if (value.is_string() && got[key].is_array()) {
      const json list = json::parse(value.get<std::string>(), nullptr, false);
      if (!list.is_discarded() && compare_option(got[key], list, {0, 0}).empty()) continue;
    }
    if (value == "<mandatory>" && got[key] == "???") continue;
    const std::string error = compare_option(got[key], value, {0, 0});
    if (!error.empty()) return "'" + key + "': " + error;
  }
  return "";
}

inline Outcome compare_params(const Case& c, const std::vector<training::ParamsClass>& list, const char* kind) {
  const training::ParamsClass& params = training::find_params(list, c.body.at("params_name"), kind);
  if (c.body.at("class") != params.class_name)
    return fail("expected class " + json_text(c.body["class"]) + ", got " + params.class_name);
  const std::string error = compare_fields(json::parse(json_text(params.fields)), c.body.at("fields"));
  return error.empty() ? pass() : fail(error);
}

inline Outcome run_lookup(const Case& c, uint32_t kind) {
  const bool expected = !c.body.contains("error"),
             found = plugins::registry().contains(kind, c.body.at("lookup").get<std::string>());
  if (expected == found) return pass();
  return fail(expected ? "expected to be found" : "expected not to be found");
}

}  // namespace fathom::conformance::optim
