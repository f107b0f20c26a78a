// What a subword tokenizer of any kind offers (sentencepiece_tokenizer.h, word_piece_tokenizer.h). Uses no torch;
// thread-safe after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

// Ids of the tokens with a meaning of their own; -1: the vocabulary has none.
struct SpecialIds {
  int64_t unk = -1, bos = -1, eos = -1, pad = -1, mask = -1;
};

class SubwordTokenizer {
 public:
  virtual ~SubwordTokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  virtual std::vector<int64_t> text_to_ids(std::string_view text) const = 0;
  // Of a text in a language. A tokenizer of one language has the same ids for all.
  virtual std::vector<int64_t> text_to_ids_in(std::string_view text, std::string_view /*language*/) const {
    return text_to_ids(text);
  }
  // Those that a text may be in; none: it is not asked for.
  virtual std::vector<std::string> languages() const { return {}; }
  // The pieces as they are stored ("▁the", "##ing"); what is unknown stands as it is in the text.
  virtual std::vector<std::string> text_to_tokens(std::string_view text) const = 0;
  // Throws Error(kFailed) for an id outside the vocabulary.
  virtual std::string ids_to_text(const std::vector<int64_t>& ids) const = 0;
  virtual const std::string& id_to_token(int64_t id) const = 0;
  virtual SpecialIds special_ids() const = 0;
  // Whether a word begins with this token.
  virtual bool starts_word(int64_t id) const = 0;

  std::vector<std::string> vocabulary() const {
    std::vector<std::string> out;
    out.reserve(static_cast<size_t>(vocab_size()));
    for (int64_t id = 0; id < vocab_size(); ++id) out.push_back(id_to_token(id));
    return out;
  }
};

}  // namespace fathom::text
