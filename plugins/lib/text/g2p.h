// From a text to phonemes, letters and punctuation: what NeMo calls a G2P. Uses no torch; thread-safe once made.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

// Which words stay letters while a model trains: each word becomes phonemes with the given probability, drawn from
// `seed` and the word's place alone. Without one every word that can become phonemes does.
struct G2pMix {
  std::optional<double> probability;
  uint64_t seed = 0;
  // Whether the word at `place` stays letters.
  bool keeps_letters(uint64_t place) const;
};

class G2p {
 public:
  virtual ~G2p() = default;
  // The symbols of a text that has been cleaned: "hi, you" -> HH AY1 , ␣ Y UW1.
  virtual std::vector<std::string> symbols_of(std::string_view text, const G2pMix& mix) const = 0;
  // What the config says of words kept as letters in training; nothing: none.
  virtual std::optional<double> phoneme_probability() const { return std::nullopt; }
  // Every symbol of the dictionary, of which an IPATokenizer makes its vocabulary; null: not known.
  virtual const std::set<std::string>* known_symbols() const { return nullptr; }
  // Leaves pronunciations out that need other symbols (IPATokenizer's fixed_vocab). Not to be called once in use.
  virtual void replace_symbols(const std::set<std::string>& symbols);
};

// A word that no dictionary has, as symbols; none: it does not know either.
using WordToSymbols = std::function<std::vector<std::string>(const std::string& word)>;

}  // namespace fathom::text
