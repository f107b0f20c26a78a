// Token ids to text for decoding: characters, or the pieces of a tokenizer. Uses no torch; thread-safe after
// construction.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::text {

class Vocabulary {
 public:
  enum class Kind { kCharacters, kSentencePiece, kTokenizer };
  Vocabulary() = default;
  Vocabulary(std::vector<std::string> tokens, Kind kind);
  // The tokenizer decodes; words begin where it says.
  explicit Vocabulary(std::shared_ptr<const SubwordTokenizer> tokenizer);

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t blank() const { return size(); }  // the class after the last token
  Kind kind() const { return kind_; }
  const std::string& token(int64_t id) const { return tokens_.at(id); }

  // Text of a sequence without blanks. kCharacters: the tokens joined. kSentencePiece: pieces joined, U+2581 is a blank
  // (none at the start), <unk> is " ⁇ ".
  std::string decode(const std::vector<int64_t>& ids) const;
  // decode, then without the white space right before each punctuation mark of the vocabulary: one character, not all.
  std::string decode_text(const std::vector<int64_t>& ids) const;
  std::string token_text(int64_t id) const { return decode({id}); }
  // Whether a word begins at this token. kCharacters: never (words lie between delimiters).
  bool starts_word(int64_t id) const;
  // Whether the token's text begins with a punctuation mark of the vocabulary, and whether it is one.
  bool begins_with_punctuation(int64_t id) const;
  bool is_punctuation_mark(int64_t id) const;

 private:
  void note_punctuation();

  std::vector<std::string> tokens_;
  std::shared_ptr<const SubwordTokenizer> tokenizer_;  // of kTokenizer
  Kind kind_ = Kind::kCharacters;
  // Of category P, in any token that is text: none of "[PAD]", "<unk>", "##ing" and pieces with a word mark.
  std::set<char32_t> punctuation_;
};

}  // namespace fathom::text
