// Tokens of YAML 1.1 text, as the YAML specification's simple-key rules and PyYAML's limits have them.
//
// This is not yaml-cpp's scanner because that one accepts what configs must refuse: unterminated quotes, `k.x=v` as a
// key without a value, a `-b` that ends a list and drops the rest, tabs as separators, repeated anchors. Not
// thread-safe; one scanner per text.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/errors.h"

namespace fathom::config {

struct YamlMark {
  size_t offset = 0;   // bytes
  int32_t line = 0;    // 0-based
  int32_t column = 0;  // 0-based, in characters
};

enum class YamlTokenKind : uint8_t {
  kStreamEnd,
  kDirective,
  kDocumentStart,
  kDocumentEnd,
  kBlockSequenceStart,
  kBlockMappingStart,
  kBlockEnd,
  kFlowSequenceStart,
  kFlowSequenceEnd,
  kFlowMappingStart,
  kFlowMappingEnd,
  kBlockEntry,
  kFlowEntry,
  kKey,
  kValue,
  kAlias,
  kAnchor,
  kTag,
  kScalar,
};

struct YamlToken {
  YamlTokenKind kind;
  YamlMark start, end;
  std::string text;    // scalar, anchor name, tag suffix, directive name
  std::string handle;  // tag handle ("!", "!!", "!e!"; empty = verbatim); %TAG: handle, with the prefix in text
  bool plain = false;  // scalar without quotes
};

std::string_view token_name(YamlTokenKind kind);

class YamlScanner {
 public:
  // Throws ConfigError ReaderError for bytes that are no UTF-8 or characters YAML does not allow.
  YamlScanner(std::string_view text, const std::string& source_name);

  YamlToken& peek();  // throws ConfigError ScannerError
  YamlToken take();
  bool next_is(YamlTokenKind kind) { return peek().kind == kind; }

  ConfigError error(const char* kind, std::string what, const YamlMark& mark) const;
  const std::string& source_name() const { return source_name_; }

 private:
  struct SimpleKey {
    bool possible = false;
    bool required = false;
    size_t token_number = 0;
    YamlMark mark;
  };

  // Characters. All line breaks of YAML 1.1 count: LF, CR, CRLF, NEL, LS, PS.
  char at(size_t ahead = 0) const { return text_[pos_ + ahead]; }  // '\0' at the end: the text is null-terminated
  size_t break_length(size_t ahead = 0) const;
  bool is_break(size_t ahead = 0) const { return break_length(ahead) != 0; }
  bool is_end(size_t ahead = 0) const { return pos_ + ahead >= text_.size(); }
  bool is_blank_or_end(size_t ahead = 0) const;
  void advance(size_t bytes = 1);
  void skip_line_rest();
  void take_break(std::string* out);  // appends "\n", LS or PS
  bool at_document_indicator() const;
  std::string character() const;  // the next one, for messages
  YamlMark mark() const { return {pos_, line_, static_cast<int32_t>(pos_ - line_start_ - continuation_bytes_)}; }
  int32_t column() const { return static_cast<int32_t>(pos_ - line_start_ - continuation_bytes_); }

  bool need_more_tokens();
  void fetch();
  void skip_to_token();
  void forget_stale_keys();
  void save_simple_key();
  void drop_simple_key();
  void unwind_indent(int32_t column);
  bool add_indent(int32_t column);
  void push(YamlTokenKind kind, size_t length);
  void fetch_value();
  void fetch_block_entry();
  void fetch_key();
  void fetch_flow_end(YamlTokenKind kind);
  void fetch_directive();
  void fetch_anchor(YamlTokenKind kind);
  void fetch_tag();
  void fetch_block_scalar(bool folded);
  void fetch_quoted(char quote);
  void fetch_plain();
  void scan_block_header(int* chomping, int* increment);
  std::string scan_block_breaks(int32_t indent);
  void scan_escape(const YamlMark& start, std::string* out);
  void scan_quoted_breaks(std::string* out);
  bool scan_plain_spaces(std::string* spaces);
  std::string scan_tag_handle(const char* what, const YamlMark& start);
  std::string scan_tag_uri(const char* what, const YamlMark& start);

  std::string text_;
  std::string source_name_;
  size_t pos_ = 0, line_start_ = 0, continuation_bytes_ = 0;
  int32_t line_ = 0;
  std::deque<YamlToken> tokens_;
  size_t taken_ = 0;
  bool done_ = false;
  bool allow_simple_key_ = true;
  int32_t indent_ = -1;
  std::vector<int32_t> indents_;
  std::vector<SimpleKey> keys_{1};  // one per flow level
  size_t flow_level() const { return keys_.size() - 1; }
};

}  // namespace fathom::config
