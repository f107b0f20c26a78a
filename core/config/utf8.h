// Decoding and encoding single UTF-8 characters. Thread-safe: no state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom::config {

// The bytes of the character that starts at `offset`, 0 when they are no UTF-8.
size_t decode_utf8(std::string_view text, size_t offset, char32_t* code);
void append_utf8(char32_t code, std::string* out);

}  // namespace fathom::config
