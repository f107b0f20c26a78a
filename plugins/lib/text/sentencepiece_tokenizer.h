// SentencePiece: text to pieces and back with a model file (tokenizer.model), as the library of that name and NeMo's
// SentencePieceTokenizer. Uses no torch; thread-safe after construction.
//
// Algorithms: BPE (Sennrich et al. 2016, arXiv:1508.07909), unigram (Kudo 2018, arXiv:1804.10959: the likeliest
// segmentation by Viterbi), words and characters. Sampling (BPE-dropout, n-best) is training's of a model, not here.
#pragma once

#include <memory>
#include <unordered_map>

#include "plugins/lib/text/byte_trie.h"
#include "plugins/lib/text/sentencepiece_model.h"
#include "plugins/lib/text/sentencepiece_normalizer.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::text {

class SentencePieceTokenizer final : public SubwordTokenizer {
 public:
  // Errors: kNoInput for a file that cannot be read; kBadData for one that is no model, or is damaged.
  static std::shared_ptr<const SentencePieceTokenizer> open(const std::string& model_file);
  SentencePieceTokenizer(SentencePieceModel model, const std::string& source);
  SentencePieceTokenizer(const SentencePieceTokenizer&) = delete;  // its maps point into its model
  SentencePieceTokenizer& operator=(const SentencePieceTokenizer&) = delete;

  int64_t vocab_size() const override { return static_cast<int64_t>(model_.pieces.size()); }
  std::vector<int64_t> text_to_ids(std::string_view text) const override;
  std::vector<std::string> text_to_tokens(std::string_view text) const override;
  std::string ids_to_text(const std::vector<int64_t>& ids) const override;
  const std::string& id_to_token(int64_t id) const override { return piece(id).text; }
  SpecialIds special_ids() const override { return specials_; }
  // A piece that begins with the mark of a space, or an unknown one.
  bool starts_word(int64_t id) const override;
  // The unknown id for a text that is no piece.
  int64_t token_to_id(std::string_view token) const;
  const SentencePieceModel& model() const { return model_; }

 private:
  struct Token {
    std::string_view text;  // within the normalised text
    int32_t id;
  };
  using Tokens = std::vector<Token>;
  struct Encoded {
    std::vector<int64_t> ids;
    std::vector<std::string> pieces;
  };

  const SentencePieceModel::Piece& piece(int64_t id) const;
  bool is(int32_t id, SentencePieceModel::Type type) const {
    return model_.pieces[static_cast<size_t>(id)].type == type;
  }
  // A piece that a text can be cut into, or -1.
  int32_t find(std::string_view text) const;
  // Bytes of the user-defined symbol or, where there is none, of the character that `text` begins with.
  size_t first_symbol(std::string_view text, bool* is_user_defined) const;

  Tokens segment(std::string_view normalized) const;
  Tokens merge_pairs(std::string_view normalized) const;
  Tokens likeliest(std::string_view normalized) const;
  Encoded encode(std::string_view text) const;

  SentencePieceModel model_;
  // Normal, user-defined and unused pieces; the others are never found in a text.
  std::unordered_map<std::string_view, int32_t> pieces_;
  std::unordered_map<std::string_view, int32_t> reserved_;
  ByteTrie user_defined_, trie_;  // trie_: pieces_, for unigram
  size_t longest_piece_ = 0;
  float min_score_ = 0, max_score_ = 0;
  int32_t unk_id_ = 0;
  int32_t byte_ids_[256] = {};
  SpecialIds specials_;
  std::unique_ptr<const SentencePieceNormalizer> normalizer_, denormalizer_;
};

}  // namespace fathom::text
