// Money and measures.
#include <unordered_map>

#include "plugins/lib/text/inverse_normalization/inverse_rules.h"
#include "plugins/lib/text/inverse_normalization/inverse_tables.h"

namespace fathom::text::inverse {
namespace {

using Units = std::unordered_map<std::string, SpokenUnit>;

// English plurals by their endings.
std::string regular_plural(const std::string& name) {
  const char last = name.back();
  const char before = name.size() > 1 ? name[name.size() - 2] : ' ';
  constexpr std::string_view kConsonants = "bcdfghjklmnpqrstvwxyz";
  if (last == 'y' && kConsonants.find(before) != std::string_view::npos) return name.substr(0, name.size() - 1) + "ies";
  const bool hisses = last == 's' || last == 'x' || last == 'z' || (last == 'h' && (before == 's' || before == 'c'));
  return name + (hisses ? "es" : "s");
}

Units read_units(std::string_view table) {
  Units out;
  for_each_row(table, [&](std::string_view written, std::string_view spoken) {
    const auto add = [&, written](const std::string& name) -> SpokenUnit& {
      SpokenUnit& unit = out[name];
      if (unit.written.empty()) unit.written = written;
      return unit;
    };
    const std::string name(spoken);
    const auto irregular = irregular_plural(spoken);
    SpokenUnit& one = add(name);
    if (!one.singular) one.written = written;
    one.singular = true;
    add(irregular ? std::string(*irregular) : regular_plural(name)).plural = true;
    if (irregular) add(regular_plural(name)).capital_plural = true;
  });
  return out;
}

const SpokenUnit* find(const Units& units, std::string_view spoken) {
  const auto found = units.find(std::string(spoken));
  return found == units.end() ? nullptr : &found->second;
}

enum class UnitCase {
  kAny,           // of measures
  kAsIs,          // of currencies
  kCapitalFirst,  // of currencies in cased texts
};

bool has_capital(std::string_view text) {
  for (const char c : text)
    if (c >= 'A' && c <= 'Z') return true;
  return false;
}

// Calls with every unit that begins at the word of atom `at`: (atom behind it, unit).
template <typename Call>
void units_at(const SpokenReader& in, size_t at, const SpokenUnit* (*lookup)(std::string_view), UnitCase unit_case,
              const Call& call) {
  if (!in.word_at(at)) return;
  const SpokenPhrase& phrase = in.phrase();
  const size_t first = in.atom(at).word;
  const size_t behind = std::min(phrase.words[first].run_end, first + kLongestUnit);
  for (size_t last = first; last < behind; ++last) {
    const std::string_view said = phrase.between(first, last);
    std::string name(said);
    for (char& c : name) {
      if (unit_case != UnitCase::kAsIs) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if (unit_case == UnitCase::kCapitalFirst) break;
    }
    const SpokenUnit* unit = lookup(name);
    if (unit == nullptr) continue;
    SpokenUnit here = *unit;
    here.plural |= here.capital_plural && has_capital(said);
    if (here.singular || here.plural) call(phrase.first_atom(last + 1), here);
  }
}

// Two digits of cents: "five" -> 05. Costs what the peer's reward for cents leaves of the number's weight.
constexpr Cost kCentsReward = -7000;

void cents_numbers(const SpokenReader& in, size_t at, Readings& out) {
  if (!in.word_at(at)) return;
  for (Reading& number : in.cardinals(at)) {
    if (number.written.size() > 2) continue;
    if (number.written.size() == 1) number.written.insert(0, "0");
    number.cost += kCentsReward;
    out.push_back(std::move(number));
  }
}

bool is_one(const SpokenReader& in, size_t at, size_t end) {
  return end == at + 1 && (in.is(at, "one") || (in.cased() && in.is(at, "One")));
}

// "five cents", "one cent".
void cents(const SpokenReader& in, size_t at, Readings& out) {
  Readings numbers;
  cents_numbers(in, at, numbers);
  for (Reading& number : numbers) {
    const bool one = is_one(in, at, number.end);
    if (!in.is_cased(number.end, one ? "cent" : "cents")) continue;
    ++number.end;
    if (one) number.cost = 0;
    out.push_back(std::move(number));
  }
}

// Amounts in whole units, also "one fifty" for 150.
Readings amounts(const SpokenReader& in, size_t at) {
  Readings out = in.cardinals(at);
  char digit = 0;
  if (!in.digit_at(at, in.cased(), &digit) || !in.word_at(at + 1)) return out;
  Readings rest;
  in.teens(at + 1, false, rest);
  in.tens(at + 1, false, rest);
  if (in.digit_at(at + 1, false, &digit)) rest.push_back({at + 2, {'0', digit}});
  in.digit_at(at, in.cased(), &digit);
  constexpr Cost kCardinalCost = 7000;
  for (const Reading& two : rest) out.push_back({two.end, digit + two.written, kCardinalCost});
  return out;
}

}  // namespace

const SpokenUnit* find_measure(std::string_view spoken) {
  static const Units units = read_units(kMeasures);
  return find(units, spoken);
}

const SpokenUnit* find_currency(std::string_view spoken) {
  static const Units units = read_units(kCurrencies);
  return find(units, spoken);
}

void money_rule(const SpokenReader& in, size_t at, Readings& out) {
  const UnitCase unit_case = in.cased() ? UnitCase::kCapitalFirst : UnitCase::kAsIs;
  for (const Reading& amount : amounts(in, at)) {
    if (!in.ends_word(amount.end)) continue;
    const bool one = is_one(in, at, amount.end);
    units_at(in, amount.end, find_currency, unit_case, [&](size_t end, const SpokenUnit& unit) {
      if (one && !unit.singular) return;
      const std::string whole = std::string(unit.written) + amount.written;
      const Cost cost = kRuleCost + (one ? 0 : amount.cost);
      out.push_back({end, whole, cost});
      Readings parts;
      cents(in, in.is(end, "and") ? end + 1 : end, parts);
      cents_numbers(in, end, parts);  // "twelve dollars fifty"
      for (const Reading& part : parts) out.push_back({part.end, whole + "." + part.written, cost + part.cost});
    });
  }
  for (const Reading& number : unsigned_decimals(in, at, true)) {
    units_at(in, number.end, find_currency, unit_case, [&](size_t end, const SpokenUnit& unit) {
      out.push_back({end, std::string(unit.written) + number.written, kRuleCost + number.cost});
    });
  }
  Readings alone;
  cents(in, at, alone);
  for (const Reading& part : alone) out.push_back({part.end, "$0." + part.written, kRuleCost + part.cost});
}

void measure_rule(const SpokenReader& in, size_t at, Readings& out) {
  const size_t first = in.is(at, "minus") || in.is(at, "Minus") ? at + 1 : at;
  if (!in.word_at(first)) return;
  constexpr Cost kUnitPerUnit = 100;
  const auto add = [&](const Reading& number, bool one) {
    const std::string head = (first > at ? "-" : "") + number.written + " ";
    const Cost cost = kRuleCost + number.cost;
    // "per hour" behind `so_far`.
    const auto per = [&](size_t i, const std::string& so_far, Cost per_cost) {
      if (!in.is(i, "per")) return;
      units_at(in, i + 1, find_measure, UnitCase::kAny, [&](size_t end, const SpokenUnit& unit) {
        if (unit.singular) out.push_back({end, so_far + "/" + std::string(unit.written), cost + per_cost});
      });
    };
    per(number.end, head, 0);
    units_at(in, number.end, find_measure, UnitCase::kAny, [&](size_t end, const SpokenUnit& unit) {
      if (one && !unit.singular) return;
      out.push_back({end, head + std::string(unit.written), cost});
      per(end, head + std::string(unit.written), kUnitPerUnit);
    });
  };
  for (Reading& number : in.cardinals(first)) {
    if (!in.ends_word(number.end)) continue;
    const bool one = is_one(in, first, number.end);
    if (one) number.cost = 0;
    add(number, one);
  }
  for (const Reading& number : unsigned_decimals(in, first, true)) add(number, false);
}

}  // namespace fathom::text::inverse
