// NeMo's CharTokenizer: a vocabulary file with one Python-quoted character a line ('a', '\t'), special tokens before
// it. Uses no torch; thread-safe after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fathom::text {

class CharTokenizer {
 public:
  // The special tokens take the ids from 0 on, in this order; "" leaves one out.
  struct Specials {
    std::string pad = "<PAD>", unk = "<UNK>", bos = "<BOS>", eos = "<EOS>";
  };
  // Errors: kNoInput for a file that cannot be read; kBadData, with file and line, for a line that is no quoted
  // character.
  explicit CharTokenizer(const std::string& vocab_file) : CharTokenizer(vocab_file, Specials{}) {}
  CharTokenizer(const std::string& vocab_file, const Specials& specials);

  int64_t vocab_size() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t unk_id() const { return unk_id_; }
  // The id of a token, -1 when there is none.
  int64_t token_to_id(const std::string& token) const;
  // Unknown characters become unk, or are left out when there is no unk.
  std::vector<std::string> text_to_tokens(std::string_view text) const;
  std::vector<int64_t> text_to_ids(std::string_view text) const;
  // Special tokens are left out. Throws kUsage for an id outside the vocabulary.
  std::string ids_to_text(const std::vector<int64_t>& ids) const;

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> ids_;
  int64_t special_count_ = 0, unk_id_ = -1;
};

}  // namespace fathom::text
