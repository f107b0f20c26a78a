#include "plugins/lib/text/inverse_normalization/number_reader.h"

#include <algorithm>

namespace fathom::text::inverse {

using enum NumberWord;

struct SpokenReader::Groups {
  int count;    // names of groups, the greatest first
  int digits;   // in each
  bool indian;  // their names: shankh, ..., lakh, thousand
};

std::string_view without_zeros(std::string_view digits) {
  return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

bool SpokenReader::is_cased(size_t i, std::string_view word) const {
  if (!word_at(i)) return false;
  const std::string_view text = atom(i).text;
  if (text == word) return true;
  return cased_ && text.size() == word.size() && !word.empty() && text[0] == word[0] - 'a' + 'A' &&
         text.substr(1) == word.substr(1);
}

size_t SpokenReader::after_words(size_t i, std::string_view words) const {
  for (size_t begin = 0; begin <= words.size(); ++i) {
    const size_t end = std::min(words.find(' ', begin), words.size());
    if (!is(i, words.substr(begin, end - begin))) return 0;
    begin = end + 1;
  }
  return i;
}

bool SpokenReader::number_at(size_t i, NumberWord kind, bool capital_ok) const {
  return i < limit_ && atom(i).is(kind) && (capital_ok || !atom(i).capital);
}

bool SpokenReader::digit_at(size_t i, bool capital_ok, char* digit, bool zero) const {
  if (!number_at(i, kUnit, capital_ok) && !(zero && number_at(i, kZero, capital_ok))) return false;
  *digit = static_cast<char>('0' + atom(i).value);
  return true;
}

void SpokenReader::teens(size_t i, bool capital_ok, Readings& out) const {
  if (number_at(i, kTeen, capital_ok)) out.push_back({i + 1, std::to_string(atom(i).value)});
}

void SpokenReader::tens(size_t i, bool capital_ok, Readings& out) const {
  if (!number_at(i, kTens, capital_ok)) return;
  char digit = 0;
  if (digit_at(i + 1, false, &digit)) out.push_back({i + 2, std::to_string(atom(i).value + digit - '0')});
  out.push_back({i + 1, std::to_string(atom(i).value)});
}

// "and" between words of a number does not count.
size_t SpokenReader::skip_and(size_t i) const {
  constexpr int kMost = 4;
  for (int n = 0; n < kMost && is(i, "and") && word_at(i + 1); ++n) ++i;
  return i;
}

// A teen, or tens and a unit, one of them at least, behind `head`; `zeros` go before a shorter number.
void SpokenReader::two_digits(size_t i, bool capital_ok, const std::string& head, const std::string& zeros, bool ands,
                              Readings& out) const {
  if (i >= limit_ || (atom(i).capital && !capital_ok)) return;
  const Atom& first = atom(i);
  if (first.number == kTeen) out.push_back({i + 1, head + std::to_string(first.value), 0, first.ordinal});
  if (first.number == kUnit) out.push_back({i + 1, head + zeros + std::to_string(first.value), 0, first.ordinal});
  if (first.number != kTens) return;
  out.push_back({i + 1, head + std::to_string(first.value), 0, first.ordinal, true});
  const size_t next = ands ? skip_and(i + 1) : i + 1;
  if (first.ordinal || next >= limit_ || atom(next).number != kUnit || atom(next).capital) return;
  out.push_back({next + 1, head + std::to_string(first.value + atom(next).value), 0, atom(next).ordinal});
}

Readings SpokenReader::hundreds(size_t i, bool capital_ok, bool ands) const {
  const auto behind = [&](size_t at) { return ands ? skip_and(at) : at; };
  Readings out;
  two_digits(i, capital_ok, "0", "0", ands, out);
  char digit = 0;
  if (!digit_at(i, capital_ok, &digit)) return out;
  const size_t hundred = behind(i + 1);
  if (hundred >= limit_ || atom(hundred).number != kHundred || atom(hundred).capital) return out;
  out.push_back({hundred + 1, std::string(1, digit) + "00", 0, atom(hundred).ordinal, true});
  if (!atom(hundred).ordinal) two_digits(behind(hundred + 1), false, std::string(1, digit), "0", ands, out);
  return out;
}

// "twenty one hundred eleven" -> 2111.
void SpokenReader::hundreds_as_thousand(size_t i, bool capital_ok, Readings& out) const {
  if (i >= limit_ || atom(i).ordinal || (atom(i).capital && !capital_ok)) return;
  size_t hundred = 0;
  int value = atom(i).value;
  if (atom(i).number == kTeen) {
    hundred = skip_and(i + 1);
  } else if (atom(i).number == kTens) {
    const size_t unit = skip_and(i + 1);
    if (!number_at(unit, kUnit, false)) return;
    value += atom(unit).value;
    hundred = skip_and(unit + 1);
  } else {
    return;
  }
  if (hundred >= limit_ || atom(hundred).number != kHundred || atom(hundred).capital) return;
  const std::string head = std::to_string(value);
  out.push_back({hundred + 1, head + "00", 0, atom(hundred).ordinal, true});
  if (!atom(hundred).ordinal) two_digits(skip_and(hundred + 1), false, head, "0", true, out);
}

void SpokenReader::groups(const Groups& kind, size_t i, bool capital_ok, int next, const std::string& digits, int used,
                          Readings& out) const {
  constexpr Cost kMissingGroup = 1000;
  const auto zeros = [&](int groups) { return std::string(static_cast<size_t>(groups * kind.digits), '0'); };
  const auto emit = [&](Reading reading, const std::string& all, int groups_used) {
    const std::string_view written = without_zeros(all);
    if (written.empty()) return;
    reading.written = written;
    reading.cost = (kind.count - groups_used) * kMissingGroup;
    out.push_back(std::move(reading));
  };
  for (const Reading& part : hundreds(i, capital_ok))
    emit(part, digits + zeros(kind.count - next) + part.written, used);
  Readings thousands;
  hundreds_as_thousand(i, capital_ok, thousands);
  for (const Reading& part : thousands) emit(part, digits + zeros(kind.count - next) + part.written, used);
  Readings heads;
  if (kind.indian)
    two_digits(i, capital_ok, "", "0", true, heads);
  else
    heads = hundreds(i, capital_ok);
  for (const Reading& head : heads) {
    if (head.ordinal) continue;
    const size_t at = skip_and(head.end);
    if (at >= limit_) continue;
    const Atom& name = atom(at);
    int group = -1;
    if (name.number == kGroup && (!kind.indian || name.value == 6)) group = kind.indian ? 7 : name.value;
    if (name.number == kIndian && kind.indian) group = name.value;
    if (group < next || (name.capital && (kind.indian || !cased_))) continue;
    const std::string so_far = digits + zeros(group - next) + head.written;
    emit({at + 1, "", 0, name.ordinal, true}, so_far + zeros(kind.count - group - 1) + "000", used + 1);
    if (!name.ordinal) groups(kind, skip_and(at + 1), false, group + 1, so_far, used + 1, out);
  }
}

Readings SpokenReader::numbers(size_t i, bool capital_ok) const {
  Readings out;
  if (i >= limit_ || atom(i).number == kNone) return out;
  if (atom(i).number == kZero) {
    if (capital_ok || !atom(i).capital) out.push_back({i + 1, "0", 0, atom(i).ordinal});
    return out;
  }
  groups({7, 3, false}, i, capital_ok, 0, "", 0, out);
  if (phrase_.has_indian) groups({8, 2, true}, i, capital_ok, 0, "", 0, out);
  return out;
}

Readings SpokenReader::cardinals(size_t i, bool capital_ok) const {
  Readings out = numbers(i, capital_ok);
  std::erase_if(out, [](const Reading& reading) { return reading.ordinal; });
  return out;
}

}  // namespace fathom::text::inverse
