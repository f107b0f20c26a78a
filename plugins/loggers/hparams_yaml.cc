#include "plugins/loggers/hparams_yaml.h"

#include <cctype>
#include <set>

namespace fathom::loggers {
namespace {

// Text that a YAML 1.1 reader takes for nothing but text needs no quotes.
bool is_plain(const std::string& text) {
  static const std::set<std::string> kWords = {"null", "true", "false", "yes", "no", "on",
                                               "off",  "y",    "n",     "inf", "nan"};
  if (text.empty() || (std::isalpha(static_cast<unsigned char>(text[0])) == 0 && text[0] != '_' && text[0] != '/'))
    return false;
  std::string lower;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) == 0 && std::string_view("_-./+ ").find(c) == std::string_view::npos) return false;
    lower += static_cast<char>(std::tolower(u));
  }
  return text.back() != ' ' && !kWords.contains(lower);
}

std::string scalar(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return is_plain(text) ? text : json_text(value);  // a JSON string is a double-quoted YAML scalar
  }
  if (value.is_number_float()) {
    // YAML 1.1 reads "1e-05" as text: a float needs its point.
    std::string text = json_text(value);
    if (const size_t e = text.find('e'); e != std::string::npos && text.find('.') == std::string::npos)
      text.insert(e, ".0");
    return text;
  }
  return json_text(value);
}

void write(const Json& value, int indent, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  const auto item = [&](const Json& child, const std::string& head) {
    out += pad + head;
    if (child.is_object() && !child.empty()) {
      out += "\n";
      write(child, indent + 2, out);
    } else if (child.is_array() && !child.empty()) {
      out += "\n";
      write(child, indent + (value.is_array() ? 2 : 0), out);
    } else {
      out += " " + scalar(child) + "\n";
    }
  };
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) item(child, (is_plain(key) ? key : json_text(Json(key))) + ":");
  } else if (value.is_array()) {
    for (const auto& child : value) item(child, "-");
  } else {
    out += pad + scalar(value) + "\n";
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  std::string out;
  if ((value.is_object() || value.is_array()) && value.empty()) return json_text(value) + "\n";
  write(value, 0, out);
  return out;
}

}  // namespace fathom::loggers
