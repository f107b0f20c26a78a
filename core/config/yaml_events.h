// The events of one YAML text: libyaml's, less what PyYAML refuses and libyaml lets pass.
//
// PyYAML takes tabs only in quotes, block scalars and comments, ends a plain flow scalar at '?', and knows a byte order
// mark at the start alone. Not thread-safe; one stream per text.
#pragma once

#include <yaml.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "core/config/errors.h"
#include "core/config/node.h"

namespace fathom::config {

class YamlEvents {
 public:
  // `text` must outlive the stream.
  YamlEvents(std::string_view text, const std::string& source_name);
  YamlEvents(const YamlEvents&) = delete;
  YamlEvents& operator=(const YamlEvents&) = delete;
  ~YamlEvents();

  // The event at hand; it and its strings live until skip(). Throws ConfigError ReaderError, ScannerError, ParserError.
  const yaml_event_t& peek();
  void skip();
  bool next_is(yaml_event_type_t type) { return peek().type == type; }

  Origin origin(const yaml_mark_t& mark) const;

 private:
  [[noreturn]] void throw_problem() const;
  [[noreturn]] void throw_reader_problem() const;
  [[noreturn]] void throw_at(size_t byte, const char* kind, std::string what, const char* next) const;
  [[noreturn]] void throw_byte_order_mark(size_t byte) const;
  void check_flow();
  void check_blanks();
  size_t check_gap(size_t from, size_t to) const;
  size_t byte_at(const yaml_mark_t& mark);

  std::string_view text_;
  const std::string* source_;
  bool has_tabs_or_marks_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool has_event_ = false;
  size_t flow_level_ = 0;
  // How far the text was looked through: libyaml counts characters, the text is bytes.
  size_t seen_characters_ = 0, seen_bytes_ = 0, checked_bytes_ = 0;
};

}  // namespace fathom::config
