// English texts as they are spoken: numbers, dates, times, sums of money, measures, telephone numbers, addresses of the
// network, roman numerals and abbreviations become words; what is words already stays, byte for byte. By rules
// (normalization_rules.h), without a grammar to compile or load. Uses no torch; thread-safe once made.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/lib/text/normalization/speech_style.h"

namespace fathom::text {

// What is written, and what is said for it; before all rules, the longest first, as whole words.
using Whitelist = std::vector<std::pair<std::string, std::string>>;
// Lines "written<tab>spoken" of a file; blank lines are passed over. Throws Error (kNoInput, kBadData with file:line).
Whitelist read_whitelist(const std::string& path);

class TextNormalizer {
 public:
  // The whitelist's left sides match whatever the case where the style's any_case says so.
  explicit TextNormalizer(const SpeechStyle& style, Whitelist whitelist = {});
  // Any bytes are taken; what is no UTF-8 stays as it is. Time grows with the length alone.
  std::string normalize(std::string_view text) const;

 private:
  SpeechStyle style_;
  Whitelist whitelist_;
};

}  // namespace fathom::text
