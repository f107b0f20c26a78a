// SentencePiece's normalisation of a text before it is cut into pieces: characters are replaced by a table that the
// model carries (usually NFKC with a little more), spaces are joined and marked. Uses no torch; thread-safe.
//
// The table ("precompiled charsmap") is a double-array trie, darts-clone's, from character sequences to places in a
// block of zero-terminated replacements: 4 bytes with the trie's size in bytes, the trie's 32-bit units, the block; all
// little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lib/text/byte_trie.h"
#include "plugins/lib/text/sentencepiece_model.h"

namespace fathom::text {

class SentencePieceNormalizer {
 public:
  static constexpr std::string_view kSpaceSymbol = "\u2581";
  static constexpr std::string_view kReplacementCharacter = "\uFFFD";  // of what is no UTF-8

  // `user_defined`, which must outlive this, holds symbols that are taken as they are. Error(kBadData) for a table that
  // is cut short.
  SentencePieceNormalizer(const SentencePieceModel::Normalization& spec, bool whitespace_is_suffix,
                          const ByteTrie& user_defined, const std::string& source);

  // Error(kBadData) for a table that blows the text up beyond all measure.
  std::string normalize(std::string_view text) const;

 private:
  struct Step {
    std::string_view replacement;
    size_t consumed;
  };
  Step first_step(std::string_view text) const;
  uint32_t unit(size_t index) const { return units_[index]; }

  bool add_dummy_prefix_, remove_extra_whitespaces_, escape_whitespaces_, whitespace_is_suffix_;
  const ByteTrie& user_defined_;
  std::string source_;
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace fathom::text
