#include "core/typing/param.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fathom::typing {
namespace {

bool is_number(const ParamValue& value) {
  return std::holds_alternative<bool>(value) || std::holds_alternative<int64_t>(value) ||
         std::holds_alternative<double>(value);
}

int64_t as_integer(const ParamValue& value) {
  if (const bool* truth = std::get_if<bool>(&value)) return *truth ? 1 : 0;
  return std::get<int64_t>(value);
}

// Exact: a double that is no 64-bit integer equals none, so 2^53 + 1 does not equal 2^53 as it would after conversion.
bool equals_integer(double real, int64_t integer) {
  if (!(real >= -0x1p63 && real < 0x1p63) || std::trunc(real) != real) return false;
  return static_cast<int64_t>(real) == integer;
}

auto position(Params& params, std::string_view name) {
  return std::lower_bound(params.begin(), params.end(), name,
                          [](const auto& entry, std::string_view key) { return entry.first < key; });
}

}  // namespace

bool params_equal(const ParamValue& a, const ParamValue& b) {
  if (!is_number(a) || !is_number(b)) return a == b;
  const double* real_a = std::get_if<double>(&a);
  const double* real_b = std::get_if<double>(&b);
  if (real_a != nullptr && real_b != nullptr) return *real_a == *real_b;
  if (real_a != nullptr) return equals_integer(*real_a, as_integer(b));
  if (real_b != nullptr) return equals_integer(*real_b, as_integer(a));
  return as_integer(a) == as_integer(b);
}

std::string param_repr(const ParamValue& value) {
  if (const bool* truth = std::get_if<bool>(&value)) return *truth ? "True" : "False";
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const double* real = std::get_if<double>(&value)) {
    std::string text = fmt::format("{}", *real);
    if (std::isfinite(*real) && text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    std::string out = "'";
    for (const char c : *text) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    return out + "'";
  }
  return "None";
}

const ParamValue* find_param(const Params& params, std::string_view name) {
  const auto it = position(const_cast<Params&>(params), name);
  return it != params.end() && it->first == name ? &it->second : nullptr;
}

void set_param(Params& params, std::string_view name, ParamValue value) {
  const auto it = position(params, name);
  if (it != params.end() && it->first == name) {
    it->second = std::move(value);
  } else {
    params.emplace(it, std::string(name), std::move(value));
  }
}

}  // namespace fathom::typing
