// Base64 as Python's base64.encodebytes and decodebytes have it, for YAML's !!binary. Thread-safe: no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::config {

// Lines of 76 characters, each with its line feed.
std::string encode_base64(std::string_view data);

// What is no base64 character is skipped, and padding that ends a group ends the text. None when the last group is not
// whole.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace fathom::config
