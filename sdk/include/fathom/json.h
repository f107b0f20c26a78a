// JSON and its text. nlohmann's parser and serializer take seconds to compile, so a binary has them once: a plugin
// where FATHOM_PLUGIN stands, the host in core/base/json.cc; any other program says FATHOM_JSON_TEXT in one of its
// sources.
//
// What nlohmann asserts (a key read through a const object's [] that is not there, …) is a std::logic_error here, in
// every build: a wrong file must not end a program, nor read memory that is not its own.
#pragma once

#include <stdexcept>
#include <string>

namespace fathom::json_detail {
[[noreturn]] inline void misused(const char* condition) {
  throw std::logic_error(std::string("JSON was read that is not there (") + condition + ")");
}
}  // namespace fathom::json_detail
#ifndef JSON_ASSERT
#define JSON_ASSERT(condition) ((condition) ? static_cast<void>(0) : ::fathom::json_detail::misused(#condition))
#endif

#include <nlohmann/json.hpp>
#include <string_view>

namespace fathom {

using Json = nlohmann::ordered_json;  // keys in the order they were given

namespace json_detail {

template <typename J>
struct Text {
  static std::string write(const J& json, int indent);
  static J read(std::string_view text);
};
template <typename J>
std::string Text<J>::write(const J& json, int indent) {
  return json.dump(indent);
}
template <typename J>
J Text<J>::read(std::string_view text) {
  return J::parse(text.begin(), text.end());
}
extern template struct Text<Json>;
extern template struct Text<nlohmann::json>;

}  // namespace json_detail

// On one line, or indented by so many spaces. Throws nlohmann::json::type_error for text that is not UTF-8.
inline std::string json_text(const Json& json, int indent = -1) { return json_detail::Text<Json>::write(json, indent); }
inline std::string json_text(const nlohmann::json& json, int indent = -1) {
  return json_detail::Text<nlohmann::json>::write(json, indent);
}
// Throws nlohmann::json::parse_error.
inline Json parse_text(std::string_view text) { return json_detail::Text<Json>::read(text); }

}  // namespace fathom

#define FATHOM_JSON_TEXT                                       \
  template struct ::fathom::json_detail::Text<::fathom::Json>; \
  template struct ::fathom::json_detail::Text<::nlohmann::json>
