// Edit distance over words and characters: the totals that `transcribe` reports. No torch.
#pragma once

#include <cstdint>
#include <string>

namespace fathom {

struct EditCounts {
  int64_t errors = 0, length = 0;  // edits, and units of the reference
};
// Words are split at blanks.
EditCounts word_errors(const std::string& reference, const std::string& hypothesis);
// Characters are Unicode code points.
EditCounts character_errors(const std::string& reference, const std::string& hypothesis);

}  // namespace fathom
