// Unicode as Python's unicodedata and str.lower() know it (version 14), over all scripts: what BERT's tokenizers ask of
// a character. Uses no torch; no state, thread-safe. (latin_text.h is the character parsers' own, narrower view.)
#pragma once

#include <string>
#include <vector>

namespace fathom::text {

using CodePoints = std::vector<char32_t>;

bool is_any_punctuation(char32_t c);  // category P, in every script
bool is_control(char32_t c);          // categories Cc, Cf, Co, Cs
bool is_space_separator(char32_t c);  // category Zs
bool is_nonspacing_mark(char32_t c);  // category Mn

// Canonical decomposition and composition (UAX #15).
CodePoints to_nfd(const CodePoints& text);
CodePoints to_nfc(const CodePoints& text);
// Character by character; a capital sigma is never taken for a final one.
CodePoints to_lower(const CodePoints& text);

std::string to_utf8(const CodePoints& text);

}  // namespace fathom::text
