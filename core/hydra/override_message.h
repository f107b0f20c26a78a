// How errors about a command line word are shown: the word, what is wrong, a caret under the place, a hint.
#pragma once

#include <string>
#include <string_view>

namespace fathom::config {

// "'é'": the first character (not byte) of `text` in quotes; control characters as \r, \n, \x01.
std::string quote_character(std::string_view text);

// Throws ConfigError OverrideParseException; `offset` is in bytes, the caret counts characters.
[[noreturn]] void throw_override_parse_error(std::string_view word, size_t offset, const std::string& what,
                                             const std::string& hint = {});

}  // namespace fathom::config
