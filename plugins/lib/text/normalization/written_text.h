// A text as the rules of the normaliser read it: bytes of UTF-8, of which the ASCII ones and a few signs mean something
// to them; other letters only tell where words end. Positions beyond the end read as NUL. Uses no torch; thread-safe
// once made.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_ascii_letter(char c) { return is_upper(c) || is_lower(c); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
std::string lower_ascii(std::string_view text);

// "1,234.50": digits without commas, and what follows a point that has digits behind it.
struct WrittenNumber {
  std::string digits;    // empty: ".5"
  std::string fraction;  // empty: none
  bool commas = false;
  size_t end = 0;
  // What follows is no further part of a number ("1.2.3", "5a").
  bool is_whole_word = false;
};

class WrittenText {
 public:
  explicit WrittenText(std::string_view text);  // which must stay
  size_t size() const { return text_.size(); }
  char operator[](size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  std::string_view part(size_t begin, size_t end) const { return text_.substr(begin, end - begin); }
  bool starts(size_t at, std::string_view literal) const {
    return at <= text_.size() && text_.substr(at).starts_with(literal);
  }
  // The same, whatever the case; `literal` in lower case.
  bool starts_any_case(size_t at, std::string_view literal) const;
  size_t digits_end(size_t at) const;
  size_t letters_end(size_t at) const;  // ASCII letters alone
  size_t blanks_end(size_t at) const;
  // Behind a hyphen or an en dash, or `at`.
  size_t dash_end(size_t at) const;
  // One blank or none ("5 km", "5km"); nothing where there are more.
  size_t skip_blank(size_t at) const { return at + ((*this)[at] == ' ' ? 1 : 0); }
  // Whether the byte belongs to a letter or a digit. Raised digits, fractions of one sign and degrees are none.
  bool in_word(size_t at) const { return at < in_word_.size() && in_word_[at]; }
  // No word goes on at `at`, or ends just before it.
  bool ends_word(size_t at) const { return !in_word(at); }
  bool begins_word(size_t at) const { return at == 0 || !in_word(at - 1); }
  // Letters of a word of ASCII letters at `at`, and before it (over blanks; a full stop behind the word is passed
  // over).
  std::string_view word_at(size_t at) const { return part(at, letters_end(at)); }
  std::string_view word_before(size_t at) const;
  // A number without a sign at `at`, or nothing.
  std::optional<WrittenNumber> number_at(size_t at) const;

 private:
  std::string_view text_;
  std::vector<bool> in_word_;
};

// Whether `word` is one of them.
bool one_of(std::string_view word, std::span<const std::string_view> words);
inline bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return one_of(word, std::span(words.begin(), words.size()));
}

}  // namespace fathom::text
