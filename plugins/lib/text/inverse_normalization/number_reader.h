// Reads numbers from the atoms of a spoken text: the finite-state grammars of NeMo's English inverse normalization as
// functions that give every end a number may have. Uses no torch.
#pragma once

#include <string>
#include <vector>

#include "plugins/lib/text/inverse_normalization/spoken_phrase.h"

namespace fathom::text::inverse {

// Costs are in units of 1e-4 of the peer's weights, so that sums are exact.
using Cost = int64_t;
inline constexpr Cost kUnitCost = 10000;

// A part of a text that a rule read: the atom behind it, what is written, and the peer's weight for it.
struct Reading {
  size_t end = 0;
  std::string written;
  Cost cost = 0;
  bool ordinal = false;
  bool open = false;  // a number that ends with tens, a hundred or a group
};
using Readings = std::vector<Reading>;

// What a rule sees: atoms up to the next punctuation.
class SpokenReader {
 public:
  SpokenReader(const SpokenPhrase& phrase, size_t word, bool cased)
      : phrase_(phrase), limit_(phrase.first_atom(phrase.words[word].run_end)), cased_(cased) {}

  const SpokenPhrase& phrase() const { return phrase_; }
  size_t limit() const { return limit_; }
  bool cased() const { return cased_; }
  const Atom& atom(size_t i) const { return phrase_.atoms[i]; }
  // Whether a word begins at i, which is within the run.
  bool word_at(size_t i) const { return i < limit_ && atom(i).first; }
  // Whether a reading that ends before i ends with a word.
  bool ends_word(size_t i) const { return i >= limit_ || atom(i).first; }
  bool is(size_t i, std::string_view word) const { return word_at(i) && atom(i).text == word; }
  // As the peer's cased grammars: the first letter may be a capital.
  bool is_cased(size_t i, std::string_view word) const;
  // The atom behind the words of `words` (single spaces), or 0.
  size_t after_words(size_t i, std::string_view words) const;
  // The number word at i, unless it is an ordinal or its capital is not allowed here.
  bool number_at(size_t i, NumberWord kind, bool capital_ok) const;
  bool capital_allowed() const { return cased_; }

  // One to nine, as a digit; with kZero also zero.
  bool digit_at(size_t i, bool capital_ok, char* digit, bool zero = false) const;
  // Ten to nineteen, and twenty to ninety-nine; each with all its ends.
  void teens(size_t i, bool capital_ok, Readings& out) const;
  void tens(size_t i, bool capital_ok, Readings& out) const;
  // Cardinals and ordinals that begin at i, without leading zeros. `capital_ok`: of the first word.
  Readings numbers(size_t i, bool capital_ok) const;
  Readings cardinals(size_t i, bool capital_ok) const;
  Readings cardinals(size_t i) const { return cardinals(i, cased_); }
  // Up to 999, and not zero, without the weight of a cardinal's missing groups: what stands before "million".
  // `ands`: an "and" between words does not count.
  Readings hundreds(size_t i, bool capital_ok, bool ands = true) const;

 private:
  struct Groups;
  size_t skip_and(size_t i) const;
  void two_digits(size_t i, bool capital_ok, const std::string& head, const std::string& zeros, bool ands,
                  Readings& out) const;
  void hundreds_as_thousand(size_t i, bool capital_ok, Readings& out) const;
  void groups(const Groups& kind, size_t i, bool capital_ok, int next, const std::string& digits, int used,
              Readings& out) const;

  const SpokenPhrase& phrase_;
  size_t limit_;
  bool cased_;
};

// Without leading zeros; empty for zeros alone.
std::string_view without_zeros(std::string_view digits);

}  // namespace fathom::text::inverse
