// A text in pieces that are spoken one after the other. Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// The sentences of a text, their ends trimmed. What ends one: an empty line; one of . ! ? … and closing quotes or
// brackets after it, before white space; but not the dot of a known abbreviation ("Dr. Smith"), of an initial ("J. R.
// R. Tolkien"), or one after which a small letter comes. One that is longer than `longest` bytes is cut after a comma,
// semicolon, colon or dash, else at a space, else between characters. Empty for a text of white space.
std::vector<std::string> split_sentences(std::string_view text, size_t longest = 600);

}  // namespace fathom
