// A text, normalized in both conventions: any bytes are taken, and words without figures and signs stay.
#include <algorithm>

#include "plugins/lib/text/normalization/text_normalizer.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  static const text::TextNormalizer lj(text::kLjSpeechStyle), nemo(text::kNemoStyle);
  const std::string spoken = lj.normalize(bytes);
  nemo.normalize(bytes);
  const bool plain = std::all_of(bytes.begin(), bytes.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == ' '; });
  if (plain) fuzz::must_equal(spoken, std::string(bytes), "a text of words");
}

}  // namespace

FATHOM_FUZZ(one_input)
