// Unicode as Python's unicodedata knows it (version 14): what BERT's tokenizers ask of a character besides its case and
// whether it is punctuation, which is latin_text.h's. Uses no torch; no state, thread-safe.
#pragma once

#include <string>
#include <vector>

namespace fathom::text {

using CodePoints = std::vector<char32_t>;

bool is_control(char32_t c);          // categories Cc, Cf, Co, Cs
bool is_space_separator(char32_t c);  // category Zs
bool is_nonspacing_mark(char32_t c);  // category Mn

// Canonical decomposition and composition (UAX #15).
CodePoints to_nfd(const CodePoints& text);
CodePoints to_nfc(const CodePoints& text);
std::string to_utf8(const CodePoints& text);

}  // namespace fathom::text
