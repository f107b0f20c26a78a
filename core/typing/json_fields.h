// Reading small JSON objects of this folder with errors that say which field was wrong. Not for use outside
// core/typing. `what` names the object ("neural type"), `where` goes into the error's "at".
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/text.h"
#include "core/typing/param.h"
#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::typing {

// For messages: at most 200 bytes of JSON text, never throwing on bad UTF-8.
inline std::string shown(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > 200) text = text.substr(0, 200) + "…";
  return text;
}

[[noreturn]] inline void bad_field(std::string_view key, const nlohmann::json& value, std::string_view expected,
                                   std::string_view what, std::string_view where) {
  throw Error(Code::kBadData, "'" + std::string(key) + "' of " + std::string(what) + " is wrong")
      .at(std::string(where))
      .seen(shown(value))
      .expected(std::string(expected));
}

inline nlohmann::json parse_json(std::string_view text, std::string_view what, std::string_view where) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& problem) {
    throw Error(Code::kBadData, std::string(what) + " is not JSON: " + problem.what())
        .at(std::string(where))
        .seen(std::string(text.substr(0, 200)));
  }
}

inline nlohmann::json parse_json_object(std::string_view text, std::string_view what, std::string_view where) {
  nlohmann::json body = parse_json(text, what, where);
  if (!body.is_object()) {
    throw Error(Code::kBadData, std::string(what) + " must be a JSON object").at(std::string(where)).seen(shown(body));
  }
  return body;
}

inline void refuse_unknown_keys(const nlohmann::json& body, std::initializer_list<const char*> known,
                                std::string_view what, std::string_view where) {
  for (const auto& [key, value] : body.items()) {
    bool found = false;
    for (const char* name : known) found = found || key == name;
    if (found) continue;
    const std::vector<std::string> names(known.begin(), known.end());
    throw Error(Code::kBadData, std::string(what) + " has no key '" + key + "'")
        .at(std::string(where))
        .expected(join(names, ", "))
        .candidates(nearest_names(key, names));
  }
}

inline std::string json_text(const nlohmann::json& body, const char* key, std::string_view what,
                             std::string_view where) {
  const auto it = body.find(key);
  if (it == body.end()) bad_field(key, body, "it must be given", what, where);
  if (!it->is_string()) bad_field(key, *it, "text", what, where);
  return it->get<std::string>();
}

inline bool json_flag(const nlohmann::json& body, const char* key, std::string_view what, std::string_view where) {
  const auto it = body.find(key);
  if (it == body.end()) return false;
  if (!it->is_boolean()) bad_field(key, *it, "true or false", what, where);
  return it->get<bool>();
}

inline Params json_params(const nlohmann::json& body, std::string_view where) {
  Params params;
  if (body.is_null()) return params;
  if (!body.is_object()) bad_field("params", body, "an object of names and values", "element type", where);
  for (const auto& [name, value] : body.items()) {
    ParamValue param;
    if (value.is_boolean()) {
      param = value.get<bool>();
    } else if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
      bad_field(name, value, "an integer below 2^63", "params", where);
    } else if (value.is_number_integer()) {
      param = value.get<int64_t>();
    } else if (value.is_number_float()) {
      param = value.get<double>();
    } else if (value.is_string()) {
      param = value.get<std::string>();
    } else if (!value.is_null()) {
      bad_field(name, value, "null, true, false, a number or text", "params", where);
    }
    set_param(params, name, std::move(param));
  }
  return params;
}

}  // namespace fathom::typing
