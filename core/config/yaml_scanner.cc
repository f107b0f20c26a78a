#include "core/config/yaml_scanner.h"

#include <cstring>

#include "fathom/utf8.h"

namespace fathom::config {
namespace {

using Kind = YamlTokenKind;

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_word(char c) { return is_alnum(c) || c == '-' || c == '_'; }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); }
int hex_value(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

// Simple keys end on their line and within this many bytes.
constexpr size_t kLongestKey = 1024;

bool is_allowed(char32_t c) {
  return c == 0x9 || c == 0xA || c == 0xD || (c >= 0x20 && c <= 0x7E) || c == 0x85 || (c >= 0xA0 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF);
}

}  // namespace

std::string_view token_name(Kind kind) {
  switch (kind) {
    case Kind::kStreamEnd: return "the end of the text";
    case Kind::kDirective: return "a directive";
    case Kind::kDocumentStart: return "'---'";
    case Kind::kDocumentEnd: return "'...'";
    case Kind::kBlockSequenceStart: return "a list item ('- ')";
    case Kind::kBlockMappingStart: return "'key: value'";
    case Kind::kBlockEnd: return "the end of the block";
    case Kind::kFlowSequenceStart: return "'['";
    case Kind::kFlowSequenceEnd: return "']'";
    case Kind::kFlowMappingStart: return "'{'";
    case Kind::kFlowMappingEnd: return "'}'";
    case Kind::kBlockEntry: return "'-'";
    case Kind::kFlowEntry: return "','";
    case Kind::kKey: return "a key ('?' or 'key:')";
    case Kind::kValue: return "':'";
    case Kind::kAlias: return "an alias ('*')";
    case Kind::kAnchor: return "an anchor ('&')";
    case Kind::kTag: return "a tag ('!')";
    case Kind::kScalar: return "a scalar";
  }
  return "a token";
}

YamlScanner::YamlScanner(std::string_view text, const std::string& source_name)
    : text_(text), source_name_(source_name) {
  for (size_t i = 0; i < text_.size();) {
    const auto byte = static_cast<unsigned char>(text_[i]);
    if (byte >= 0x20 && byte < 0x7F) {
      ++i;
      continue;
    }
    char32_t code = byte;
    const size_t length = utf8::decode(text_, i, &code);
    if (length == 0 || !is_allowed(code)) {
      YamlMark mark;
      for (size_t k = 0; k < i; ++k) {
        if (text_[k] == '\n') {
          ++mark.line;
          mark.column = 0;
        } else if (!utf8::is_continuation(text_[k])) {
          ++mark.column;
        }
      }
      char shown[24];
      std::snprintf(shown, sizeof(shown), length == 0 ? "byte 0x%02x" : "#x%04x",
                    length == 0 ? static_cast<unsigned>(byte) : static_cast<unsigned>(code));
      throw error("ReaderError", length == 0 ? "the text is not UTF-8" : "unacceptable character", mark)
          .with_seen(shown);
    }
    i += length;
  }
  if (text_.rfind("\xEF\xBB\xBF", 0) == 0) {  // a byte order mark takes no column
    pos_ = line_start_ = 3;
  }
}

ConfigError YamlScanner::error(const char* kind, std::string what, const YamlMark& mark) const {
  return ConfigError(kind, std::move(what))
      .with_where(source_name_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1));
}

size_t YamlScanner::break_length(size_t ahead) const {
  switch (at(ahead)) {
    case '\n': return 1;
    case '\r': return at(ahead + 1) == '\n' ? 2 : 1;
    case '\xC2': return at(ahead + 1) == '\x85' ? 2 : 0;
    case '\xE2': return at(ahead + 1) == '\x80' && (at(ahead + 2) == '\xA8' || at(ahead + 2) == '\xA9') ? 3 : 0;
    default: return 0;
  }
}

bool YamlScanner::is_blank_or_end(size_t ahead) const {
  return is_end(ahead) || at(ahead) == ' ' || at(ahead) == '\t' || is_break(ahead);
}

void YamlScanner::advance(size_t bytes) {
  for (; bytes > 0; --bytes, ++pos_) {
    if (utf8::is_continuation(text_[pos_])) ++continuation_bytes_;
  }
}

void YamlScanner::skip_line_rest() {
  while (!is_end() && !is_break()) advance();
}

void YamlScanner::take_break(std::string* out) {
  const size_t length = break_length();
  if (length == 0) return;
  if (out != nullptr) {
    if (length == 3) {
      out->append(text_, pos_, 3);
    } else {
      *out += '\n';
    }
  }
  pos_ += length;
  ++line_;
  line_start_ = pos_;
  continuation_bytes_ = 0;
}

bool YamlScanner::at_document_indicator() const {
  return column() == 0 && (std::strncmp(&text_[pos_], "---", 3) == 0 || std::strncmp(&text_[pos_], "...", 3) == 0) &&
         is_blank_or_end(3);
}

std::string YamlScanner::character() const {
  if (is_end()) return "the end of the text";
  if (is_break()) return "a line break";
  if (at() == '\t') return "a tab";
  char32_t code = 0;
  return "'" + text_.substr(pos_, utf8::decode(text_, pos_, &code)) + "'";
}

YamlToken& YamlScanner::peek() {
  while (need_more_tokens()) fetch();
  return tokens_.front();
}

YamlToken YamlScanner::take() {
  peek();
  YamlToken token = std::move(tokens_.front());
  tokens_.pop_front();
  ++taken_;
  return token;
}

bool YamlScanner::need_more_tokens() {
  if (done_) return false;
  if (tokens_.empty()) return true;
  // The first token may turn out to be a key only when its ':' is seen.
  forget_stale_keys();
  for (const auto& key : keys_) {
    if (key.possible) return key.token_number == taken_;
  }
  return false;
}

void YamlScanner::forget_stale_keys() {
  for (auto& key : keys_) {
    if (!key.possible || (key.mark.line == line_ && pos_ - key.mark.offset <= kLongestKey)) continue;
    if (key.required) {
      throw error("ScannerError", "while scanning a simple key: could not find expected ':'", key.mark)
          .with_next("write `key: value`, or indent the line if it continues the one before");
    }
    key.possible = false;
  }
}

void YamlScanner::save_simple_key() {
  if (!allow_simple_key_) return;
  drop_simple_key();
  keys_.back() = {true, flow_level() == 0 && indent_ == column(), taken_ + tokens_.size(), mark()};
}

void YamlScanner::drop_simple_key() {
  auto& key = keys_.back();
  if (key.possible && key.required) {
    throw error("ScannerError", "while scanning a simple key: could not find expected ':'", key.mark)
        .with_next("write `key: value`");
  }
  key.possible = false;
}

void YamlScanner::unwind_indent(int32_t column) {
  if (flow_level() > 0) return;
  while (indent_ > column) {
    indent_ = indents_.back();
    indents_.pop_back();
    tokens_.push_back({Kind::kBlockEnd, mark(), mark(), {}, {}});
  }
}

bool YamlScanner::add_indent(int32_t column) {
  if (indent_ >= column) return false;
  indents_.push_back(indent_);
  indent_ = column;
  return true;
}

void YamlScanner::push(Kind kind, size_t length) {
  const YamlMark start = mark();
  advance(length);
  tokens_.push_back({kind, start, mark(), {}, {}});
}

void YamlScanner::skip_to_token() {
  while (true) {
    while (at() == ' ') advance();
    if (at() == '#') skip_line_rest();
    if (!is_break()) return;
    take_break(nullptr);
    if (flow_level() == 0) allow_simple_key_ = true;
  }
}

void YamlScanner::fetch() {
  skip_to_token();
  forget_stale_keys();
  unwind_indent(column());
  const char c = at();
  if (is_end()) {
    unwind_indent(-1);
    drop_simple_key();
    allow_simple_key_ = false;
    for (auto& key : keys_) key.possible = false;
    tokens_.push_back({Kind::kStreamEnd, mark(), mark(), {}, {}});
    done_ = true;
    return;
  }
  if (column() == 0) {
    if (c == '%') return fetch_directive();
    if (at_document_indicator()) {
      unwind_indent(-1);
      drop_simple_key();
      allow_simple_key_ = false;
      return push(c == '-' ? Kind::kDocumentStart : Kind::kDocumentEnd, 3);
    }
  }
  const bool flow = flow_level() > 0;
  switch (c) {
    case '[':
    case '{':
      save_simple_key();
      keys_.emplace_back();
      allow_simple_key_ = true;
      return push(c == '[' ? Kind::kFlowSequenceStart : Kind::kFlowMappingStart, 1);
    case ']': return fetch_flow_end(Kind::kFlowSequenceEnd);
    case '}': return fetch_flow_end(Kind::kFlowMappingEnd);
    case ',':
      allow_simple_key_ = true;
      drop_simple_key();
      return push(Kind::kFlowEntry, 1);
    case '-':
      if (is_blank_or_end(1)) return fetch_block_entry();
      return fetch_plain();
    case '?':
      if (flow || is_blank_or_end(1)) return fetch_key();
      return fetch_plain();
    case ':':
      if (flow || is_blank_or_end(1)) return fetch_value();
      return fetch_plain();
    case '*': return fetch_anchor(Kind::kAlias);
    case '&': return fetch_anchor(Kind::kAnchor);
    case '!': return fetch_tag();
    case '\'':
    case '"': return fetch_quoted(c);
    case '|':
    case '>':
      if (!flow) return fetch_block_scalar(c == '>');
      break;
    case '\t':
    case '%':
    case '@':
    case '`':
    case '#': break;
    default: return fetch_plain();
  }
  throw error("ScannerError",
              "while scanning for the next token: found character " + character() + " that cannot start any token",
              mark())
      .with_next(c == '\t' ? "use spaces: tabs do not separate or indent in YAML" : "quote the value");
}

void YamlScanner::fetch_flow_end(Kind kind) {
  drop_simple_key();
  if (flow_level() == 0) {
    throw error("ParserError", "found " + std::string(token_name(kind)) + " without its opening bracket", mark());
  }
  keys_.pop_back();
  allow_simple_key_ = false;
  push(kind, 1);
}

void YamlScanner::fetch_block_entry() {
  if (flow_level() == 0) {
    if (!allow_simple_key_) throw error("ScannerError", "sequence entries are not allowed here", mark());
    if (add_indent(column())) tokens_.push_back({Kind::kBlockSequenceStart, mark(), mark(), {}, {}});
  }
  allow_simple_key_ = true;
  drop_simple_key();
  push(Kind::kBlockEntry, 1);
}

void YamlScanner::fetch_key() {
  if (flow_level() == 0) {
    if (!allow_simple_key_) throw error("ScannerError", "mapping keys are not allowed here", mark());
    if (add_indent(column())) tokens_.push_back({Kind::kBlockMappingStart, mark(), mark(), {}, {}});
  }
  allow_simple_key_ = flow_level() == 0;
  drop_simple_key();
  push(Kind::kKey, 1);
}

void YamlScanner::fetch_value() {
  auto& key = keys_.back();
  if (key.possible) {
    key.possible = false;
    auto place = tokens_.begin() + static_cast<ptrdiff_t>(key.token_number - taken_);
    place = tokens_.insert(place, {Kind::kKey, key.mark, key.mark, {}, {}});
    if (flow_level() == 0 && add_indent(key.mark.column)) {
      tokens_.insert(place, {Kind::kBlockMappingStart, key.mark, key.mark, {}, {}});
    }
    allow_simple_key_ = false;
  } else {
    if (flow_level() == 0) {
      if (!allow_simple_key_) {
        throw error("ScannerError", "mapping values are not allowed here", mark())
            .with_next("quote the value if the ':' belongs to it");
      }
      if (add_indent(column())) tokens_.push_back({Kind::kBlockMappingStart, mark(), mark(), {}, {}});
    }
    allow_simple_key_ = flow_level() == 0;
    drop_simple_key();
  }
  push(Kind::kValue, 1);
}

void YamlScanner::fetch_directive() {
  unwind_indent(-1);
  drop_simple_key();
  allow_simple_key_ = false;
  const YamlMark start = mark();
  YamlToken token{Kind::kDirective, start, start, {}, {}};
  const auto fail = [&](const std::string& wanted) -> ConfigError {
    return error("ScannerError", "while scanning a directive: expected " + wanted + ", but found " + character(),
                 mark());
  };
  advance();
  while (is_word(at())) {
    token.text += at();
    advance();
  }
  if (token.text.empty() || !(is_end() || at() == ' ' || is_break())) throw fail("alphabetic or numeric character");
  const auto skip_blanks = [&] {
    while (at() == ' ') advance();
  };
  if (token.text == "YAML") {
    skip_blanks();
    const auto number = [&] {
      std::string digits;
      while (at() >= '0' && at() <= '9') {
        digits += at();
        advance();
      }
      if (digits.empty()) throw fail("a digit");
      return digits;
    };
    token.handle = number();  // the major version
    if (at() != '.') throw fail("'.'");
    advance();
    number();
  } else if (token.text == "TAG") {
    skip_blanks();
    token.handle = scan_tag_handle("directive", start);
    if (at() != ' ') throw fail("' '");
    skip_blanks();
    token.text = "TAG " + scan_tag_uri("directive", start);
  } else {
    skip_line_rest();
  }
  if (!(is_end() || at() == ' ' || is_break())) throw fail("' '");
  skip_blanks();
  if (at() == '#') skip_line_rest();
  if (!is_end() && !is_break()) throw fail("a comment or a line break");
  take_break(nullptr);
  token.end = mark();
  tokens_.push_back(std::move(token));
}

void YamlScanner::fetch_anchor(Kind kind) {
  save_simple_key();
  allow_simple_key_ = false;
  const char* const what = kind == Kind::kAlias ? "an alias" : "an anchor";
  YamlToken token{kind, mark(), mark(), {}, {}};
  advance();
  while (is_word(at())) {
    token.text += at();
    advance();
  }
  const bool ended = is_blank_or_end() || (at() != '\0' && std::strchr("?:,]}%@`", at()) != nullptr);
  if (token.text.empty() || !ended) {
    throw error(
        "ScannerError",
        std::string("while scanning ") + what + ": expected alphabetic or numeric character, but found " + character(),
        mark())
        .with_next("quote the value if it is text");
  }
  token.end = mark();
  tokens_.push_back(std::move(token));
}

void YamlScanner::fetch_tag() {
  save_simple_key();
  allow_simple_key_ = false;
  YamlToken token{Kind::kTag, mark(), mark(), {}, {}};
  const YamlMark start = mark();
  if (at(1) == '<') {
    advance(2);
    token.text = scan_tag_uri("tag", start);
    if (at() != '>')
      throw error("ScannerError", "while scanning a tag: expected '>', but found " + character(), mark());
    advance();
  } else if (is_blank_or_end(1)) {
    token.text = "!";
    advance();
  } else {
    size_t length = 1;  // "!handle!suffix" only if there is a second '!' before a blank
    bool has_handle = false;
    while (!is_end(length) && at(length) != ' ' && !is_break(length)) {
      if (at(length) == '!') {
        has_handle = true;
        break;
      }
      ++length;
    }
    if (has_handle) {
      token.handle = scan_tag_handle("tag", start);
    } else {
      token.handle = "!";
      advance();
    }
    token.text = scan_tag_uri("tag", start);
  }
  if (!(is_end() || at() == ' ' || is_break())) {
    throw error("ScannerError", "while scanning a tag: expected ' ', but found " + character(), mark());
  }
  token.end = mark();
  tokens_.push_back(std::move(token));
}

std::string YamlScanner::scan_tag_handle(const char* what, const YamlMark& start) {
  if (at() != '!') {
    throw error("ScannerError", std::string("while scanning a ") + what + ": expected '!', but found " + character(),
                mark());
  }
  std::string handle = "!";
  advance();
  if (at() == ' ') return handle;
  while (is_word(at())) {
    handle += at();
    advance();
  }
  if (at() != '!') {
    throw error("ScannerError", std::string("while scanning a ") + what + ": expected '!', but found " + character(),
                start);
  }
  advance();
  return handle + '!';
}

std::string YamlScanner::scan_tag_uri(const char* what, const YamlMark& start) {
  std::string uri;
  while (at() != '\0' && (is_alnum(at()) || std::strchr("-;/?:@&=+$,_.!~*'()[]%", at()) != nullptr)) {
    if (at() == '%') {
      if (!is_hex(at(1)) || !is_hex(at(2))) {
        throw error("ScannerError",
                    std::string("while scanning a ") + what + ": expected URI escape sequence of 2 hexadecimal numbers",
                    mark());
      }
      uri += static_cast<char>(hex_value(at(1)) * 16 + hex_value(at(2)));
      advance(3);
    } else {
      uri += at();
      advance();
    }
  }
  if (uri.empty()) {
    throw error("ScannerError", std::string("while parsing a ") + what + ": expected URI, but found " + character(),
                start);
  }
  return uri;
}

void YamlScanner::scan_block_header(int* chomping, int* increment) {
  for (int i = 0; i < 2; ++i) {
    if ((at() == '+' || at() == '-') && *chomping == 0) {
      *chomping = at() == '+' ? 1 : -1;
      advance();
    } else if (at() >= '0' && at() <= '9' && *increment == 0) {
      *increment = at() - '0';
      if (*increment == 0) {
        throw error("ScannerError",
                    "while scanning a block scalar: expected indentation indicator in the range 1-9, "
                    "but found 0",
                    mark());
      }
      advance();
    }
  }
  if (!(is_end() || at() == ' ' || is_break())) {
    throw error("ScannerError",
                "while scanning a block scalar: expected chomping or indentation indicators, but found " + character(),
                mark());
  }
  while (at() == ' ') advance();
  if (at() == '#') skip_line_rest();
  if (!is_end() && !is_break()) {
    throw error("ScannerError",
                "while scanning a block scalar: expected a comment or a line break, but found " + character(), mark());
  }
  take_break(nullptr);
}

std::string YamlScanner::scan_block_breaks(int32_t indent) {
  std::string breaks;
  while (true) {
    while (column() < indent && at() == ' ') advance();
    if (!is_break()) return breaks;
    take_break(&breaks);
  }
}

void YamlScanner::fetch_block_scalar(bool folded) {
  allow_simple_key_ = true;
  drop_simple_key();
  YamlToken token{Kind::kScalar, mark(), mark(), {}, {}};
  advance();
  int chomping = 0, increment = 0;
  scan_block_header(&chomping, &increment);
  const int32_t lowest = std::max(indent_ + 1, 1);
  int32_t indent = lowest + increment - 1;
  std::string breaks;
  if (increment == 0) {
    int32_t deepest = 0;  // also of the blank lines before the text
    while (at() == ' ' || is_break()) {
      if (is_break()) {
        take_break(&breaks);
      } else {
        advance();
        deepest = std::max(deepest, column());
      }
    }
    indent = std::max(lowest, deepest);
  } else {
    breaks = scan_block_breaks(indent);
  }
  std::string line_break;
  while (column() == indent && !is_end()) {
    token.text += breaks;
    const bool starts_with_text = at() != ' ' && at() != '\t';
    const size_t from = pos_;
    skip_line_rest();
    token.text.append(text_, from, pos_ - from);
    line_break.clear();
    take_break(&line_break);
    breaks = scan_block_breaks(indent);
    if (column() != indent || is_end()) break;
    if (folded && line_break == "\n" && starts_with_text && at() != ' ' && at() != '\t') {
      if (breaks.empty()) token.text += ' ';
    } else {
      token.text += line_break;
    }
  }
  if (chomping != -1) token.text += line_break;
  if (chomping == 1) token.text += breaks;
  token.end = mark();
  tokens_.push_back(std::move(token));
}

void YamlScanner::scan_escape(const YamlMark& start, std::string* out) {
  static constexpr std::string_view kNames = "0abt\tnvfre \"\\/N_LP";
  static constexpr char32_t kCodes[] = {0,    7,   8,   9,    9,   0xA,  0xB,  0xC,    0xD,
                                        0x1B, ' ', '"', '\\', '/', 0x85, 0xA0, 0x2028, 0x2029};
  advance();  // the backslash
  if (is_break()) {
    take_break(nullptr);
    scan_quoted_breaks(out);
    return;
  }
  const char c = at();
  const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits > 0) {
    advance();
    uint64_t code = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (!is_hex(at(i))) {
        throw error("ScannerError",
                    "while scanning a double-quoted scalar: expected escape sequence of " + std::to_string(digits) +
                        " hexadecimal numbers",
                    mark());
      }
      code = code * 16 + static_cast<uint64_t>(hex_value(at(i)));
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      throw error("ScannerError", "while scanning a double-quoted scalar: the escape is no Unicode character", mark());
    }
    utf8::append(*out, static_cast<char32_t>(code));
    advance(digits);
    return;
  }
  const size_t found = is_end() ? std::string_view::npos : kNames.find(c);
  if (found == std::string_view::npos) {
    throw error("ScannerError",
                is_end() ? "while scanning a quoted scalar: found unexpected end of stream"
                         : "while scanning a double-quoted scalar: found unknown escape character " + character(),
                is_end() ? start : mark())
        .with_next("double the backslash, or use single quotes");
  }
  utf8::append(*out, kCodes[found]);
  advance();
}

void YamlScanner::scan_quoted_breaks(std::string* out) {
  while (true) {
    if (at_document_indicator()) {
      throw error("ScannerError", "while scanning a quoted scalar: found unexpected document separator", mark());
    }
    while (at() == ' ' || at() == '\t') advance();
    if (!is_break()) return;
    take_break(out);
  }
}

void YamlScanner::fetch_quoted(char quote) {
  save_simple_key();
  allow_simple_key_ = false;
  YamlToken token{Kind::kScalar, mark(), mark(), {}, {}};
  advance();
  while (true) {
    const size_t from = pos_;
    while (!is_end() && at() != '\'' && at() != '"' && at() != '\\' && at() != ' ' && at() != '\t' && !is_break()) {
      advance();
    }
    token.text.append(text_, from, pos_ - from);
    if (is_end()) {
      throw error("ScannerError", "while scanning a quoted scalar: found unexpected end of stream", token.start)
          .with_expected(std::string("a closing ") + quote);
    }
    const char c = at();
    if (c == quote) {
      if (quote == '\'' && at(1) == '\'') {
        token.text += '\'';
        advance(2);
        continue;
      }
      break;
    }
    if (c == '\\' && quote == '"') {
      scan_escape(token.start, &token.text);
    } else if (c == ' ' || c == '\t' || is_break()) {
      const size_t blanks = pos_;
      while (at() == ' ' || at() == '\t') advance();
      if (!is_break()) {
        token.text.append(text_, blanks, pos_ - blanks);
        continue;
      }
      std::string line_break, breaks;
      take_break(&line_break);
      scan_quoted_breaks(&breaks);
      if (line_break != "\n") {
        token.text += line_break;
      } else if (breaks.empty()) {
        token.text += ' ';
      }
      token.text += breaks;
    } else {
      token.text += c;
      advance();
    }
  }
  advance();
  token.end = mark();
  tokens_.push_back(std::move(token));
}

// What separates two words of a plain scalar: blanks, or folded line breaks. False where the scalar surely ends.
bool YamlScanner::scan_plain_spaces(std::string* spaces) {
  const size_t from = pos_;
  while (at() == ' ') advance();
  if (!is_break()) {
    spaces->assign(text_, from, pos_ - from);
    return !spaces->empty();
  }
  std::string line_break, breaks;
  take_break(&line_break);
  allow_simple_key_ = true;
  if (at_document_indicator()) return false;
  while (at() == ' ' || is_break()) {
    if (at() == ' ') {
      advance();
    } else {
      take_break(&breaks);
      if (at_document_indicator()) return false;
    }
  }
  if (line_break != "\n") {
    *spaces = line_break + breaks;
  } else {
    *spaces = breaks.empty() ? " " : breaks;
  }
  return true;
}

void YamlScanner::fetch_plain() {
  save_simple_key();
  allow_simple_key_ = false;
  YamlToken token{Kind::kScalar, mark(), mark(), {}, {}, true};
  const bool flow = flow_level() > 0;
  const int32_t indent = indent_ + 1;
  std::string spaces;
  while (at() != '#') {
    const size_t from = pos_;
    while (true) {
      const char c = at();
      if (c == ' ' || c == '\t' || is_end()) break;
      if ((c == '\n' || c == '\r' || c == '\xC2' || c == '\xE2') && is_break()) break;
      if (c == ':' && (is_blank_or_end(1) || (flow && std::strchr(",[]{}", at(1)) != nullptr))) break;
      if (flow && (c == ',' || c == '?' || c == '[' || c == ']' || c == '{' || c == '}')) break;
      advance();
    }
    if (pos_ == from) break;
    allow_simple_key_ = false;
    token.text += spaces;
    token.text.append(text_, from, pos_ - from);
    token.end = mark();
    spaces.clear();
    if (!scan_plain_spaces(&spaces) || (!flow && column() < indent)) break;
  }
  if (token.text.empty()) {
    throw error("ScannerError",
                "while scanning for the next token: found character " + character() + " that cannot start any token",
                mark())
        .with_next("quote the value");
  }
  tokens_.push_back(std::move(token));
}

}  // namespace fathom::config
