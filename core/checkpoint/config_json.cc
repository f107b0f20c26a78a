#include "core/checkpoint/config_json.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <cmath>
#include <limits>
#include <regex>

#include "core/base/text.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxNodes = 2'000'000;

bool is_one_of(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (text == word) return true;
  }
  return false;
}

// YAML 1.1 as PyYAML resolves it, with OmegaConf's change that 1e3 is a number.
Json plain_scalar(const std::string& text) {
  static const std::regex kDecimal("[-+]?(0|[1-9][0-9_]*)"), kHex("[-+]?0x[0-9a-fA-F_]+"), kOctal("[-+]?0[0-7_]+"),
      kBinary("[-+]?0b[01_]+"),
      kFloat("[-+]?([0-9][0-9_]*\\.[0-9_]*|\\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?"),
      kInfinite("[-+]?\\.(inf|Inf|INF)"), kNan("\\.(nan|NaN|NAN)");
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})) return true;
  if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})) return false;
  if (text.size() > 64) return text;
  if (std::regex_match(text, kInfinite)) return text[0] == '-' ? "-inf" : "inf";
  if (std::regex_match(text, kNan)) return "nan";
  std::string digits;
  for (const char c : text) {
    if (c != '_') digits += c;
  }
  auto integer = [&](int base, size_t prefix) -> Json {
    const bool negative = digits[0] == '-';
    const size_t from = (negative || digits[0] == '+' ? 1 : 0) + prefix;
    errno = 0;
    const long long value = std::strtoll(((negative ? "-" : "") + digits.substr(from)).c_str(), nullptr, base);
    return errno == ERANGE ? Json(text) : Json(value);
  };
  if (std::regex_match(text, kDecimal)) return integer(10, 0);
  if (std::regex_match(text, kHex)) return integer(16, 2);
  if (std::regex_match(text, kBinary)) return integer(2, 2);
  if (std::regex_match(text, kOctal)) return integer(8, 1);
  if (std::regex_match(text, kFloat)) {
    const double value = std::strtod(digits.c_str(), nullptr);
    return std::isfinite(value) ? Json(value) : Json(value < 0 ? "-inf" : "inf");
  }
  return text;
}

Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (!is_valid_utf8(text)) throw Error(Code::kBadData, "a text of the configuration is not UTF-8");
  return node.Tag() == "?" || node.Tag().empty() ? plain_scalar(text) : Json(text);
}

Json convert(const YAML::Node& node, size_t& count) {
  if (++count > kMaxNodes) throw Error(Code::kBadData, "the configuration is absurdly large");
  switch (node.Type()) {
    case YAML::NodeType::Sequence: {
      Json out = Json::array();
      for (const auto& item : node) out.push_back(convert(item, count));
      return out;
    }
    case YAML::NodeType::Map: {
      Json out = Json::object();
      for (const auto& item : node) {
        if (!item.first.IsScalar()) throw Error(Code::kBadData, "a key of the configuration is no scalar");
        if (!is_valid_utf8(item.first.Scalar())) throw Error(Code::kBadData, "a key of the configuration is not UTF-8");
        out[item.first.Scalar()] = convert(item.second, count);
      }
      return out;
    }
    case YAML::NodeType::Scalar: return scalar(node);
    default: return nullptr;
  }
}

}  // namespace

Json yaml_to_json(const std::string& text, const std::string& source) {
  try {
    size_t count = 0;
    return convert(YAML::Load(text), count);
  } catch (const YAML::Exception& error) {
    throw Error(Code::kBadData, "not readable as YAML: " + error.msg).at(source, error.mark.line + 1);
  } catch (Error& error) {
    error.locate(source);
    throw;
  }
}

}  // namespace fathom::checkpoint
