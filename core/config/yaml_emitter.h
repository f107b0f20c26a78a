// Writes YAML in block style the way PyYAML's emitter does at width 80, so that files made here and there are equal
// byte for byte. Internal to printer.cc. Not thread-safe; one emitter per document.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::config {

// ".inf", "1.0e-05": Python's repr of a float as PyYAML writes it.
std::string yaml_float_text(double value);
// Whether OmegaConf quotes the text, or a YAML 1.1 reader would take it for something other than a string.
bool reads_as_non_string(std::string_view text);

class YamlEmitter {
 public:
  void begin_list(bool empty);
  void item();
  void begin_map(bool empty);
  void begin_key();
  void begin_value();
  void end();  // of the list or map begun last

  void plain(std::string_view text);   // numbers, booleans, null
  void string(std::string_view text);  // quoted where needed
  void binary(std::string_view data);

  std::string finish();  // the document, with its last newline

 private:
  enum class Context { kRoot, kSequence, kMapping, kSimpleKey, kComplexKey };
  struct Level {
    bool is_map = false;
    bool empty = false;
    bool complex_key = false;  // the key at hand was written with '?'
    int indent_before = 0;
  };
  struct Analysis;

  static Analysis analyze(const std::u32string& text);
  void write(std::string_view text, int columns);
  void write(const std::u32string& text, size_t from, size_t to);
  void indicator(std::string_view text, bool need_blank, bool blank_after = false, bool keeps_indention = false);
  void line_break(char32_t code = U'\n');
  void indent_line();
  void scalar(std::string_view text, char wanted_style, bool plain_allowed, std::string_view tag);
  void write_plain(const std::u32string& text, bool split);
  void write_single_quoted(const std::u32string& text, bool split);
  void write_double_quoted(const std::u32string& text, bool split);
  void write_literal(const std::u32string& text);
  void before_key(const std::u32string& text, const Analysis& analysis, size_t tag_length);

  std::string out_;
  int column_ = 0;
  int indent_ = -1;  // -1: before the first container
  bool whitespace_ = true;
  bool indention_ = true;
  Context context_ = Context::kRoot;
  bool awaiting_key_ = false;
  std::vector<Level> levels_;
};

}  // namespace fathom::config
