// Tokens of one command line override, after Hydra 1.3's override grammar (override_grammar in its documentation).
//
// The lexer has two modes: the key (up to the first '=') and the value. Like the original it always takes the longest
// token, so "1e-3x" is a float followed by an identifier, and a primitive of two tokens is a string.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::config {

enum class TokenKind {
  kEqual,
  kTilde,
  kPlus,
  kAt,
  kColon,
  kSlash,
  kId,          // [A-Za-z_][A-Za-z0-9_-]*
  kKeySpecial,  // the same with '$' (key mode only)
  kDotPath,     // a.b, a.0, 1.a (key mode only)
  kParenOpen,
  kParenClose,
  kComma,
  kBracketOpen,
  kBracketClose,
  kBraceOpen,
  kBraceClose,
  kFloat,
  kInt,
  kBool,
  kNull,
  kUnquotedChar,  // one of / - \ + . $ % * @ ? |
  kEscape,        // one or more of \\ \( \) \[ \] \{ \} \: \= \, "\ " "\<tab>"
  kWhitespace,
  kQuoted,
  kInterpolation,  // ${ up to the first }
  kEnd,
};

struct OverrideToken {
  TokenKind kind;
  std::string_view text;  // with the blanks that a separator swallows; points into the word
  size_t offset = 0;      // in bytes from the start of the word
};

struct LexerOptions {
  // Also takes unquoted non-ASCII text and '~' in values, and '=' inside an unquoted value, as plain characters.
  bool lenient = false;
};

// The tokens of `word`, ended by kEnd; `word` must outlive them.
// Throws ConfigError OverrideParseException with a caret under the character no token starts with.
std::vector<OverrideToken> lex_override(std::string_view word, const LexerOptions& options = {});

// For messages: "'='", "end of the word", "number 1e-3" …
std::string describe_token(const OverrideToken& token);

}  // namespace fathom::config
