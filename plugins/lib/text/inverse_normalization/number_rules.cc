// Cardinals, ordinals and decimals.
#include "plugins/lib/text/inverse_normalization/inverse_rules.h"

namespace fathom::text::inverse {
namespace {

size_t after_minus(const SpokenReader& in, size_t at) { return in.is(at, "minus") || in.is(at, "Minus") ? at + 1 : at; }

std::string_view ordinal_ending(std::string_view digits) {
  const bool teen = digits.size() > 1 && digits[digits.size() - 2] == '1';
  switch (digits.back()) {
    case '1': return teen ? "th" : "st";
    case '2': return teen ? "th" : "nd";
    case '3': return teen ? "th" : "rd";
    default: return "th";
  }
}

// The digits behind "point", with every end. "o" is a zero.
Readings fractions(const SpokenReader& in, size_t at) {
  constexpr size_t kMostDigits = 40;
  Readings out;
  std::string digits;
  for (size_t i = at; i < in.limit() && digits.size() < kMostDigits; ++i) {
    char digit = '0';
    if (!in.digit_at(i, false, &digit, true) && !in.is(i, "o")) break;
    digits += digit;
    if (in.ends_word(i + 1)) out.push_back({i + 1, digits});
  }
  return out;
}

bool is_quantity(const SpokenReader& in, size_t at, bool thousand) {
  if (!in.word_at(at) || !in.ends_word(at + 1)) return false;
  const Atom& atom = in.atom(at);
  if (atom.ordinal || (atom.capital && !in.cased())) return false;
  constexpr int kThousand = 6;
  return atom.number == NumberWord::kQuantity ||
         (atom.number == NumberWord::kGroup && (thousand || atom.value != kThousand));
}

}  // namespace

void cardinal_rule(const SpokenReader& in, size_t at, Readings& out) {
  const size_t first = after_minus(in, at);
  if (!in.word_at(first)) return;
  constexpr int kMostWord = 12;
  for (Reading& number : in.cardinals(first)) {
    const Atom& atom = in.atom(first);
    const bool word =
        number.end == first + 1 && atom.value <= kMostWord &&
        (atom.number == NumberWord::kZero || atom.number == NumberWord::kUnit || atom.number == NumberWord::kTeen);
    if (word || !in.ends_word(number.end)) continue;
    // The peer weighs a cardinal's missing groups twice: once more where it excepts the small ones.
    out.push_back({number.end, (first > at ? "-" : "") + number.written, kRuleCost + 2 * number.cost});
  }
}

void ordinal_rule(const SpokenReader& in, size_t at, Readings& out) {
  for (const Reading& number : in.numbers(at, in.cased())) {
    size_t end = number.end;
    if (!number.ordinal) {
      if (!number.open || !in.is(end, "th")) continue;
      ++end;
    }
    if (!in.ends_word(end)) continue;
    out.push_back({end, number.written + std::string(ordinal_ending(number.written)), kEarlyCost + number.cost, true});
  }
}

Readings unsigned_decimals(const SpokenReader& in, size_t at, bool capital_ok) {
  Readings out;
  const auto add_fractions = [&](size_t point, const std::string& whole, Cost cost) {
    for (Reading& digits : fractions(in, point + 1)) {
      if (!in.word_at(point + 1)) continue;
      const std::string written = whole + "." + digits.written;
      if (is_quantity(in, digits.end, true))
        out.push_back({digits.end + 1, written + " " + std::string(in.atom(digits.end).text), cost});
      out.push_back({digits.end, written, cost});
    }
  };
  if (in.is(at, "point") || (capital_ok && in.is(at, "Point"))) add_fractions(at, "", 0);
  for (const Reading& number : in.cardinals(at, capital_ok || in.cased()))
    if (in.is(number.end, "point")) add_fractions(number.end, number.written, number.cost);
  for (const Reading& number : in.hundreds(at, capital_ok, false)) {
    const std::string_view digits = without_zeros(number.written);
    if (!number.ordinal && !digits.empty() && is_quantity(in, number.end, false))
      out.push_back({number.end + 1, std::string(digits) + " " + std::string(in.atom(number.end).text), 0});
  }
  return out;
}

void decimal_rule(const SpokenReader& in, size_t at, Readings& out) {
  const size_t first = after_minus(in, at);
  // In cased grammars a capital stands at the beginning of all of it.
  for (Reading& number : unsigned_decimals(in, first, in.cased() && first == at))
    out.push_back({number.end, (first > at ? "-" : "") + number.written, kRuleCost + number.cost});
}

}  // namespace fathom::text::inverse
