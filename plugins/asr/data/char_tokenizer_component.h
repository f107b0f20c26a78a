// The component asr.CharTokenizer.
#pragma once

#include "fathom/tokenizer.h"
#include "plugins/lib/text/char_tokenizer.h"

namespace fathom::asr {

// One id per character of a vocabulary file, as NeMo's CharTokenizer.
class CharTokenizerComponent final : public Tokenizer {
 public:
  struct Options {
    std::string vocab_file;
    static void describe(OptionSet<Options>& o) {
      o.required("vocab_file", &Options::vocab_file, "file with one quoted character a line");
    }
  };
  explicit CharTokenizerComponent(const Options& options) : tokenizer_(options.vocab_file) {}
  int64_t vocab_size() const override { return tokenizer_.vocab_size(); }
  std::vector<int64_t> encode(std::string_view text) const override { return tokenizer_.text_to_ids(text); }
  std::string decode(const std::vector<int64_t>& ids) const override { return tokenizer_.ids_to_text(ids); }
  std::string piece(int64_t id) const override { return tokenizer_.ids_to_text({id}); }

 private:
  text::CharTokenizer tokenizer_;
};

}  // namespace fathom::asr
