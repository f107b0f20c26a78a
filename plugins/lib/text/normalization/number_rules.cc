// Fractions, ordinals, and numbers by themselves.
#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

struct VulgarFraction {
  std::string_view sign, numerator, denominator;
};
constexpr std::array<VulgarFraction, 15> kVulgarFractions = {{{"½", "1", "2"},
                                                              {"⅓", "1", "3"},
                                                              {"⅔", "2", "3"},
                                                              {"¼", "1", "4"},
                                                              {"¾", "3", "4"},
                                                              {"⅕", "1", "5"},
                                                              {"⅖", "2", "5"},
                                                              {"⅗", "3", "5"},
                                                              {"⅘", "4", "5"},
                                                              {"⅙", "1", "6"},
                                                              {"⅚", "5", "6"},
                                                              {"⅛", "1", "8"},
                                                              {"⅜", "3", "8"},
                                                              {"⅝", "5", "8"},
                                                              {"⅞", "7", "8"}}};

std::string fraction_words(std::string_view numerator, std::string_view denominator, const SpeechStyle& style) {
  const bool one = numerator == "1";
  std::string part = denominator == "2"   ? (one ? "half" : "halves")
                     : denominator == "4" ? (one ? "quarter" : "quarters")
                                          : ordinal_words(denominator, style) + (one ? "" : "s");
  return cardinal_words(numerator, style) + " " + part;
}

// Behind a whole number: "two and a half".
std::string mixed_words(std::string_view whole, std::string_view numerator, std::string_view denominator,
                        const SpeechStyle& style) {
  const bool half = numerator == "1" && denominator == "2";
  return cardinal_words(whole, style) + " and " + (half ? "a half" : fraction_words(numerator, denominator, style));
}

std::optional<Reading> vulgar_fraction(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const size_t whole_end = text.digits_end(at);
  const size_t sign = whole_end > at ? text.skip_blank(whole_end) : at;
  for (const auto& [written, numerator, denominator] : kVulgarFractions) {
    if (!text.starts(sign, written)) continue;
    const size_t end = sign + written.size();
    if (whole_end == at) return Reading{end, fraction_words(numerator, denominator, style)};
    return Reading{end, mixed_words(text.part(at, whole_end), numerator, denominator, style)};
  }
  return std::nullopt;
}

struct Quotient {
  std::string_view numerator, denominator;
  size_t end = 0;
};
std::optional<Quotient> quotient_at(const WrittenText& text, size_t at) {
  const size_t slash = text.digits_end(at);
  if (slash == at || slash > at + 4 || text[slash] != '/') return std::nullopt;
  const size_t end = text.digits_end(slash + 1);
  if (end == slash + 1 || end > slash + 5 || text.in_word(end) || text[slash + 1] == '0') return std::nullopt;
  if (text[end] == '/' || (text[end] == '.' && is_digit(text[end + 1]))) return std::nullopt;
  return Quotient{text.part(at, slash), text.part(slash + 1, end), end};
}

// What is called by its two numbers.
bool is_said_as_pair(const Quotient& of) {
  return (of.numerator == of.denominator && (of.numerator == "50" || of.numerator == "20")) ||
         (of.numerator == "24" && of.denominator == "7") || (of.numerator == "9" && of.denominator == "11");
}

bool is_sign_place(const WrittenText& text, size_t at) {
  return at == 0 || is_blank(text[at - 1]) || text[at - 1] == '(' || text[at - 1] == '=';
}

// A number of four digits that is read as a year is.
bool reads_as_year(const WrittenText& text, size_t at, const WrittenNumber& number, const SpeechStyle& style) {
  const std::string& digits = number.digits;
  if (digits.size() != 4 || number.commas || !number.fraction.empty()) return false;
  if (digits < style.first_year || digits > style.last_year) return false;
  if (style.counts_years) return true;
  // "contained 1308 prisoners" counts them, "in 1835 prisoners were" does not.
  const std::string before = lower_ascii(text.word_before(at));
  if (one_of(before, {"in",     "since",  "by",     "from",   "until", "till",  "of",   "year",
                      "after",  "before", "during", "to",     "and",   "early", "late", "about",
                      "spring", "summer", "autumn", "winter", "fall",  "the",   "for",  "a"}))
    return true;
  const std::string_view next = text.word_at(text.blanks_end(number.end));
  const bool plural = next.size() > 3 && is_lower(next[0]) && next.ends_with('s') && !next.ends_with("ss") &&
                      !one_of(next, {"this", "does", "perhaps", "always", "besides"});
  return !plural;
}

std::string plain_number(const WrittenText& text, size_t at, const WrittenNumber& number, const SpeechStyle& style) {
  const std::string& digits = number.digits;
  if (!number.fraction.empty()) return decimal_words(digits, number.fraction, style, number.commas);
  if (digits.size() > 1 && digits[0] == '0') return digit_words(digits);
  if (reads_as_year(text, at, number, style)) return year_words(digits, style);
  const size_t longest = style.long_digits ? 4 : 9;
  if (!number.commas && digits.size() > longest) return digit_words(digits);
  const bool teens =
      style.teen_hundreds && digits.size() == 4 && digits[0] == '1' && digits[1] != '0' && digits.ends_with("00");
  if (teens) return year_words(digits, style);
  return cardinal_words(digits, style, number.commas || (digits.size() == 4 && digits[0] > '1'));
}

}  // namespace

std::optional<Reading> read_fraction(const WrittenText& text, size_t at, const SpeechStyle& style) {
  if (auto reading = vulgar_fraction(text, at, style)) return reading;
  if (const auto only = quotient_at(text, at)) {
    if (is_said_as_pair(*only))
      return Reading{only->end,
                     cardinal_words(only->numerator, style) + " " + cardinal_words(only->denominator, style)};
    if (only->denominator == "1" || only->numerator[0] == '0') return std::nullopt;
    return Reading{only->end, fraction_words(only->numerator, only->denominator, style)};
  }
  // 2 1/2
  const size_t whole_end = text.digits_end(at);
  if (whole_end == at || (text[whole_end] != ' ' && text[whole_end] != '-')) return std::nullopt;
  const auto part = quotient_at(text, whole_end + 1);
  if (!part || is_said_as_pair(*part) || part->denominator == "1" || part->numerator.size() > 2) return std::nullopt;
  if (part->numerator.size() > part->denominator.size() ||
      (part->numerator.size() == part->denominator.size() && part->numerator >= part->denominator))
    return std::nullopt;
  return Reading{part->end, mixed_words(text.part(at, whole_end), part->numerator, part->denominator, style)};
}

std::optional<Reading> read_ordinal(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const auto number = text.number_at(at);
  if (!number || number->digits.empty() || !number->fraction.empty()) return std::nullopt;
  const std::string_view suffix = text.word_at(number->end);
  if (!one_of(lower_ascii(suffix), {"st", "nd", "rd", "th"}) || text.in_word(number->end + suffix.size()))
    return std::nullopt;
  return Reading{number->end + suffix.size(), ordinal_words(number->digits, style)};
}

std::optional<Reading> read_number(const WrittenText& text, size_t at, const SpeechStyle& style) {
  size_t begin = at;
  std::string out;
  for (const auto& [sign, name] : {std::pair<std::string_view, std::string_view>{"-", "minus "},
                                   {"−", "minus "},
                                   {"+", "plus "},
                                   {"±", "plus or minus "},
                                   {"~", "approximately "},
                                   {"≈", "approximately "}}) {
    if (!text.starts(at, sign)) continue;
    if (!is_sign_place(text, at)) return std::nullopt;
    begin = at + sign.size();
    out = name;
    break;
  }
  auto number = text.number_at(begin);
  if (!number) return std::nullopt;
  if (number->digits.empty() && begin > 0 && text.in_word(begin - 1)) return std::nullopt;
  // 1.2.3: a version, a section
  if (!number->is_whole_word && !number->fraction.empty() && text[number->end] == '.') {
    out += decimal_words(number->digits, number->fraction, style);
    size_t end = number->end;
    for (int parts = 0; parts < 16 && text[end] == '.' && is_digit(text[end + 1]); ++parts) {
      const size_t part = text.digits_end(end + 1);
      out += " point " + digit_words(text.part(end + 1, part));
      end = part;
    }
    return text.in_word(end) ? std::nullopt : std::optional(Reading{end, out});
  }
  if (!number->is_whole_word) {
    // 1000s
    const bool plural = text[number->end] == 's' && text.ends_word(number->end + 1) && number->fraction.empty() &&
                        number->digits.size() > 2 && number->digits.ends_with("00");
    if (!plural) return std::nullopt;
    std::string words = plural_of(cardinal_words(number->digits, style, number->commas));
    if (words.starts_with("one ")) words.erase(0, 4);  // hundreds, thousands
    return Reading{number->end + 1, out + words};
  }
  // .38-caliber, .22 rifle
  if (style.label_pairs && number->digits.empty() && number->fraction.size() <= 3) {
    const std::string next =
        lower_ascii(text.word_at(text[number->end] == '-' ? number->end + 1 : text.blanks_end(number->end)));
    if (one_of(next, {"caliber", "calibre", "rifle", "rifles", "pistol", "pistols", "revolver", "revolvers", "special",
                      "magnum", "gun", "guns", "bullet", "bullets", "cartridge", "cartridges", "ammunition"}))
      return Reading{number->end, cardinal_words(number->fraction, style)};
  }
  out += plain_number(text, begin, *number, style);
  // 16:9
  if (text[number->end] == ':' && number->fraction.empty() && is_digit(text[number->end + 1])) {
    const auto second = text.number_at(number->end + 1);
    if (second->is_whole_word && text[second->end] != ':')
      return Reading{second->end, out + " to " + plain_number(text, number->end + 1, *second, style)};
  }
  // 2-3, 10–12; "5-5" is no range
  const size_t dash = text.dash_end(number->end);
  if (dash > number->end && is_digit(text[dash])) {
    const auto last = text.number_at(dash);
    const bool grows = last->digits.size() > number->digits.size() ||
                       (last->digits.size() == number->digits.size() && last->digits > number->digits);
    const bool plain = last->is_whole_word && text[last->end] != '-' && last->digits[0] != '0';
    if (plain && grows && (begin == 0 || text[begin - 1] != '-'))
      return Reading{last->end, out + " to " + plain_number(text, dash, *last, style)};
  }
  return Reading{number->end, out};
}

}  // namespace fathom::text
