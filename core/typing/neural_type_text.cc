// Reading the printed forms of neural types back:
//   NeuralType(axis=(batch, time:80), element_type=AudioSignal(freq=16000), optional=True)
//   axes: (batch, time); elements_type: AudioSignal
#include <charconv>

#include "core/base/text.h"
#include "core/typing/neural_type.h"
#include "fathom/error.h"

namespace fathom::typing {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : all_(text), rest_(text) { blanks(); }

  NeuralType read() {
    const bool repr = take("NeuralType(");
    need(repr ? "axis=" : "axes:");
    std::optional<std::vector<Axis>> axes = read_axes();
    need(repr ? "," : ";");
    need(repr ? "element_type=" : "elements_type:");
    const std::string name(word("an element type"));
    const Params params = read_params();
    bool optional = false;
    if (repr) {
      if (take(",")) {
        need("optional=");
        optional = take("True");
        if (!optional) need("False");
      }
      need(")");
    }
    if (!rest_.empty()) fail("the end");
    return make_neural_type(std::move(axes), make_element(name, params), optional);
  }

 private:
  std::optional<std::vector<Axis>> read_axes() {
    if (take("None")) return std::nullopt;
    need("(");
    std::vector<Axis> axes;
    while (!take(")")) {
      const size_t end = rest_.find_first_of(",)");
      if (end == std::string_view::npos) fail("',' or ')' after an axis");
      axes.push_back(parse_axis(rest_.substr(0, end)));
      rest_.remove_prefix(end);
      if (!take(",") && !rest_.starts_with(')')) fail("',' or ')'");
    }
    return axes;
  }

  Params read_params() {
    Params params;
    if (!take("(")) return params;
    while (!take(")")) {
      const std::string name(word("a parameter name"));
      need("=");
      set_param(params, name, read_value());
      if (!take(",") && !rest_.starts_with(')')) fail("',' or ')'");
    }
    return params;
  }

  ParamValue read_value() {
    if (take("'")) return read_quoted();
    const std::string_view token = rest_.substr(0, rest_.find_first_of(",) "));
    ParamValue value;
    if (token == "True" || token == "False") {
      value = token == "True";
    } else if (token != "None") {
      const char* const end = token.data() + token.size();
      int64_t integer = 0;
      double real = 0;
      if (const auto r = std::from_chars(token.data(), end, integer); r.ec == std::errc() && r.ptr == end) {
        value = integer;
      } else if (const auto d = std::from_chars(token.data(), end, real); d.ec == std::errc() && d.ptr == end) {
        value = real;
      } else {
        fail("None, True, False, a number or 'text'");
      }
    }
    rest_.remove_prefix(token.size());
    blanks();
    return value;
  }

  ParamValue read_quoted() {
    std::string out;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '\\' && i + 1 < rest_.size()) {
        out += rest_[++i];
      } else if (rest_[i] == '\'') {
        rest_.remove_prefix(i + 1);
        blanks();
        return out;
      } else {
        out += rest_[i];
      }
    }
    fail("a closing quote");
  }

  std::string_view word(const char* what) {
    const std::string_view found = rest_.substr(0, rest_.find_first_of("(),;=: "));
    if (found.empty()) fail(what);
    rest_.remove_prefix(found.size());
    blanks();
    return found;
  }

  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    // A quoted text keeps its leading blanks.
    if (token != "'") blanks();
    return true;
  }

  void need(std::string_view token) {
    if (!take(token)) fail("'" + std::string(token) + "'");
  }

  void blanks() {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw Error(Code::kBadData, "a neural type cannot be read from this text")
        .at("character " + std::to_string(all_.size() - rest_.size() + 1))
        .seen(std::string(all_.substr(0, 200)))
        .expected(expected);
  }

  std::string_view all_, rest_;
};

}  // namespace

NeuralType neural_type_from_text(std::string_view text) { return Reader(text).read(); }

}  // namespace fathom::typing
