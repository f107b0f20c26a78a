// Numbers that name rather than count: labels, serial numbers, telephone and network numbers, roman numerals.
#include <algorithm>
#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

constexpr auto kStreets =
    std::to_array<std::string_view>({"street", "st", "avenue", "ave", "road", "rd", "boulevard", "blvd", "lane", "ln",
                                     "drive", "dr", "court", "place", "square", "highway", "way"});
constexpr auto kNumberedThings =
    std::to_array<std::string_view>({"no", "nos", "number", "page", "exhibit", "frame", "frames", "room", "route",
                                     "flight", "highway", "iq", "train", "bus", "extension"});

// "214 Neely Street": a street within the three words behind the number, or "at" before it and a name behind.
bool is_house_number(const WrittenText& text, size_t at, size_t end) {
  size_t word = text.blanks_end(end);
  if (word == end || !is_upper(text[word])) return false;
  const std::string_view name = text.word_at(word);
  if (name.size() < 2) return false;
  for (int i = 0; i < 3; ++i) {
    const std::string_view next = text.word_at(word);
    if (next.empty()) break;
    if (i > 0 && is_upper(next[0]) && one_of(lower_ascii(next), kStreets)) return true;
    const size_t next_end = word + next.size();
    word = text.blanks_end(next_end);
    if (word == next_end) break;
  }
  return lower_ascii(text.word_before(at)) == "at";
}

// "205" -> "two oh five", "214" -> "two one four"
std::string house_words(std::string_view digits, const SpeechStyle& style) {
  return digits[1] == '0' ? label_words(digits, style) : digit_words(digits);
}

bool all_upper(std::string_view letters) { return std::all_of(letters.begin(), letters.end(), is_upper); }

std::string spaced(std::string_view letters) {
  std::string out;
  for (const char c : letters) out += (out.empty() ? "" : " ") + std::string(1, c);
  return out;
}

constexpr auto kNumberedParts = std::to_array<std::string_view>(
    {"chapter", "part",  "volume", "vol",   "section",  "act",  "scene",   "book",    "war",     "phase",    "type",
     "class",   "title", "grade",  "level", "stage",    "bowl", "table",   "figure",  "article", "appendix", "division",
     "group",   "unit",  "series", "mark",  "category", "step", "version", "episode", "season",  "lesson"});
// Names of rulers, of whom even the first are numbered.
constexpr auto kRulers = std::to_array<std::string_view>(
    {"charles",   "george",  "james",     "william",   "henry",     "edward",   "richard",    "elizabeth",
     "mary",      "john",    "paul",      "louis",     "francis",   "napoleon", "frederick",  "nicholas",
     "alexander", "peter",   "catherine", "philip",    "ferdinand", "leopold",  "albert",     "victor",
     "wilhelm",   "otto",    "pius",      "leo",       "gregory",   "benedict", "clement",    "innocent",
     "urban",     "pope",    "king",      "queen",     "darius",    "ramses",   "rameses",    "nebuchadnezzar",
     "ptolemy",   "stephen", "robert",    "david",     "malcolm",   "boniface", "sixtus",     "julius",
     "isabella",  "alfonso", "carol",     "christian", "gustav",    "sargon",   "shalmaneser"});

}  // namespace

std::optional<Reading> read_label(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const size_t end = text.digits_end(at);
  const size_t length = end - at;
  // A serial number, grouped: No. 2,202,130,462
  if (const auto number = text.number_at(at); number && number->commas && number->fraction.empty() &&
                                              number->is_whole_word && number->digits.size() >= 7 &&
                                              one_of(lower_ascii(text.word_before(at)), {"no", "number"}))
    return Reading{number->end, digit_words(number->digits)};
  if (length < 2 || length > 9 || text.in_word(end) || (text[end] == '.' && is_digit(text[end + 1])) ||
      (one_of(text.part(end, end + 1), {",", ":", "/"}) && is_digit(text[end + 1])))
    return std::nullopt;
  const std::string_view digits = text.part(at, end);
  const std::string before = lower_ascii(text.word_before(at));
  const auto preceded_by = [&](std::string_view words) {
    return at >= words.size() && text.part(at - words.size(), at) == words;
  };
  if (length >= 3 && (one_of(before, {"box", "zip"}) || preceded_by("address of ")))
    return Reading{end, digit_words(digits)};
  if (is_house_number(text, at, end) && length == 3 && !digits.ends_with("00")) {
    return Reading{end, style.address_digits ? house_words(digits, style) : label_words(digits, style)};
  }
  if (!style.label_pairs) return std::nullopt;
  // IQ of 118, P.S. 117
  if (!one_of(before, kNumberedThings) && !preceded_by("IQ of ") && !preceded_by("I.Q. of ") && !preceded_by("P.S. "))
    return std::nullopt;
  Reading reading{end, label_words(digits, style)};
  // No. 133-A
  if (text[end] == '-' && is_upper(text[end + 1]) && text.ends_word(end + 2)) {
    reading.spoken += " " + std::string(text.part(end + 1, end + 2));
    reading.end = end + 2;
  }
  return reading;
}

std::optional<Reading> read_serial(const WrittenText& text, size_t at, const SpeechStyle& style) {
  std::string out;
  size_t end = at;
  bool letters = false, digits = false;
  while (is_ascii_letter(text[end]) || is_digit(text[end])) {
    const size_t begin = end;
    std::string part;
    if (is_digit(text[end])) {
      end = text.digits_end(end);
      const std::string_view number = text.part(begin, end);
      SpeechStyle plain = style;
      plain.hundred_and = false;
      const bool singly = number[0] == '0' || number.size() > 4 || (style.spelled_serials && number.size() > 2);
      part = singly ? digit_words(number) : cardinal_words(number, plain);
      digits = true;
      // v1.2
      if (letters && text[end] == '.' && is_digit(text[end + 1])) {
        const size_t fraction = end + 1;
        end = text.digits_end(fraction);
        part += " point " + digit_words(text.part(fraction, end));
      }
    } else {
      end = text.letters_end(end);
      const std::string_view word = text.part(begin, end);
      part = style.spelled_serials && all_upper(word) ? spaced(word) : std::string(word);
      letters = true;
    }
    out += (out.empty() ? "" : " ") + part;
  }
  if (!letters || !digits || text.in_word(end)) return std::nullopt;
  return Reading{end, out};
}

std::optional<Reading> read_telephone(const WrittenText& text, size_t at, const SpeechStyle&) {
  // Groups of digits between single signs; the first may stand in brackets or behind a plus.
  size_t end = at;
  const bool plus = text[end] == '+';
  if (plus) ++end;
  struct Group {
    std::string_view digits;
    char sign;  // before it
  };
  std::array<Group, 6> groups;
  size_t count = 0, total = 0;
  char sign = '\0';
  while (count < groups.size()) {
    const bool bracket = text[end] == '(';
    const size_t begin = end + (bracket ? 1 : 0);
    const size_t digits_end = text.digits_end(begin);
    if (digits_end == begin || (bracket && text[digits_end] != ')')) break;
    groups[count++] = {text.part(begin, digits_end), bracket ? '(' : sign};
    total += digits_end - begin;
    end = digits_end + (bracket ? 1 : 0);
    sign = text[end];
    const size_t next = bracket && sign == ' ' ? end + 1 : bracket && is_digit(sign) ? end : end + 1;
    if (!(sign == '-' || sign == '.' || sign == ' ' || (bracket && is_digit(sign)))) break;
    if (!is_digit(text[next]) && text[next] != '(') break;
    if (count < groups.size()) end = next;
  }
  if (count < 2 || text.in_word(end)) return std::nullopt;
  // "-5" or "/5" behind it: something else
  if ((text[end] == '-' || text[end] == '/' || text[end] == '.') && is_digit(text[end + 1])) return std::nullopt;
  const auto lengths = [&](std::initializer_list<size_t> wanted) {
    return count == wanted.size() &&
           std::equal(wanted.begin(), wanted.end(), groups.begin(),
                      [](size_t length, const Group& group) { return group.digits.size() == length; });
  };
  const auto signs = [&](std::string_view allowed) {
    return std::all_of(groups.begin() + 1, groups.begin() + static_cast<long>(count),
                       [&](const Group& group) { return allowed.find(group.sign) != std::string_view::npos; });
  };
  const bool in_brackets = groups[0].sign == '(' || (count > 1 && groups[1].sign == '(');
  bool network = count == 4 && !plus && signs(".");
  for (size_t i = 0; i < count; ++i) network = network && groups[i].digits.size() <= 3;
  const bool telephone = (plus && total >= 8) || (in_brackets && total >= 10 && groups[count - 1].digits.size() == 4) ||
                         ((lengths({3, 3, 4}) || lengths({1, 3, 3, 4})) && (signs("-."))) ||
                         (lengths({3, 4}) && signs("-")) || (lengths({3, 2, 4}) && signs("-"));
  if (!network && !telephone) return std::nullopt;
  std::string out = plus ? "plus " : "";
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += network ? " dot " : ", ";
    const std::string_view digits = groups[i].digits;
    out += telephone && digits == "800" ? "eight hundred" : digit_words(digits);
  }
  return Reading{end, out};
}

std::optional<Reading> read_roman(const WrittenText& text, size_t at, const SpeechStyle& style) {
  if (!is_upper(text[at])) return std::nullopt;
  const std::string_view numeral = text.word_at(at);
  const auto value = roman_value(numeral);
  size_t end = at + numeral.size();
  if (!value || *value > 100 || text.in_word(end)) return std::nullopt;
  if (at == 0 || text[at - 1] != ' ') return std::nullopt;
  const std::string_view word = text.word_before(at);
  if (word.size() < 3 || !is_upper(word[0])) return std::nullopt;
  const std::string before = lower_ascii(word);
  const std::string digits = std::to_string(*value);
  if (one_of(before, kNumberedParts)) {
    // "the Class I took": a pronoun may stand behind these
    if (numeral == "I" && !one_of(before, {"war", "part", "chapter", "volume", "act", "book"})) return std::nullopt;
    return Reading{end, cardinal_words(digits, style)};
  }
  const bool known = one_of(before, kRulers);
  if (!known && (numeral.size() < 2 || *value > 39 || all_upper(word))) return std::nullopt;
  // "George I am": no numeral
  if (numeral == "I" && text[end] != '.' && text[end] != ',') {
    const std::string_view next = text.word_at(text.blanks_end(end));
    if (one_of(next,
               {"am", "have", "was", "had", "will", "would", "know", "think", "do", "did", "can", "could", "said"}))
      return std::nullopt;
  }
  if (text[end] == '.' && (style.numeral_stops || text.blanks_end(end + 1) < text.size())) ++end;
  return Reading{end, "the " + ordinal_words(digits, style)};
}

}  // namespace fathom::text
