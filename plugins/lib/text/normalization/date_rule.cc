#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

struct Month {
  size_t number = 0;  // from 0
  size_t end = 0;     // behind a full stop, where it is an abbreviation with one
  bool is_short = false;
};

std::optional<Month> month_at(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const std::string_view word = text.word_at(at);
  size_t end = at + word.size();
  if (word.size() < 3 || (!is_upper(word[0]) && !style.any_case) || !text.ends_word(end)) return std::nullopt;
  const std::string lower = lower_ascii(word);
  for (size_t i = 0; i < kMonths.size(); ++i) {
    const std::string name = lower_ascii(kMonths[i]);
    if (lower == name) return Month{i, end, false};
    if (lower == name.substr(0, 3) || (i == 8 && lower == "sept")) {
      if (text[end] == '.') ++end;
      return Month{i, end, true};
    }
  }
  return std::nullopt;
}

std::string month_name(size_t number, const SpeechStyle& style) {
  return style.lower_months ? lower_ascii(kMonths[number]) : std::string(kMonths[number]);
}

struct Day {
  size_t end = 0;
  std::string_view digits;
  bool has_suffix = false;
};

std::optional<Day> day_at(const WrittenText& text, size_t at) {
  size_t end = text.digits_end(at);
  if (end == at || end > at + 2) return std::nullopt;
  const std::string_view digits = text.part(at, end);
  const int value = std::stoi(std::string(digits));
  if (value < 1 || value > 31) return std::nullopt;
  const std::string_view suffix = text.word_at(end);
  const bool has_suffix = one_of(lower_ascii(suffix), {"st", "nd", "rd", "th"});
  if (has_suffix) end += suffix.size();
  if (!text.ends_word(end)) return std::nullopt;
  if ((text[end] == '.' || text[end] == ',' || text[end] == ':' || text[end] == '/') && is_digit(text[end + 1]))
    return std::nullopt;
  return Day{end, digits, has_suffix};
}

std::string day_words(const Day& day, const SpeechStyle& style) {
  return day.has_suffix || style.ordinal_days ? ordinal_words(day.digits, style) : cardinal_words(day.digits, style);
}

// "B.C." and its like behind a year, over a blank.
bool era_follows(const WrittenText& text, size_t at) {
  const size_t era = text.blanks_end(at);
  for (const std::string_view name : {"B.C.", "A.D.", "B.C.E.", "C.E.", "BCE", "BC", "AD", "CE"}) {
    if (text.starts(era, name) && text.ends_word(era + name.size())) return era > at;
  }
  return false;
}

// A year of four digits, or of three before its era, as a whole word.
std::optional<size_t> year_end(const WrittenText& text, size_t at) {
  const size_t end = text.digits_end(at);
  if (text[at] == '0' || !text.ends_word(end)) return std::nullopt;
  if ((text[end] == '.' || text[end] == ',' || text[end] == ':' || text[end] == '/') && is_digit(text[end + 1]))
    return std::nullopt;
  return end == at + 4 || (end == at + 3 && era_follows(text, end)) ? std::optional(end) : std::nullopt;
}

// ", 1999" or " 1999" behind a day or a month: appends it, and returns where it ends.
size_t add_year(const WrittenText& text, size_t at, const SpeechStyle& style, std::string& out) {
  const bool comma = text[at] == ',';
  const size_t year = text.blanks_end(at + (comma ? 1 : 0));
  if (year == at + (comma ? 1 : 0)) return at;
  const auto end = year_end(text, year);
  if (!end) return at;
  out += (comma ? ", " : " ") + year_words(text.part(year, *end), style);
  return *end;
}

// January 3, 1999; Jan. 3rd; May 5-7, 2010; May 2005
std::optional<Reading> month_first(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const auto month = month_at(text, at, style);
  if (!month) return std::nullopt;
  std::string out = month_name(month->number, style);
  const size_t next = text.blanks_end(month->end);
  if (next == month->end && text[next] != ',') return std::nullopt;
  if (auto day = day_at(text, next)) {
    out += " " + day_words(*day, style);
    size_t end = day->end;
    if (const size_t dash = text.dash_end(end); dash > end) {
      if (const auto last = day_at(text, dash)) {
        out += " to " + day_words(*last, style);
        end = last->end;
      }
    }
    return Reading{add_year(text, end, style, out), out};
  }
  const size_t end = add_year(text, month->end, style, out);
  if (end != month->end) return Reading{end, out};
  return std::nullopt;
}

// 3 January 1999, 3rd Jan.
std::optional<Reading> day_first(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const auto day = day_at(text, at);
  if (!day) return std::nullopt;
  const size_t name = text.blanks_end(day->end);
  if (name == day->end) return std::nullopt;
  const auto month = month_at(text, name, style);
  // "in 3 May elections" is said the same way; "5 March on" is no date, but nothing tells.
  if (!month) return std::nullopt;
  std::string out;
  if (style.ordinal_days) {
    const bool has_article = lower_ascii(text.word_before(at)) == "the";
    out = (has_article ? "" : "the ") + ordinal_words(day->digits, style) + " of ";
  } else {
    out = day_words(*day, style) + " ";
  }
  out += month_name(month->number, style);
  return Reading{add_year(text, month->end, style, out), out};
}

std::string spoken_date(int month, std::string_view day, std::string_view year, bool day_leads,
                        const SpeechStyle& style) {
  const Day spoken{0, day, true};
  const std::string name = month_name(static_cast<size_t>(month - 1), style);
  std::string out =
      day_leads ? "the " + day_words(spoken, style) + " of " + name : name + " " + day_words(spoken, style);
  // "01/03/05": two digits are read as they are
  if (year.size() == 4)
    out += " " + year_words(year, style);
  else
    out += " " + (year[0] == '0' ? digit_words(year, style.oh) : cardinal_words(year, style));
  return out;
}

// 1999-01-03, 1999/01/03, 01/03/1999, 1/3/99, 31.12.1999
std::optional<Reading> in_figures(const WrittenText& text, size_t at, const SpeechStyle& style) {
  std::array<std::string_view, 3> parts;
  char sign = '\0';
  size_t end = at;
  for (size_t i = 0; i < 3; ++i) {
    if (i == 1) {
      sign = text[end];
      if (sign != '-' && sign != '/' && sign != '.') return std::nullopt;
    }
    if (i > 0 && text[end++] != sign) return std::nullopt;
    const size_t begin = end;
    end = text.digits_end(end);
    parts[i] = text.part(begin, end);
    if (parts[i].empty() || parts[i].size() > 4) return std::nullopt;
  }
  if (!text.ends_word(end) || (one_of(text.part(end, end + 1), {"-", "/", "."}) && is_digit(text[end + 1])))
    return std::nullopt;
  const auto value = [](std::string_view digits) { return std::stoi(std::string(digits)); };
  const auto fits = [&](std::string_view month, std::string_view day) {
    return month.size() <= 2 && day.size() <= 2 && value(month) >= 1 && value(month) <= 12 && value(day) >= 1 &&
           value(day) <= 31;
  };
  if (parts[0].size() == 4 && sign != '.' && fits(parts[1], parts[2]))
    return Reading{end, spoken_date(value(parts[1]), parts[2], parts[0], false, style)};
  const bool year = parts[2].size() == 4 || (parts[2].size() == 2 && sign == '/');
  if (!year || parts[2] == "0000") return std::nullopt;
  if (fits(parts[0], parts[1]) && sign != '.')
    return Reading{end, spoken_date(value(parts[0]), parts[1], parts[2], false, style)};
  if (fits(parts[1], parts[0])) return Reading{end, spoken_date(value(parts[1]), parts[0], parts[2], true, style)};
  return std::nullopt;
}

// 1990s, 1800's, '60s, '64
std::optional<Reading> decade(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const bool apostrophe = text[at] == '\'' || text.starts(at, "’");
  const size_t begin = at + (text[at] == '\'' ? 1 : apostrophe ? 3 : 0);
  const size_t digits_end = text.digits_end(begin);
  const std::string_view digits = text.part(begin, digits_end);
  size_t end = digits_end;
  if (text[end] == '\'' && text[end + 1] == 's') ++end;
  const bool plural = text[end] == 's' && text.ends_word(end + 1);
  if (plural) ++end;
  if (digits.size() == 2 && apostrophe && text.ends_word(end)) {
    if (plural && digits[1] == '0') return Reading{end, plural_of(cardinal_words(digits, style))};
    if (!plural && digits[0] != '0') return Reading{end, "'" + cardinal_words(digits, style)};
    return std::nullopt;
  }
  if (apostrophe || !plural || !digits.ends_with('0')) return std::nullopt;
  if (digits.size() == 2 && digits != "00") return Reading{end, plural_of(cardinal_words(digits, style))};
  if (digits.size() == 4 && (digits[0] == '1' || digits[0] == '2'))
    return Reading{end, plural_of(year_words(digits, style))};
  return std::nullopt;
}

// 1914-1918, 1990-95, 1990–1995
std::optional<Reading> year_range(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const size_t first = at + 4;
  if (text.digits_end(at) != first || (text[at] != '1' && text[at] != '2')) return std::nullopt;
  const size_t begin = text.dash_end(first);
  if (begin == first) return std::nullopt;
  const size_t end = text.digits_end(begin);
  const std::string_view last = text.part(begin, end);
  if (!text.ends_word(end) || text[end] == '-' || (last.size() != 4 && last.size() != 2)) return std::nullopt;
  if (last.size() == 4 ? last <= text.part(at, first) : last <= text.part(at + 2, first)) return std::nullopt;
  return Reading{end, year_words(text.part(at, first), style) + " to " +
                          (last.size() == 4 ? year_words(last, style) : cardinal_words(last, style))};
}

// 484 B.C.; in 605,
std::optional<Reading> bare_year(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const size_t end = text.digits_end(at);
  const size_t length = end - at;
  if (length == 0 || length > 4 || text[at] == '0' || !text.ends_word(end)) return std::nullopt;
  if (one_of(text.part(end, end + 1), {".", ",", ":", "/", "-"}) && is_digit(text[end + 1])) return std::nullopt;
  const std::string_view digits = text.part(at, end);
  if (era_follows(text, end)) return Reading{end, year_words(digits, style)};
  if (length != 3 || digits.ends_with("00")) return std::nullopt;
  const std::string before = lower_ascii(text.word_before(at));
  if (!style.label_pairs || (before != "in" && before != "year") || text[end] == '-') return std::nullopt;
  // "in 250 cases" counts; "in 605, he" and "in 555 Nabonidus" do not.
  const std::string_view next = text.word_at(text.blanks_end(end));
  if (before == "in" && is_lower(next.empty() ? '\0' : next[0]) && next.ends_with('s')) return std::nullopt;
  return Reading{end, year_words(digits, style)};
}

}  // namespace

std::optional<Reading> read_date(const WrittenText& text, size_t at, const SpeechStyle& style) {
  if (is_ascii_letter(text[at])) return month_first(text, at, style);
  if (text[at] == '\'' || text.starts(at, "’")) return text.begins_word(at) ? decade(text, at, style) : std::nullopt;
  if (!is_digit(text[at])) return std::nullopt;
  for (const auto rule : {&day_first, &in_figures, &decade, &year_range, &bare_year}) {
    if (auto reading = rule(text, at, style)) return reading;
  }
  return std::nullopt;
}

}  // namespace fathom::text
