#include "plugins/lib/text/english_numbers.h"

#include <algorithm>
#include <array>
#include <vector>

#include "plugins/lib/text/number_names.h"

namespace fathom::text {
namespace {

struct OrdinalEnding {
  std::string_view cardinal, ordinal;
};
// Cardinals end in at most one of these; all others take "th".
constexpr std::array<OrdinalEnding, 8> kOrdinalEndings = {{{"ty", "tieth"},
                                                           {"one", "first"},
                                                           {"two", "second"},
                                                           {"three", "third"},
                                                           {"five", "fifth"},
                                                           {"eight", "eighth"},
                                                           {"nine", "ninth"},
                                                           {"twelve", "twelfth"}}};

bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point_or_comma(char c) { return c == '.' || c == ','; }
size_t count_digits(std::string_view text) {  // at its beginning
  return std::find_if_not(text.begin(), text.end(), is_decimal_digit) - text.begin();
}
std::string digits_of(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), is_decimal_digit);
  return out;
}

// Of the two letters that `text` ends or begins with.
bool is_ordinal_suffix(std::string_view two) { return two == "st" || two == "nd" || two == "rd" || two == "th"; }

std::string below_hundred(int value) {
  if (value < 20) return std::string(kSmallNumbers[value]);
  std::string out(kTensNumbers[value / 10]);
  if (value % 10 != 0) (out += '-') += kSmallNumbers[value % 10];
  return out;
}

std::string below_thousand(int value) {
  if (value < 100) return below_hundred(value);
  std::string out(kSmallNumbers[value / 100]);
  out += " hundred";
  if (value % 100 != 0) out += " and " + below_hundred(value % 100);
  return out;
}

std::optional<std::string> whole_number(std::string digits) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return std::string(kSmallNumbers[0]);
  if (digits.size() > 3 * kThousandsNames.size()) return std::nullopt;
  std::string out;
  for (size_t at = 0; at < digits.size();) {
    const size_t power = (digits.size() - at - 1) / 3;  // of a thousand
    const size_t end = digits.size() - 3 * power;
    int value = 0;
    for (; at < end; ++at) value = 10 * value + (digits[at] - '0');
    if (value == 0) continue;
    // "one thousand and five", but "one thousand, one hundred" and "one million, five thousand".
    if (!out.empty()) out += power == 0 && value < 100 ? " and " : ", ";
    out += below_thousand(value);
    if (power > 0) (out += ' ') += kThousandsNames[power];
  }
  return out;
}

std::string digit_by_digit(std::string_view digits) {
  std::string out;
  for (const char digit : digits) {
    if (!out.empty()) out += ' ';
    out += kSmallNumbers[digit - '0'];
  }
  return out;
}

std::string as_ordinal(std::string cardinal) {
  for (const OrdinalEnding& ending : kOrdinalEndings) {
    if (!cardinal.ends_with(ending.cardinal)) continue;
    cardinal.resize(cardinal.size() - ending.cardinal.size());
    return cardinal.append(ending.ordinal);
  }
  return cardinal + "th";
}

std::optional<std::string> time_of_day(std::string_view word) {
  const size_t colon = count_digits(word);
  if (colon < 1 || colon > 2 || colon == word.size() || word[colon] != ':') return std::nullopt;
  const std::string_view minutes = word.substr(colon + 1, 2);
  if (minutes.size() != 2 || count_digits(minutes) != 2) return std::nullopt;
  std::string out = *number_to_words(word.substr(0, colon));
  if (minutes != "00") out += ' ' + *number_to_words(minutes);
  const std::string_view half = word.substr(colon + 3, 2);
  if (half == "am" || half == "pm") (out += ' ') += half;
  return out;
}

// The ordinal at the word's beginning.
std::string_view leading_ordinal(std::string_view word) {
  const size_t digits = count_digits(word);
  return digits > 0 && is_ordinal_suffix(word.substr(digits, 2)) ? word.substr(0, digits + 2) : std::string_view();
}

// Whether the word goes on with the number before it: "475", "475.5", "475,50!", "475?".
bool continues_a_number(std::string_view word) {
  if (count_digits(word) != 3) return false;
  word.remove_prefix(3);
  if (!word.empty() && is_point_or_comma(word[0])) {
    const size_t decimals = count_digits(word.substr(1));
    if (decimals == 1 || decimals == 2) word.remove_prefix(1 + decimals);
  }
  return word.empty() || word == "!" || word == "." || word == "?";
}

// A number, or what stands for one: may hold letters and punctuation.
std::optional<std::string> spell_out_word(std::string_view word, bool money) {
  std::string_view whole_part = word, decimals;
  for (const size_t count : {1, 2}) {
    if (word.size() <= count || !is_point_or_comma(word[word.size() - count - 1])) continue;
    if (count_digits(word.substr(word.size() - count)) != count) continue;
    decimals = word.substr(word.size() - count);
    whole_part = word.substr(0, word.size() - count - 1);
  }
  std::string whole(whole_part);
  std::erase(whole, '.');
  if (money) {
    std::optional<std::string> out = number_to_words(whole);
    if (!out) return std::nullopt;
    *out += " dollars";  // one of them too
    if (decimals.empty()) return out;
    *out += " and " + *number_to_words(decimals);
    // NeMo compares the cents with the dollars, not with 1.
    return *out += whole == decimals ? " cent" : " cents";
  }
  if (!decimals.empty()) return number_to_words((whole += '.').append(decimals));
  std::string out;
  for (size_t at = 0; at < whole.size();) {
    const auto is_part = [](char c) { return is_decimal_digit(c) || c == ','; };
    if (!is_part(whole[at])) {
      out += whole[at++];
      continue;
    }
    const size_t end = std::find_if_not(whole.begin() + at, whole.end(), is_part) - whole.begin();
    const std::optional<std::string> words = number_to_words(std::string_view(whole).substr(at, end - at));
    if (!words) return std::nullopt;
    out += ' ' + *words + ' ';
    at = end;
  }
  return out;
}

}  // namespace

std::optional<std::string> number_to_words(std::string_view number) {
  if (number.empty()) return std::nullopt;
  if (is_ordinal_suffix(number)) return std::string(kSmallNumbers[0]);
  const std::string_view sign = number[0] == '+' ? "plus" : number[0] == '-' ? "minus" : "";
  const bool ordinal = number.size() > 2 && is_ordinal_suffix(number.substr(number.size() - 2));
  if (ordinal) number.remove_suffix(2);
  const size_t point = std::min(number.find('.'), number.size());
  std::string out(sign);
  const auto put = [&](const std::string& words) { (out += out.empty() ? "" : " ") += words; };
  if (point > 0) {
    std::optional<std::string> whole = whole_number(digits_of(number.substr(0, point)));
    if (!whole) return std::nullopt;
    put(ordinal ? as_ordinal(std::move(*whole)) : *whole);
  }
  if (point == number.size()) return out;
  put("point");
  if (point + 1 < number.size()) {
    const std::string decimals = digits_of(number.substr(point + 1));
    put(digit_by_digit(decimals.empty() ? "0" : decimals));
  }
  return out;
}

std::optional<std::string> spell_out_numbers(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(' ', start), text.size());
    words.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  const auto has_digit = [](std::string_view word) { return std::any_of(word.begin(), word.end(), is_decimal_digit); };
  std::string out;
  std::string number;  // words that the next one goes on with
  bool money = false;  // of `number`
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (i > 0) out += ' ';
    if (!has_digit(word)) {
      // A "$" before a number is no word of its own: it says what the number is, or is lost.
      const bool dollar = word.ends_with('$') && i + 1 < words.size() && has_digit(words[i + 1]);
      out += word.substr(0, word.size() - (dollar ? 1 : 0));
      money = dollar;
      continue;
    }
    std::optional<std::string> spelled = time_of_day(word);
    if (!spelled && !leading_ordinal(word).empty()) {
      spelled = number_to_words(leading_ordinal(word));
      if (!spelled) return std::nullopt;
    }
    if (!spelled) {
      money = money || word.starts_with('$');
      number += word;
      if (i + 1 < words.size() && continues_a_number(words[i + 1])) continue;
      spelled = spell_out_word(number, money);
      if (!spelled) return std::nullopt;
      number.clear();
    }
    out += *spelled;
    money = false;
  }
  return out;
}

}  // namespace fathom::text
