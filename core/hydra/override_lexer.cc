#include "core/hydra/override_lexer.h"

#include <algorithm>

#include "core/config/errors.h"
#include "core/hydra/override_message.h"

namespace fathom::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_id_start(char c) { return is_letter(c) || c == '_'; }
bool is_id_char(char c) { return is_id_start(c) || is_digit(c) || c == '-'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_escapable(char c) { return std::string_view("\\()[]{}:=, \t").find(c) != std::string_view::npos; }
bool is_unquoted(char c) { return std::string_view("/-\\+.$%*@?|").find(c) != std::string_view::npos; }
bool is_non_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Length of `word` at the start of `text`, ignoring case; 0 when it is not there.
size_t match_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return 0;
  for (size_t i = 0; i < word.size(); ++i) {
    if (lower(text[i]) != word[i]) return 0;
  }
  return word.size();
}

// DIGIT ('_'? DIGIT)*
size_t match_digits(std::string_view text) {
  if (text.empty() || !is_digit(text[0])) return 0;
  size_t n = 1;
  while (n < text.size()) {
    if (is_digit(text[n])) {
      ++n;
    } else if (text[n] == '_' && n + 1 < text.size() && is_digit(text[n + 1])) {
      n += 2;
    } else {
      break;
    }
  }
  return n;
}

// '0' or digits that do not start with 0.
size_t match_unsigned(std::string_view text) {
  if (!text.empty() && text[0] == '0') return 1;
  return match_digits(text);
}

size_t match_sign(std::string_view text) { return !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0; }

size_t match_int(std::string_view text) {
  const size_t sign = match_sign(text);
  const size_t digits = match_unsigned(text.substr(sign));
  return digits == 0 ? 0 : sign + digits;
}

size_t match_float(std::string_view text) {
  const size_t sign = match_sign(text);
  const std::string_view body = text.substr(sign);
  if (const size_t n = std::max(match_word(body, "inf"), match_word(body, "nan"))) return sign + n;
  const size_t whole = match_unsigned(body);
  size_t point = 0;  // length of the point form
  if (whole < body.size() && body[whole] == '.') {
    const size_t fraction = match_digits(body.substr(whole + 1));
    if (whole > 0 || fraction > 0) point = whole + 1 + fraction;
  }
  size_t best = point;
  for (const size_t mantissa : {whole, point}) {
    if (mantissa == 0 || mantissa >= body.size() || lower(body[mantissa]) != 'e') continue;
    const size_t exponent_sign = match_sign(body.substr(mantissa + 1));
    const size_t exponent = match_digits(body.substr(mantissa + 1 + exponent_sign));
    if (exponent > 0) best = std::max(best, mantissa + 1 + exponent_sign + exponent);
  }
  return best == 0 ? 0 : sign + best;
}

size_t match_id(std::string_view text) {
  if (text.empty() || !is_id_start(text[0])) return 0;
  size_t n = 1;
  while (n < text.size() && is_id_char(text[n])) ++n;
  return n;
}

size_t match_key_special(std::string_view text) {
  if (text.empty() || !(is_id_start(text[0]) || text[0] == '$')) return 0;
  size_t n = 1;
  while (n < text.size() && (is_id_char(text[n]) || text[n] == '$')) ++n;
  return n;
}

// (KEY_SPECIAL | unsigned int) joined by dots, at least two parts.
size_t match_dot_path(std::string_view text) {
  auto part = [](std::string_view rest) { return std::max(match_key_special(rest), match_unsigned(rest)); };
  size_t n = part(text);
  if (n == 0) return 0;
  size_t parts = 1;
  while (n + 1 < text.size() && text[n] == '.') {
    const size_t next = part(text.substr(n + 1));
    if (next == 0) break;
    n += 1 + next;
    ++parts;
  }
  return parts > 1 ? n : 0;
}

size_t match_escape(std::string_view text) {
  size_t n = 0;
  while (n + 1 < text.size() && text[n] == '\\' && is_escapable(text[n + 1])) n += 2;
  return n;
}

// A quote up to the next one of its kind that is not behind an odd number of backslashes; 0 when there is none.
size_t match_quoted(std::string_view text) {
  if (text.empty() || (text[0] != '\'' && text[0] != '"')) return 0;
  size_t backslashes = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++backslashes;
    } else if (text[i] == text[0] && backslashes % 2 == 0) {
      return i + 1;
    } else {
      backslashes = 0;
    }
  }
  return 0;
}

size_t match_interpolation(std::string_view text) {
  if (text.substr(0, 2) != "${") return 0;
  const size_t close = text.find('}', 2);
  return close == std::string_view::npos || close == 2 ? 0 : close + 1;
}

size_t match_blanks(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && is_blank(text[n])) ++n;
  return n;
}

struct Separator {
  char character;
  TokenKind kind;
  bool blanks_before, blanks_after;
};
constexpr Separator kSeparators[] = {
    {'(', TokenKind::kParenOpen, true, true},   {',', TokenKind::kComma, true, true},
    {')', TokenKind::kParenClose, true, false}, {'[', TokenKind::kBracketOpen, false, true},
    {'{', TokenKind::kBraceOpen, false, true},  {']', TokenKind::kBracketClose, true, false},
    {'}', TokenKind::kBraceClose, true, false}, {':', TokenKind::kColon, true, true},
    {'=', TokenKind::kEqual, true, true},
};

struct Match {
  TokenKind kind = TokenKind::kEnd;
  size_t length = 0;

  // Ties go to the rule tried first.
  void offer(TokenKind k, size_t n) {
    if (n > length) {
      kind = k;
      length = n;
    }
  }
};

Match match_key_token(std::string_view text) {
  Match match;
  switch (text[0]) {
    case '=': match.offer(TokenKind::kEqual, 1 + match_blanks(text.substr(1))); break;
    case '~': match.offer(TokenKind::kTilde, 1); break;
    case '+': match.offer(TokenKind::kPlus, 1); break;
    case '@': match.offer(TokenKind::kAt, 1); break;
    case ':': match.offer(TokenKind::kColon, 1); break;
    case '/': match.offer(TokenKind::kSlash, 1); break;
    default:
      match.offer(TokenKind::kId, match_id(text));
      match.offer(TokenKind::kKeySpecial, match_key_special(text));
      match.offer(TokenKind::kDotPath, match_dot_path(text));
  }
  return match;
}

Match match_value_token(std::string_view text, bool lenient) {
  Match match;
  const size_t blanks = match_blanks(text);
  if (blanks < text.size()) {
    for (const Separator& separator : kSeparators) {
      if (text[blanks] != separator.character || (blanks > 0 && !separator.blanks_before)) continue;
      const size_t end = blanks + 1;
      match.offer(separator.kind, end + (separator.blanks_after ? match_blanks(text.substr(end)) : 0));
    }
  }
  match.offer(TokenKind::kFloat, match_float(text));
  match.offer(TokenKind::kInt, match_int(text));
  match.offer(TokenKind::kBool, std::max(match_word(text, "true"), match_word(text, "false")));
  match.offer(TokenKind::kNull, match_word(text, "null"));
  match.offer(TokenKind::kUnquotedChar, is_unquoted(text[0]) ? 1 : 0);
  match.offer(TokenKind::kId, match_id(text));
  match.offer(TokenKind::kEscape, match_escape(text));
  match.offer(TokenKind::kWhitespace, blanks);
  match.offer(TokenKind::kQuoted, match_quoted(text));
  match.offer(TokenKind::kInterpolation, match_interpolation(text));
  if (lenient && match.length == 0 && (text[0] == '~' || is_non_ascii(text[0]))) {
    size_t n = 1;
    while (n < text.size() && is_non_ascii(text[0]) && is_non_ascii(text[n])) ++n;
    match.offer(TokenKind::kUnquotedChar, n);
  }
  return match;
}

[[noreturn]] void refuse(std::string_view word, size_t offset, bool in_value) {
  const std::string_view rest = word.substr(offset);
  std::string what, hint;
  if (rest[0] == '\'' || rest[0] == '"') {
    what = "a quote without its end";
    hint = "close the quote; before a closing quote the number of backslashes must be even";
  } else if (in_value) {
    what = "unexpected character " + quote_character(rest);
    hint = "put the value in quotes (and those in quotes for the shell): key='\"…\"'";
  } else {
    what = "unexpected character " + quote_character(rest) + " in the key";
    hint = rest[0] == '[' ? "write list elements with dots: a.0.b"
                          : "a key is made of names and numbers joined by dots, or of a group path a/b";
  }
  throw_override_parse_error(word, offset, what, hint);
}

}  // namespace

std::vector<OverrideToken> lex_override(std::string_view word, const LexerOptions& options) {
  std::vector<OverrideToken> tokens;
  bool in_value = false;
  size_t offset = 0;
  while (offset < word.size()) {
    const std::string_view rest = word.substr(offset);
    const Match match = in_value ? match_value_token(rest, options.lenient) : match_key_token(rest);
    if (match.length == 0) refuse(word, offset, in_value);
    tokens.push_back({match.kind, rest.substr(0, match.length), offset});
    in_value = in_value || match.kind == TokenKind::kEqual;
    offset += match.length;
  }
  tokens.push_back({TokenKind::kEnd, word.substr(word.size()), word.size()});
  return tokens;
}

std::string describe_token(const OverrideToken& token) {
  if (token.kind == TokenKind::kEnd) return "the end of the word";
  if (token.kind == TokenKind::kWhitespace) return "a blank";
  return "'" + std::string(token.text) + "'";
}

}  // namespace fathom::config
