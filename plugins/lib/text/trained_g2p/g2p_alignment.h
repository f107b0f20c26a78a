// Which letters of a word make which phonemes: by expectation-maximisation over all ways to pair one or two letters
// with none to two phonemes (not two with two). Uses no torch.
#pragma once

#include <functional>
#include <vector>

#include "plugins/lib/text/trained_g2p/g2p_model.h"

namespace fathom::text {

struct SpelledWord {
  std::vector<char32_t> letters;
  std::vector<uint8_t> phonemes;
};
struct AlignedWords {
  std::vector<Graphone> graphones;           // sorted
  std::vector<std::vector<uint32_t>> words;  // each word's likeliest graphones; empty: it cannot be aligned
};
// `after_round` may throw to end.
AlignedWords align_words(const std::vector<SpelledWord>& words, int rounds,
                         const std::function<void(int)>& after_round);

}  // namespace fathom::text
