// WordPiece with BERT's basic tokenizer before it: vocab.txt, one token a line; text is cleaned, cut at white space and
// punctuation, and each word into the longest pieces from the left, "##" before all but the first (Devlin et al. 2018,
// arXiv:1810.04805). As transformers' BertTokenizer and NeMo's AutoTokenizer with a vocabulary file. Uses no torch;
// thread-safe after construction.
#pragma once

#include <memory>
#include <unordered_map>

#include "plugins/lib/text/subword_tokenizer.h"
#include "plugins/lib/text/unicode.h"

namespace fathom::text {

class WordPieceTokenizer final : public SubwordTokenizer {
 public:
  struct Config {
    bool do_lower_case = false;  // also strips accents, as BERT's uncased models
    std::string unk = "[UNK]", sep = "[SEP]", pad = "[PAD]", cls = "[CLS]", mask = "[MASK]";
  };
  static constexpr size_t kMaxFileBytes = size_t{64} << 20, kMaxTokens = 1'000'000;
  static constexpr size_t kMaxWordCharacters = 100;  // a longer word is unknown

  // Special tokens that the vocabulary lacks get the ids behind its last, as in transformers. Errors: kNoInput for a
  // file that cannot be read; kBadData for one that holds no token, or too many.
  static std::shared_ptr<const WordPieceTokenizer> open(const std::string& vocab_file) {
    return open(vocab_file, Config{});
  }
  static std::shared_ptr<const WordPieceTokenizer> open(const std::string& vocab_file, const Config& config);
  // `vocabulary` is the text of such a file.
  WordPieceTokenizer(std::string_view vocabulary, const std::string& source, const Config& config);

  int64_t vocab_size() const override { return static_cast<int64_t>(tokens_.size()); }
  std::vector<int64_t> text_to_ids(std::string_view text) const override;
  std::vector<std::string> text_to_tokens(std::string_view text) const override;
  // Words joined by single spaces, special tokens left out.
  std::string ids_to_text(const std::vector<int64_t>& ids) const override;
  const std::string& id_to_token(int64_t id) const override;
  // bos is [CLS], eos is [SEP], as NeMo takes them.
  SpecialIds special_ids() const override {
    return {id_of(config_.unk), id_of(config_.cls), id_of(config_.sep), id_of(config_.pad), id_of(config_.mask)};
  }
  bool starts_word(int64_t id) const override { return !id_to_token(id).starts_with("##"); }
  // -1 when there is no such token.
  int64_t token_to_id(std::string_view token) const;

  // The words that are cut into pieces.
  std::vector<std::string> basic_words(std::string_view text) const;

 private:
  int64_t id_of(const std::string& token) const { return token_to_id(token); }
  bool is_special(std::string_view token) const;
  void split_part(std::string_view part, std::vector<std::string>& words) const;
  void cut_word(const std::string& word, std::vector<std::string>& pieces) const;

  Config config_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> ids_;
  size_t longest_token_ = 0;
};

}  // namespace fathom::text
