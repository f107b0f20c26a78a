// Tokenizer models of strangers: a SentencePiece model or a WordPiece vocabulary, and a text that goes through it. The
// input is a line of text, then the file; a file that begins as no model does is a vocabulary.
#include <algorithm>

#include "fathom/utf8.h"
#include "plugins/lib/text/sentencepiece_tokenizer.h"
#include "plugins/lib/text/word_piece_tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void use(const text::SubwordTokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.text_to_ids(text);
  for (const int64_t id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
  }
  tokenizer.text_to_tokens(text);
  tokenizer.ids_to_text(ids);
  // Every id is one that a decoder may give.
  std::vector<int64_t> all(static_cast<size_t>(std::min<int64_t>(tokenizer.vocab_size(), 1000)));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  tokenizer.ids_to_text(all);
}

void one_input(std::string_view input) {
  const size_t end = input.find('\n');
  if (end == std::string_view::npos) return;
  const std::string_view text = input.substr(0, end), file = input.substr(end + 1);
  if (!file.empty() && file[0] == '\x0a') {  // the key of the first piece
    use(text::SentencePieceTokenizer(text::SentencePieceModel::parse(file, "fuzz.model"), "fuzz.model"), text);
  } else {
    text::WordPieceTokenizer::Config config;
    config.do_lower_case = file.size() % 2 == 0;
    use(text::WordPieceTokenizer(file, "vocab.txt", config), text);
  }
}

}  // namespace

FATHOM_FUZZ(one_input)
