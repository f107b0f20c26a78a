// The rules of English inverse normalization, one for each class of spoken expressions. Each is given the atom at which
// an expression may begin and adds all its readings with the weights of NeMo's grammars (classes between 1.01 and 1.1;
// a plain word has 100), of which the cheapest way through the text is taken. Their ends lie behind whole words.
#pragma once

#include <string_view>

#include "plugins/lib/text/inverse_normalization/number_reader.h"

namespace fathom::text::inverse {

inline constexpr Cost kRuleCost = 11000;   // 1.1
inline constexpr Cost kEarlyCost = 10900;  // dates and ordinals: 1.09

// "minus twenty three" -> -23; zero to twelve stay words.
void cardinal_rule(const SpokenReader& in, size_t at, Readings& out);
// "twenty third" -> 23rd.
void ordinal_rule(const SpokenReader& in, size_t at, Readings& out);
// "two point five million" -> 2.5 million, "one million" -> 1 million.
void decimal_rule(const SpokenReader& in, size_t at, Readings& out);
// "twenty three dollars and five cents" -> $23.05.
void money_rule(const SpokenReader& in, size_t at, Readings& out);
// "two point five kilometers per hour" -> 2.5 km/h.
void measure_rule(const SpokenReader& in, size_t at, Readings& out);
// "the fifth of january twenty twelve" -> 5 january 2012, "nineteen eighties" -> 1980s.
void date_rule(const SpokenReader& in, size_t at, Readings& out);
// "half past two p m" -> 02:30 p.m.
void time_rule(const SpokenReader& in, size_t at, Readings& out);
// Telephone, card and social security numbers, IP addresses, and sequences of letters and digits.
void telephone_rule(const SpokenReader& in, size_t at, Readings& out);
void serial_rule(const SpokenReader& in, size_t at, Readings& out);
// "a b c at g mail dot com" -> abc@gmail.com, "nvidia dot com slash research" -> nvidia.com/research.
void electronic_rule(const SpokenReader& in, size_t at, Readings& out);

// Shared by decimals, money and measures: a decimal without a sign, with or without a quantity. `capital_ok`: it may
// begin with a capital though the texts are in lower case. The cost is that of its number.
Readings unsigned_decimals(const SpokenReader& in, size_t at, bool capital_ok);

// Written units by their spoken names, singular and plural.
struct SpokenUnit {
  std::string_view written;
  bool singular = false, plural = false;  // a name may be both
  bool capital_plural = false;            // only of a name with capitals, which no irregular plural is: "Yens"
};
const SpokenUnit* find_measure(std::string_view spoken);   // in lower case
const SpokenUnit* find_currency(std::string_view spoken);  // as it is
inline constexpr size_t kLongestUnit = 6;                  // in words

}  // namespace fathom::text::inverse
