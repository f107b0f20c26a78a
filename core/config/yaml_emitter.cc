#include "core/config/yaml_emitter.h"

#include <cmath>
#include <optional>

#include "core/config/base64.h"
#include "core/config/errors.h"
#include "core/config/python_text.h"
#include "core/config/yaml_loader.h"
#include "fathom/utf8.h"

namespace fathom::config {
namespace {

constexpr int kBestWidth = 80;
constexpr int kIndent = 2;
constexpr size_t kLongestSimpleKey = 128;  // with its tag

bool is_break(char32_t c) { return c == U'\n' || c == 0x85 || c == 0x2028 || c == 0x2029; }
bool is_blank(char32_t c) { return c == 0 || c == U' ' || c == U'\t' || c == U'\r' || is_break(c); }
bool is_printable(char32_t c) {
  return c == U'\n' || (c >= 0x20 && c <= 0x7E) || c == 0x85 || (c >= 0xA0 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || (c >= 0x10000 && c < 0x10FFFF);
}

std::u32string decode(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    char32_t code = 0xFFFD;
    const size_t length = utf8::decode(text, i, &code);
    if (length == 0) code = 0xFFFD;
    out += code;
    i += length == 0 ? 1 : length;
  }
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// digits{low,high} at `i`; moves `i`.
bool take_digits(std::string_view text, size_t* i, size_t low, size_t high) {
  size_t count = 0;
  while (*i < text.size() && is_digit(text[*i]) && count < high) {
    ++*i;
    ++count;
  }
  return count >= low;
}

bool is_timestamp(std::string_view text) {
  size_t i = 0;
  const auto take = [&](char c) { return i < text.size() && text[i] == c && ++i; };
  const auto blanks = [&] {
    const size_t start = i;
    while (i < text.size() && (text[i] == ' ' || text[i] == '\t')) ++i;
    return i > start;
  };
  if (!take_digits(text, &i, 4, 4) || !take('-')) return false;
  const size_t month = i;
  if (!take_digits(text, &i, 1, 2) || !take('-')) return false;
  const size_t day = i;
  if (!take_digits(text, &i, 1, 2)) return false;
  if (i == text.size()) return day - month == 3 && i - day == 2;
  if (!take('T') && !take('t') && !blanks()) return false;
  if (!take_digits(text, &i, 1, 2) || !take(':') || !take_digits(text, &i, 2, 2) || !take(':') ||
      !take_digits(text, &i, 2, 2)) {
    return false;
  }
  if (take('.')) take_digits(text, &i, 0, text.size());
  if (i == text.size()) return true;
  blanks();
  if (take('Z')) return i == text.size();
  if (!take('+') && !take('-')) return false;
  if (!take_digits(text, &i, 1, 2)) return false;
  if (take(':') && !take_digits(text, &i, 2, 2)) return false;
  return i == text.size();
}

// YAML 1.1 numbers as PyYAML's own (not OmegaConf's) rules have them; the dumper uses those.
bool is_yaml_number(std::string_view text) {
  Scalar value;
  try {
    value = parse_plain_scalar(text);
  } catch (const ConfigError&) {
    return true;  // an integer too large for us, "=" or "<<"
  }
  if (std::holds_alternative<int64_t>(value)) return true;
  if (!std::holds_alternative<double>(value)) return false;
  const size_t sign = text[0] == '+' || text[0] == '-' ? 1 : 0;
  if (text.find(':') != std::string_view::npos) return true;
  const std::string_view body = text.substr(sign);
  if (body.size() == 4 && body[0] == '.' && !is_digit(body[1]) && body[1] != '_') return true;  // .inf, .nan
  if (body.find('.') == std::string_view::npos) return false;
  if (body[0] == '.' && !is_digit(body[1])) return false;
  const size_t exponent = body.find_first_of("eE");
  return exponent == std::string_view::npos || body[exponent + 1] == '+' || body[exponent + 1] == '-';
}

bool is_bool_like(std::string_view text) {
  for (const std::string_view word :
       {"y",    "Y",    "yes",   "Yes",   "YES",   "n",  "N",  "no", "No",  "NO",  "true",
        "True", "TRUE", "false", "False", "FALSE", "on", "On", "ON", "off", "Off", "OFF"}) {
    if (text == word) return true;
  }
  return false;
}

}  // namespace

std::string yaml_float_text(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = python_float_text(value);
  const size_t e = text.find('e');
  if (e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".0");
  return text;
}

bool reads_as_non_string(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return true;
  const char c = text[0];
  if (is_digit(c) || c == '+' || c == '-' || c == '.') return is_yaml_number(text) || is_timestamp(text);
  return text == "<<" || text == "=";
}

struct YamlEmitter::Analysis {
  bool empty = false, multiline = false;
  bool plain = true, single_quoted = true, block = true;
};

YamlEmitter::Analysis YamlEmitter::analyze(const std::u32string& text) {
  Analysis result;
  if (text.empty()) {
    result.empty = true;
    result.block = false;
    return result;
  }
  const auto starts = [&](const char32_t* what) { return text.rfind(what, 0) == 0; };
  bool indicators = starts(U"---") || starts(U"...");
  bool special = false, break_space = false, space_break = false;
  bool previous_space = false, previous_break = false, after_blank = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const bool before_blank = i + 1 >= text.size() || is_blank(text[i + 1]);
    if (i == 0) {
      if (std::u32string_view(U"#,[]{}&*!|>'\"%@`").find(c) != std::u32string_view::npos) indicators = true;
      if ((c == U'?' || c == U':' || c == U'-') && before_blank) indicators = true;
    } else {
      if (c == U':' && before_blank) indicators = true;
      if (c == U'#' && after_blank) indicators = true;
    }
    if (is_break(c)) result.multiline = true;
    if (!is_printable(c)) special = true;
    if (c == U' ') {
      if (previous_break) break_space = true;
      previous_space = true;
      previous_break = false;
    } else if (is_break(c)) {
      if (previous_space) space_break = true;
      previous_space = false;
      previous_break = true;
    } else {
      previous_space = previous_break = false;
    }
    after_blank = is_blank(c);
  }
  const auto edge = [](char32_t c) { return c == U' ' || is_break(c); };
  if (edge(text.front()) || edge(text.back())) result.plain = false;
  if (text.back() == U' ') result.block = false;
  if (break_space) result.plain = result.single_quoted = false;
  if (space_break || special) result.plain = result.single_quoted = result.block = false;
  if (result.multiline || indicators) result.plain = false;
  return result;
}

void YamlEmitter::write(std::string_view text, int columns) {
  out_ += text;
  column_ += columns;
}

void YamlEmitter::write(const std::u32string& text, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i) utf8::append(out_, text[i]);
  column_ += static_cast<int>(to - from);
}

void YamlEmitter::indicator(std::string_view text, bool need_blank, bool blank_after, bool keeps_indention) {
  if (!whitespace_ && need_blank) write(" ", 1);
  whitespace_ = blank_after;
  indention_ = indention_ && keeps_indention;
  write(text, static_cast<int>(text.size()));
}

void YamlEmitter::line_break(char32_t code) {
  whitespace_ = indention_ = true;
  utf8::append(out_, code);
  column_ = 0;
}

void YamlEmitter::indent_line() {
  const int indent = std::max(indent_, 0);
  if (!indention_ || column_ > indent || (column_ == indent && !whitespace_)) line_break();
  if (column_ < indent) {
    whitespace_ = true;
    write(std::string(static_cast<size_t>(indent - column_), ' '), indent - column_);
  }
}

void YamlEmitter::begin_list(bool empty) {
  levels_.push_back({false, empty, false, indent_});
  if (empty) {
    indicator("[", true, true);
    return;
  }
  const bool mapping = context_ == Context::kMapping || context_ == Context::kComplexKey;
  const bool indentless = mapping && !indention_;
  if (indent_ < 0) {
    indent_ = 0;
  } else if (!indentless) {
    indent_ += kIndent;
  }
}

void YamlEmitter::item() {
  indent_line();
  indicator("-", true, false, true);
  context_ = Context::kSequence;
}

void YamlEmitter::begin_map(bool empty) {
  levels_.push_back({true, empty, false, indent_});
  if (empty) {
    indicator("{", true, true);
    return;
  }
  indent_ = indent_ < 0 ? 0 : indent_ + kIndent;
}

void YamlEmitter::begin_key() {
  indent_line();
  awaiting_key_ = true;
}

// Whether the key fits before a ':' is known only with its text.
void YamlEmitter::before_key(const std::u32string& text, const Analysis& analysis, size_t tag_length) {
  awaiting_key_ = false;
  const bool simple = text.size() + tag_length < kLongestSimpleKey && !analysis.empty && !analysis.multiline;
  levels_.back().complex_key = !simple;
  if (simple) {
    context_ = Context::kSimpleKey;
  } else {
    indicator("?", true, false, true);
    context_ = Context::kComplexKey;
  }
}

void YamlEmitter::begin_value() {
  if (levels_.back().complex_key) {
    indent_line();
    indicator(":", true, false, true);
  } else {
    indicator(":", false);
  }
  context_ = Context::kMapping;
}

void YamlEmitter::end() {
  const Level level = levels_.back();
  levels_.pop_back();
  if (level.empty) {
    indicator(level.is_map ? "}" : "]", false);
  } else {
    indent_ = level.indent_before;
  }
}

void YamlEmitter::plain(std::string_view text) {
  const size_t tag = text == "null" || text == "true" || text == "false" ? 6 : text.find('.') != text.npos ? 7 : 5;
  const std::u32string wide = decode(text);
  if (awaiting_key_) before_key(wide, {}, tag);
  write_plain(wide, context_ != Context::kSimpleKey);
}

void YamlEmitter::string(std::string_view text) {
  const bool needs_quotes = is_bool_like(text) || python_int(text) || python_float(text);
  scalar(text, needs_quotes ? '\'' : 0, !reads_as_non_string(text), {});
}

void YamlEmitter::binary(std::string_view data) { scalar(encode_base64(data), '|', false, "!!binary"); }

void YamlEmitter::scalar(std::string_view text, char wanted_style, bool plain_allowed, std::string_view tag) {
  const std::u32string wide = decode(text);
  const Analysis analysis = analyze(wide);
  if (awaiting_key_) before_key(wide, analysis, tag.empty() ? 5 : tag.size());
  const bool simple_key = context_ == Context::kSimpleKey;
  char style = '"';
  if (wanted_style == 0 && plain_allowed && analysis.plain && !(simple_key && (analysis.empty || analysis.multiline))) {
    style = 0;
  } else if (wanted_style == '|' && !simple_key && analysis.block) {
    style = '|';
  } else if (wanted_style != '|' && analysis.single_quoted && !(simple_key && analysis.multiline)) {
    style = '\'';
  }
  if (!tag.empty()) indicator(tag, true);
  const int indent_before = indent_;
  indent_ = indent_ < 0 ? kIndent : indent_ + kIndent;  // of continuation lines
  switch (style) {
    case 0: write_plain(wide, !simple_key); break;
    case '\'': write_single_quoted(wide, !simple_key); break;
    case '|': write_literal(wide); break;
    default: write_double_quoted(wide, !simple_key); break;
  }
  indent_ = indent_before;
}

void YamlEmitter::write_plain(const std::u32string& text, bool split) {
  if (text.empty()) return;
  if (!whitespace_) write(" ", 1);
  whitespace_ = indention_ = false;
  bool spaces = false;
  size_t start = 0;
  for (size_t end = 0; end <= text.size(); ++end) {
    const std::optional<char32_t> c = end < text.size() ? std::optional(text[end]) : std::nullopt;
    if (spaces) {
      if (c != U' ') {
        if (start + 1 == end && column_ > kBestWidth && split) {
          indent_line();
          whitespace_ = indention_ = false;
        } else {
          write(text, start, end);
        }
        start = end;
      }
    } else if (!c || c == U' ') {
      write(text, start, end);
      start = end;
    }
    spaces = c == U' ';
  }
}

void YamlEmitter::write_single_quoted(const std::u32string& text, bool split) {
  indicator("'", true);
  bool spaces = false, breaks = false;
  size_t start = 0;
  for (size_t end = 0; end <= text.size(); ++end) {
    const std::optional<char32_t> c = end < text.size() ? std::optional(text[end]) : std::nullopt;
    if (spaces) {
      if (c != U' ') {
        if (start + 1 == end && column_ > kBestWidth && split && start != 0 && end != text.size()) {
          indent_line();
        } else {
          write(text, start, end);
        }
        start = end;
      }
    } else if (breaks) {
      if (!c || !is_break(*c)) {
        if (text[start] == U'\n') line_break();
        for (size_t i = start; i < end; ++i) line_break(text[i]);
        indent_line();
        start = end;
      }
    } else if (!c || *c == U' ' || is_break(*c) || *c == U'\'') {
      if (start < end) {
        write(text, start, end);
        start = end;
      }
    }
    if (c == U'\'') {
      write("''", 2);
      start = end + 1;
    }
    if (c) {
      spaces = *c == U' ';
      breaks = is_break(*c);
    }
  }
  indicator("'", false);
}

void YamlEmitter::write_double_quoted(const std::u32string& text, bool split) {
  indicator("\"", true);
  size_t start = 0;
  for (size_t end = 0; end <= text.size(); ++end) {
    const bool at_end = end == text.size();
    const char32_t c = at_end ? 0 : text[end];
    const bool literal = !at_end && c != U'"' && c != U'\\' && c != 0x85 && c != 0x2028 && c != 0x2029 && c != 0xFEFF &&
                         ((c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD));
    if (!literal) {
      if (start < end) {
        write(text, start, end);
        start = end;
      }
      if (!at_end) {
        static constexpr std::u32string_view kCodes = U"\0\x07\x08\x09\x0A\x0B\x0C\x0D\x1B\"\\\x85\xA0\u2028\u2029";
        static constexpr std::string_view kNames = "0abtnvfre\"\\N_LP";
        char buffer[16];
        if (const size_t found = std::u32string_view(kCodes.data(), kNames.size()).find(c); found != kCodes.npos) {
          std::snprintf(buffer, sizeof(buffer), "\\%c", kNames[found]);
        } else {
          std::snprintf(buffer, sizeof(buffer),
                        c <= 0xFF     ? "\\x%02X"
                        : c <= 0xFFFF ? "\\u%04X"
                                      : "\\U%08X",
                        static_cast<unsigned>(c));
        }
        write(buffer, static_cast<int>(std::string_view(buffer).size()));
        start = end + 1;
      }
    }
    const int pending = static_cast<int>(end) - static_cast<int>(start);
    if (end > 0 && end + 1 < text.size() && (c == U' ' || start >= end) && column_ + pending > kBestWidth && split) {
      if (start < end) {
        write(text, start, end);
        start = end;
      }
      write("\\", 1);
      indent_line();
      whitespace_ = indention_ = false;
      if (text[start] == U' ') write("\\", 1);
    }
  }
  indicator("\"", false);
}

void YamlEmitter::write_literal(const std::u32string& text) {
  std::string hints;
  if (text[0] == U' ' || is_break(text[0])) hints += std::to_string(kIndent);
  if (!is_break(text.back())) {
    hints += '-';
  } else if (text.size() == 1 || is_break(text[text.size() - 2])) {
    hints += '+';
  }
  indicator("|" + hints, true);
  line_break();
  size_t start = 0;
  while (start < text.size()) {
    if (is_break(text[start])) {
      line_break(text[start++]);
      continue;
    }
    indent_line();
    size_t end = start;
    while (end < text.size() && !is_break(text[end])) ++end;
    write(text, start, end);
    if (end == text.size()) {
      line_break();
    } else {
      line_break(text[end++]);
    }
    start = end;
  }
}

std::string YamlEmitter::finish() {
  if (column_ > 0 || out_.empty()) line_break();
  return std::move(out_);
}

}  // namespace fathom::config
