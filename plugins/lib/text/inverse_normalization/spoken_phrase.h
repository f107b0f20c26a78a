// A spoken text cut up for the rules of inverse normalization: words without the punctuation at their edges, and words
// into atoms, which are number words where the whole word is made of them ("twentythree" is two atoms) and the word
// itself otherwise. Uses no torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text::inverse {

// Number words by value up to ninety; then the names of the groups of three digits, and those of India's two digits.
enum class NumberWord : uint8_t {
  kNone,
  kZero,
  kUnit,      // one to nine
  kTeen,      // ten to nineteen
  kTens,      // twenty, thirty, ..., ninety
  kHundred,   //
  kGroup,     // thousand, million, ..., sextillion; value: 0 for sextillion, ..., 6 for thousand
  kQuantity,  // septillion and above: only behind a number, never in it
  kIndian,    // shankh (0), padma, nil, kharab, arab, crore, lakh (6), and their plurals
};

struct Atom {
  std::string_view text;
  NumberWord number = NumberWord::kNone;
  uint8_t value = 0;     // one: 1, nineteen: 19, ninety: 90
  bool ordinal = false;  // "fifth", "thousandth": number and value are those of the cardinal
  bool capital = false;  // only its first letter was put in lower case to find the number word
  bool first = false;    // of its word
  uint32_t word = 0;

  bool is(NumberWord kind) const { return number == kind && !ordinal; }
};

struct SpokenWord {
  size_t begin = 0, end = 0;            // in the text, punctuation included
  size_t core_begin = 0, core_end = 0;  // without
  size_t first_atom = 0;
  size_t run_end = 0;  // the word behind the last that is reached from here without passing punctuation

  size_t head() const { return core_begin - begin; }
  size_t tail() const { return end - core_end; }
};

struct SpokenPhrase {
  std::string text;  // words with single spaces between
  std::vector<SpokenWord> words;
  std::vector<Atom> atoms;
  bool has_indian = false;  // lakhs, crores
  bool has_dot = false;     // the word "dot"

  explicit SpokenPhrase(std::string_view spoken);
  SpokenPhrase(const SpokenPhrase&) = delete;
  SpokenPhrase& operator=(const SpokenPhrase&) = delete;

  size_t first_atom(size_t word) const { return word < words.size() ? words[word].first_atom : atoms.size(); }
  // The text from one word's core to another's.
  std::string_view between(size_t first_word, size_t last_word) const {
    return std::string_view(text).substr(words[first_word].core_begin,
                                         words[last_word].core_end - words[first_word].core_begin);
  }
};

// "hundredth" -> the atom of "hundred", ordinal; nothing for what is no number word in lower case.
std::optional<Atom> number_word(std::string_view word);

}  // namespace fathom::text::inverse
