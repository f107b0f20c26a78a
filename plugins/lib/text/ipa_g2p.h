// NeMo's IpaG2p: words by a dictionary of IPA. Uses no torch; thread-safe once made.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "plugins/lib/text/g2p.h"
#include "plugins/lib/text/pronunciation_dictionary.h"

namespace fathom::text {

class IpaG2p final : public G2p {
 public:
  enum class GraphemeCase { kUpper, kLower, kMixed };
  struct Config {
    PronunciationDictionary dictionary;
    std::string locale = "en-US";  // "": none
    std::vector<std::string> heteronyms;
    WordToSymbols unknown_word;  // may be empty: such words are spelled
    bool ignore_ambiguous_words = true;
    enum class Ambiguous { kSpell, kFirst, kUnknownWord } ambiguous = Ambiguous::kSpell;  // english_g2p.h
    bool use_chars = false, use_stresses = true;
    GraphemeCase grapheme_case = GraphemeCase::kUpper;
    std::string grapheme_prefix;
    std::optional<double> phoneme_probability;
  };
  // Throws kFailed for a locale that is not known.
  explicit IpaG2p(Config config);

  std::vector<std::string> symbols_of(std::string_view text, const G2pMix& mix) const override;
  std::optional<double> phoneme_probability() const override { return config_.phoneme_probability; }
  const std::set<std::string>* known_symbols() const override { return &symbols_; }
  void replace_symbols(const std::set<std::string>& symbols) override;

 private:
  using Symbols = std::vector<std::string>;
  std::string cased(const std::string& word) const;
  void append_spelled(const std::string& word, Symbols& out) const;
  bool append_word(const std::string& given, bool keep_letters, Symbols& out) const;
  // Words that the dictionary has, without or with their s, or behind a French l' or qu'.
  bool append_plural(const std::string& word, Symbols& out) const;
  bool append_elision(const std::string& word, Symbols& out) const;
  bool append_ambiguous(const std::string& word, Symbols& out) const;
  // The word itself or in capitals, whichever the dictionary has; null: neither.
  const std::pair<const std::string, Pronunciations>* find(const std::string& word) const;
  bool is_settled(const Pronunciations& pronunciations) const {
    return !config_.ignore_ambiguous_words || pronunciations.size() == 1;
  }

  Config config_;
  std::unordered_map<std::string, Pronunciations> words_;
  std::unordered_set<std::string> heteronyms_;
  std::set<std::string> symbols_;
};

}  // namespace fathom::text
