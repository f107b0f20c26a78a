// A tokenizer on plugins/lib/text, built twice: once on the library as it is, once on an older version of it. It also
// counts how often the library was asked in this plugin, in a static of the library's own namespace.
#include "fathom/tokenizer.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
int calls = 0;  // the same name in both plugins
}

namespace {

class Words final : public fathom::Tokenizer {
 public:
  int64_t vocab_size() const override { return fathom::text::calls; }
  std::vector<int64_t> encode(std::string_view text) const override {
    ++fathom::text::calls;
    std::vector<int64_t> lengths;
    for (const auto& word : fathom::text::split_words(text))
      lengths.push_back(static_cast<int64_t>(fathom::text::code_points(word).size()));
    return lengths;
  }
  std::string decode(const std::vector<int64_t>&) const override { return ""; }
  std::string piece(int64_t) const override { return ""; }
};

}  // namespace

FATHOM_PLUGIN(WORDS_NAME, "1.0", "Apache-2.0", "the tests", "") {
  r.add<Words>(WORDS_NAME ".Words", "lengths of words");
}
