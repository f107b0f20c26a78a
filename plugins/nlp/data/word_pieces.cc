#include "plugins/nlp/data/word_pieces.h"

namespace fathom::nlp {

WordPieces pieces_of(const text::SubwordTokenizer& tokenizer, const std::vector<std::string>& words) {
  WordPieces out;
  for (size_t i = 0; i < words.size(); ++i) {
    std::vector<int64_t> ids = tokenizer.text_to_ids(words[i]);
    if (ids.empty()) ids.push_back(tokenizer.special_ids().unk);
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.words.insert(out.words.end(), ids.size(), static_cast<int64_t>(i));
  }
  return out;
}

}  // namespace fathom::nlp
