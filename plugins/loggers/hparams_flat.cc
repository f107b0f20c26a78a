#include "plugins/loggers/hparams_flat.h"

#include <algorithm>

#include "plugins/loggers/number_text.h"

namespace fathom::loggers {
namespace {

// Python's repr: what str() shows inside of lists and dicts.
std::string python_repr(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
    std::string out(1, quote);
    for (const char c : text) {
      switch (c) {
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\\': out += "\\\\"; break;
        default:
          if (c == quote) out += '\\';
          out += c;
      }
    }
    return out + quote;
  }
  if (value.is_array()) {
    std::string out = "[";
    for (size_t i = 0; i < value.size(); ++i) out += (i == 0 ? "" : ", ") + python_repr(value[i]);
    return out + "]";
  }
  if (value.is_object()) {
    std::string out = "{";
    for (const auto& [key, item] : value.items())
      out += (out.size() == 1 ? "" : ", ") + python_repr(Json(key)) + ": " + python_repr(item);
    return out + "}";
  }
  return python_str(value);
}

void flatten(const Json& section, const std::string& prefix, std::vector<std::pair<std::string, std::string>>& out) {
  const auto is_section = [](const Json& item) { return item.is_object(); };
  for (const auto& [key, value] : section.items()) {
    const std::string path = prefix.empty() ? key : prefix + "/" + key;
    if (value.is_object()) {
      flatten(value, path, out);
    } else if (value.is_array() && std::all_of(value.begin(), value.end(), is_section)) {
      for (size_t i = 0; i < value.size(); ++i) flatten(value[i], path + "/" + std::to_string(i), out);
    } else {
      out.emplace_back(path, python_str(value));
    }
  }
}

}  // namespace

std::string python_str(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_number_float()) {
    std::string out;
    append_float(out, value.get<double>());
    return out;
  }
  if (value.is_structured()) return python_repr(value);
  return json_text(value);
}

std::vector<std::pair<std::string, std::string>> flat_hparams(const Json& config) {
  std::vector<std::pair<std::string, std::string>> out;
  if (config.is_object()) flatten(config, "", out);
  return out;
}

}  // namespace fathom::loggers
