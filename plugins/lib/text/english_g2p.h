// NeMo's EnglishG2p: words by a dictionary of ARPABET phonemes. Uses no torch; thread-safe once made.
#pragma once

#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "plugins/lib/text/g2p.h"
#include "plugins/lib/text/pronunciation_dictionary.h"
#include "plugins/lib/text/spoken_text.h"

namespace fathom::text {

class EnglishG2p final : public G2p {
 public:
  struct Config {
    PronunciationDictionary dictionary;  // words in lower case
    std::unordered_set<std::string> heteronyms;
    WordToSymbols unknown_word;  // may be empty: such words are spelled
    bool ignore_ambiguous_words = true;
    // What becomes of heteronyms, and of words with several pronunciations that are ignored: spelled, as in NeMo; the
    // first pronunciation; or unknown_word's answer.
    enum class Ambiguous { kSpell, kFirst, kUnknownWord } ambiguous = Ambiguous::kSpell;
    bool any_locale_words = false;  // word_tokenize_func
    std::optional<double> phoneme_probability;
  };
  explicit EnglishG2p(Config config);

  // Per word: letters by `mix`; no letter or digit: its characters; heteronyms: letters; 's and s behind a known stem:
  // its phonemes and Z; the dictionary; unknown_word, unless it gives nothing; the parts between hyphens; letters.
  std::vector<std::string> symbols_of(std::string_view text, const G2pMix& mix) const override;
  std::optional<double> phoneme_probability() const override { return config_.phoneme_probability; }

 private:
  // Appends a word's symbols; false: it is not known and was spelled.
  bool append_word(const std::string& word, bool keep_letters, std::vector<std::string>& out) const;
  const std::vector<std::string>* known(std::string_view word) const;  // in the dictionary, and not ambiguous
  bool append_ambiguous(const std::string& word, std::vector<std::string>& out) const;

  Config config_;
  std::unordered_map<std::string, Pronunciations> words_;
};

}  // namespace fathom::text
