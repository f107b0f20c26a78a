// Any script in ASCII letters, as NeMo's English parser writes it. Uses no torch; no state, thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace fathom::text {

// What text-unidecode makes of a text, character by character: "Łódź" -> "Lodz", "Ж" -> "Zh", "日本" -> "Ri Ben ",
// "[?]" for a character of the basic plane that it has no text for. What lies beyond that plane (emoji) vanishes.
// Bytes that are no UTF-8 stay as they are.
std::string to_ascii(std::string_view text);

}  // namespace fathom::text
