#include "plugins/lib/text/normalization/spoken_numbers.h"

#include <array>
#include <vector>

#include "plugins/lib/text/number_names.h"

namespace fathom::text {
namespace {

std::string_view without_zeros(std::string_view digits) {
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

int value_of(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

// 0 .. 99
std::string below_hundred(int value, const SpeechStyle& style) {
  if (value < 20) return std::string(kSmallNumbers[static_cast<size_t>(value)]);
  std::string out(kTensNumbers[static_cast<size_t>(value / 10)]);
  if (value % 10 != 0) out += (style.hyphens ? "-" : " ") + std::string(kSmallNumbers[static_cast<size_t>(value % 10)]);
  return out;
}

// 1 .. 999
std::string below_thousand(int value, const SpeechStyle& style, bool with_and) {
  if (value < 100) return below_hundred(value, style);
  std::string out = std::string(kSmallNumbers[static_cast<size_t>(value / 100)]) + " hundred";
  if (value % 100 != 0) out += (with_and ? " and " : " ") + below_hundred(value % 100, style);
  return out;
}

// 0 .. 99 as the end of a year or a label: 5 is "oh five"
std::string pair_words(int value, const SpeechStyle& style) {
  return value < 10 ? std::string(style.oh) + " " + below_hundred(value, style) : below_hundred(value, style);
}

}  // namespace

std::string cardinal_words(std::string_view given, const SpeechStyle& style, bool commas) {
  const std::string_view digits = without_zeros(given);
  if (digits.size() > kMostSpokenDigits) return digit_words(given);
  if (digits.size() == 1) return std::string(kSmallNumbers[static_cast<size_t>(digits[0] - '0')]);
  std::string out;
  size_t groups = (digits.size() + 2) / 3;
  for (size_t start = 0; start < digits.size(); --groups) {
    const size_t length = digits.size() - start - (groups - 1) * 3;
    const int value = value_of(digits.substr(start, length));
    start += length;
    if (value == 0) continue;
    const bool with_and = style.hundred_and && groups == 1;
    if (!out.empty()) out += commas && style.thousand_commas ? ", " : with_and && value < 100 ? " and " : " ";
    out += below_thousand(value, style, with_and);
    if (groups > 1) out += " " + std::string(kThousandsNames[groups - 1]);
  }
  return out;
}

std::string ordinal_of(std::string words) {
  static constexpr std::array<std::array<std::string_view, 2>, 7> kIrregular = {{{"one", "first"},
                                                                                 {"two", "second"},
                                                                                 {"three", "third"},
                                                                                 {"five", "fifth"},
                                                                                 {"eight", "eighth"},
                                                                                 {"nine", "ninth"},
                                                                                 {"twelve", "twelfth"}}};
  const size_t last = words.find_last_of(" -") + 1;  // 0 where there is none
  const std::string_view end = std::string_view(words).substr(last);
  for (const auto& [cardinal, ordinal] : kIrregular) {
    if (end == cardinal) return words.replace(last, std::string::npos, ordinal);
  }
  if (words.ends_with('y')) return words.replace(words.size() - 1, 1, "ieth");
  return words + "th";
}

std::string ordinal_words(std::string_view digits, const SpeechStyle& style) {
  SpeechStyle plain = style;
  plain.hundred_and = false;
  return ordinal_of(cardinal_words(digits, plain));
}

std::string year_words(std::string_view given, const SpeechStyle& style) {
  const std::string_view digits = without_zeros(given);
  SpeechStyle plain = style;
  plain.hundred_and = false;
  if (digits.size() < 3 || digits.size() > 4) return cardinal_words(given, plain);
  const int value = value_of(digits), high = value / 100, low = value % 100;
  // 2000 .. 2009, and other full thousands with what follows them at once
  if (high % 10 == 0 && low < 10) return cardinal_words(digits, plain);
  if (low == 0) return below_hundred(high, style) + " hundred";
  return below_hundred(high, style) + " " + pair_words(low, style);
}

std::string label_words(std::string_view digits, const SpeechStyle& style) {
  if (digits.size() != 3 || digits[0] == '0' || digits.ends_with("00")) return cardinal_words(digits, style);
  return std::string(kSmallNumbers[static_cast<size_t>(digits[0] - '0')]) + " " +
         pair_words(value_of(digits.substr(1)), style);
}

std::string digit_words(std::string_view digits, std::string_view zero) {
  std::string out;
  for (const char c : digits) {
    if (!out.empty()) out += ' ';
    out += c == '0' ? zero : kSmallNumbers[static_cast<size_t>(c - '0')];
  }
  return out;
}

std::string decimal_words(std::string_view whole, std::string_view fraction, const SpeechStyle& style, bool commas) {
  const std::string point = "point " + digit_words(fraction);
  return whole.empty() ? point : cardinal_words(whole, style, commas) + " " + point;
}

std::string plural_of(std::string words) {
  if (words.ends_with('y')) return words.replace(words.size() - 1, 1, "ies");
  for (const std::string_view hissing : {"s", "x", "ch", "sh"}) {
    if (words.ends_with(hissing)) return words + "es";
  }
  return words + "s";
}

std::optional<int> roman_value(std::string_view numeral) {
  struct Part {
    std::string_view letters;
    int value;
  };
  static constexpr std::array<Part, 13> kParts = {{{"M", 1000},
                                                   {"CM", 900},
                                                   {"D", 500},
                                                   {"CD", 400},
                                                   {"C", 100},
                                                   {"XC", 90},
                                                   {"L", 50},
                                                   {"XL", 40},
                                                   {"X", 10},
                                                   {"IX", 9},
                                                   {"V", 5},
                                                   {"IV", 4},
                                                   {"I", 1}}};
  int value = 0;
  std::string_view left = numeral;
  for (const auto& [letters, worth] : kParts) {
    while (left.starts_with(letters)) {
      value += worth;
      left.remove_prefix(letters.size());
      if (value > 3999) return std::nullopt;
    }
  }
  if (!left.empty() || value == 0) return std::nullopt;
  // Written back it must be the same: "IIII" and "VX" are none.
  std::string shortest;
  int rest = value;
  for (const auto& [letters, worth] : kParts) {
    for (; rest >= worth; rest -= worth) shortest += letters;
  }
  return shortest == numeral ? std::optional(value) : std::nullopt;
}

}  // namespace fathom::text
