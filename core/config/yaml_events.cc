#include "core/config/yaml_events.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

#include "fathom/utf8.h"

namespace fathom::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Bytes of the line break at `at`, 0 for none. YAML 1.1 has LF, CR, CRLF, NEL, LS and PS.
size_t break_length(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.empty()) return 0;
  if (rest[0] == '\n') return 1;
  if (rest[0] == '\r') return rest.size() > 1 && rest[1] == '\n' ? 2 : 1;
  if (rest.substr(0, 2) == "\xC2\x85") return 2;
  return rest.substr(0, 3) == "\xE2\x80\xA8" || rest.substr(0, 3) == "\xE2\x80\xA9" ? 3 : 0;
}

size_t line_end(std::string_view text, size_t at) {
  while (at < text.size() && break_length(text, at) == 0) ++at;
  return at;
}

// What stands there up to the first character that YAML does not allow, for messages.
std::string excerpt(std::string_view text, size_t at) {
  constexpr size_t kLongest = 30;
  if (at >= text.size()) return "the end of the text";
  size_t end = at;
  const size_t stop = line_end(text, at);
  for (size_t length = 0; end < stop; ++length) {
    char32_t code = 0;
    const size_t bytes = utf8::decode(text, end, &code);
    if (bytes == 0 || (code < 0x20 && code != '\t') || code == 0x7f) break;
    if (length == kLongest) return std::string(text.substr(at, end - at)) + "…";
    end += bytes;
  }
  return end == at ? "the end of the line" : std::string(text.substr(at, end - at));
}

size_t byte_of(std::string_view text, size_t character) {
  size_t at = 0;
  for (; character > 0 && at < text.size(); --character) at += utf8::step(text, at);
  return at;
}

constexpr const char* kNoTabs = "use spaces: tabs do not separate or indent in YAML";
constexpr std::string_view kNoToken = "cannot start any token";
struct Advice {
  std::string_view problem;
  const char* next;
};
constexpr Advice kAdvice[] = {
    {"mapping values are not allowed", "quote the value if the ':' belongs to it"},
    {"could not find expected ':'", "write `key: value`, or indent the line if it continues the one before"},
    {kNoToken, "quote the value"},
    {"a tab character that violates indentation", kNoTabs},
    {"where an indentation space is expected",
     "indent with spaces; before text that begins with a tab, say how deep it is indented: `|2`"},
    {"did not find expected alphabetic or numeric character", "quote the value if it is text"},
    {"found unknown escape character", "double the backslash, or use single quotes"},
    {"found unexpected end of stream", "close the quotes"},
    {"found unexpected ':'", "write a blank after the ':', or quote the value"},
};

}  // namespace

YamlEvents::YamlEvents(std::string_view text, const std::string& source_name)
    : text_(text.empty() ? std::string_view("") : text), source_(intern_source(source_name)) {
  if (text_.substr(0, kByteOrderMark.size()) == kByteOrderMark) text_.remove_prefix(kByteOrderMark.size());
  has_tabs_or_marks_ =
      text_.find('\t') != std::string_view::npos || text_.find(kByteOrderMark) != std::string_view::npos;
  if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
  yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);  // or it takes two odd bytes for UTF-16
  yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
}

YamlEvents::~YamlEvents() {
  skip();
  yaml_parser_delete(&parser_);
}

const yaml_event_t& YamlEvents::peek() {
  if (has_event_) return event_;
  if (yaml_parser_parse(&parser_, &event_) == 0) throw_problem();
  has_event_ = true;
  check_flow();
  if (has_tabs_or_marks_) check_blanks();
  return event_;
}

void YamlEvents::skip() {
  if (has_event_) yaml_event_delete(&event_);
  has_event_ = false;
}

Origin YamlEvents::origin(const yaml_mark_t& mark) const {
  return {source_, static_cast<int32_t>(mark.line + 1), static_cast<int32_t>(mark.column + 1)};
}

void YamlEvents::throw_problem() const {
  if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
  if (parser_.error == YAML_READER_ERROR) throw_reader_problem();
  const bool scanner = parser_.error == YAML_SCANNER_ERROR;
  std::string what = parser_.context == nullptr ? "" : std::string(parser_.context) + ": ";
  what += parser_.problem;
  // A line without its ':' is noticed below it.
  const bool key = scanner && std::strstr(parser_.problem, "could not find expected ':'") != nullptr;
  const yaml_mark_t& mark = key ? parser_.context_mark : parser_.problem_mark;
  const size_t line = byte_of(text_, mark.index - mark.column);
  if (text_.substr(line, kByteOrderMark.size()) == kByteOrderMark) throw_byte_order_mark(line);  // it indents the line
  const size_t at = byte_of(text_, mark.index);
  ConfigError error = ConfigError(scanner ? "ScannerError" : "ParserError", what)
                          .with_where(origin(mark))
                          .with_seen(excerpt(text_, at));
  for (const auto& [problem, next] : kAdvice) {
    if (what.find(problem) != std::string::npos) {
      throw std::move(error).with_next(text_.substr(at, 1) == "\t" && problem == kNoToken ? kNoTabs : next);
    }
  }
  throw error;
}

void YamlEvents::throw_reader_problem() const {
  char seen[24];
  if (std::strncmp(parser_.problem, "control", 7) == 0) {
    std::snprintf(seen, sizeof(seen), "#x%04x", static_cast<unsigned>(parser_.problem_value));
    throw_at(parser_.problem_offset, "ReaderError", std::string("unacceptable character ") + seen,
             "remove it, or write it as an escape in double quotes");
  }
  size_t at = 0;  // libyaml names the byte that does not continue the character
  char32_t code = 0;
  for (size_t bytes = 1; at < text_.size() && bytes > 0; at += bytes) bytes = utf8::decode(text_, at, &code);
  at = std::min(at, text_.size() - 1);
  std::snprintf(seen, sizeof(seen), "byte 0x%02x", static_cast<unsigned>(static_cast<unsigned char>(text_[at])));
  throw_at(at, "ReaderError", std::string("the text is not UTF-8: ") + seen, "save the file as UTF-8");
}

void YamlEvents::throw_at(size_t byte, const char* kind, std::string what, const char* next) const {
  yaml_mark_t mark{};
  for (size_t at = 0; at < byte;) {
    if (const size_t length = break_length(text_, at); length > 0) {
      at += length;
      ++mark.line;
      mark.column = 0;
    } else {
      at += utf8::step(text_, at);
      ++mark.column;
    }
  }
  throw ConfigError(kind, std::move(what)).with_where(origin(mark)).with_next(next);
}

void YamlEvents::throw_byte_order_mark(size_t byte) const {
  throw_at(byte, "ScannerError", "found a byte order mark (#xfeff) inside the text", "remove it");
}

void YamlEvents::check_flow() {
  switch (event_.type) {
    case YAML_SEQUENCE_START_EVENT:
      if (flow_level_ > 0 || event_.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE) ++flow_level_;
      return;
    case YAML_MAPPING_START_EVENT:
      if (flow_level_ > 0 || event_.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE) ++flow_level_;
      return;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      if (flow_level_ > 0) --flow_level_;
      return;
    case YAML_SCALAR_EVENT: {
      const auto& scalar = event_.data.scalar;
      if (flow_level_ == 0 || scalar.style != YAML_PLAIN_SCALAR_STYLE ||
          std::memchr(scalar.value, '?', scalar.length) == nullptr) {
        return;
      }
      throw ConfigError("ParserError", "a '?' in [] or {} begins a key: expected ',' or the closing bracket before it")
          .with_where(origin(event_.start_mark))
          .with_seen(reinterpret_cast<const char*>(scalar.value))
          .with_next("quote the value");
    }
    default: return;
  }
}

size_t YamlEvents::byte_at(const yaml_mark_t& mark) {
  for (; seen_characters_ < mark.index && seen_bytes_ < text_.size(); ++seen_characters_) {
    seen_bytes_ += utf8::step(text_, seen_bytes_);
  }
  return seen_bytes_;
}

// Blanks, comments and indicators; a stretch without a token. Gives `to`.
size_t YamlEvents::check_gap(size_t from, size_t to) const {
  for (size_t at = from; at < to;) {
    if (text_[at] == '#') {
      at = line_end(text_, at);
      continue;
    }
    if (text_[at] == '\t') {
      throw_at(at, "ScannerError",
               "while scanning for the next token: found character '\\t' that cannot start any token", kNoTabs);
    }
    if (text_.substr(at, kByteOrderMark.size()) == kByteOrderMark) {
      throw_byte_order_mark(at);
    }
    ++at;
  }
  return to;
}

void YamlEvents::check_blanks() {
  const auto is_blank = [&](size_t i) { return text_[i] == ' ' || text_[i] == '\t' || break_length(text_, i) > 0; };
  size_t at = std::max(byte_at(event_.start_mark), checked_bytes_);
  const size_t end = std::max(byte_at(event_.end_mark), at);
  check_gap(checked_bytes_, at);
  checked_bytes_ = end;
  // An event begins with its anchor and tag; blanks and comments may follow each.
  while (at < end && (text_[at] == '&' || text_[at] == '!')) {
    while (at < end && !is_blank(at)) ++at;
    size_t content = at;
    while (content < end && (is_blank(content) || text_[content] == '#')) {
      content = text_[content] == '#' ? std::min(line_end(text_, content), end)
                                      : content + std::max<size_t>(break_length(text_, content), 1);
    }
    at = check_gap(at, content);
  }
  if (event_.type != YAML_SCALAR_EVENT) {  // an indicator, an alias, or the directives of a document
    check_gap(at, end);
    return;
  }
  switch (event_.data.scalar.style) {
    case YAML_PLAIN_SCALAR_STYLE:
      if (const size_t tab = text_.substr(0, end).find('\t', at); tab != std::string_view::npos) check_gap(tab, end);
      return;
    case YAML_LITERAL_SCALAR_STYLE:
    case YAML_FOLDED_SCALAR_STYLE: check_gap(at, std::min(line_end(text_, at), end)); return;
    default: return;
  }
}

}  // namespace fathom::config
