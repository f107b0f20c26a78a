// Words as pieces that know their word, for models that label words. Uses no torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::nlp {

// No [CLS] or [SEP]: models differ in what they keep of a long text, and so add them themselves.
struct WordPieces {
  std::vector<int64_t> ids;
  std::vector<int64_t> words;  // the word of each piece, counted from 0
  // Whether the piece is the first of its word.
  bool is_first(size_t piece) const { return piece == 0 || words[piece] != words[piece - 1]; }
};

// Each word by itself, as NeMo does (a byte-level tokenizer sees no space before it). A word that gives no piece counts
// as one unknown piece, so that labels stay in step.
WordPieces pieces_of(const text::SubwordTokenizer& tokenizer, const std::vector<std::string>& words);

}  // namespace fathom::nlp
