// Parses command line overrides; see override.h and override_lexer.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/hydra/override.h"

namespace fathom::config {

struct OverrideParseOptions {
  // Accepts, in unquoted values, what Hydra refuses but can only mean one thing: '=' inside the value
  // (`ckpt=epoch=9-step=1.ckpt`), '~' and non-ASCII letters.
  bool lenient = false;
  // The word before this one on the command line, for the hint when a blank split a value in two.
  std::string_view previous_word = {};
};

// Throws ConfigError OverrideParseException: the word, what is wrong, a caret under the place, and a hint where the
// usual cause is known (a list split by the shell, a missing quote).
Override parse_override(std::string_view word, const OverrideParseOptions& options = {});
std::vector<Override> parse_overrides(const std::vector<std::string>& words, const OverrideParseOptions& options = {});

}  // namespace fathom::config
