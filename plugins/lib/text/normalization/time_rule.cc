#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

// "pm", "p.m.", "PM" at `at`: 'a' or 'p', and where it ends.
struct HalfDay {
  char letter = '\0';
  size_t end = 0;
};

std::optional<HalfDay> half_day_at(const WrittenText& text, size_t at) {
  for (const char letter : {'a', 'p'}) {
    for (const std::string& form :
         {std::string(1, letter) + ".m.", std::string(1, letter) + ".m", std::string(1, letter) + "m"}) {
      if (text.starts_any_case(at, form) && text.ends_word(at + form.size())) return HalfDay{letter, at + form.size()};
    }
  }
  return std::nullopt;
}

int value_at(const WrittenText& text, size_t begin, size_t end) {
  return std::stoi(std::string(text.part(begin, end)));
}

std::string counted(std::string_view digits, std::string_view unit, const SpeechStyle& style) {
  const std::string words = cardinal_words(digits, style);
  return words + " " + std::string(unit) + (words == "one" ? "" : "s");
}

}  // namespace

std::optional<Reading> read_time(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const size_t hour_end = text.digits_end(at);
  if (hour_end == at || hour_end > at + 2) return std::nullopt;
  const std::string_view hour = text.part(at, hour_end);
  const int hours = value_at(text, at, hour_end);
  size_t end = hour_end;
  std::string_view minutes, seconds;
  const bool has_minutes = text[end] == ':' && text.digits_end(end + 1) == end + 3;
  if (has_minutes) {
    minutes = text.part(end + 1, end + 3);
    end += 3;
    if (text[end] == ':' && text.digits_end(end + 1) == end + 3) {
      seconds = text.part(end + 1, end + 3);
      end += 3;
    }
    if (hours > 24 || minutes[0] > '5' || (!seconds.empty() && seconds[0] > '5')) return std::nullopt;
    if (hours == 24 && minutes != "00") return std::nullopt;
  }
  // am and pm that stand by themselves are left to the reader of abbreviations
  const auto half = half_day_at(text, end);
  const auto later = half ? half : half_day_at(text, text.blanks_end(end));
  if (half && (hours < 1 || (hours > 12 && !has_minutes))) return std::nullopt;
  if (!half && (!has_minutes || !text.ends_word(end) || (text[end] == ':' && is_digit(text[end + 1])) ||
                (text[end] == '.' && is_digit(text[end + 1]))))
    return std::nullopt;

  std::string out;
  if (!seconds.empty()) {
    out = counted(hour, "hour", style) + " " + counted(minutes, "minute", style) + " and " +
          counted(seconds, "second", style);
  } else {
    out = cardinal_words(hour, style);
    if (has_minutes && minutes == "00") {
      if (!later) out += " o'clock";
    } else if (has_minutes) {
      out += style.clock_colon ? ":" : " ";
      out += minutes[0] == '0' ? std::string(style.minute_oh) + " " + cardinal_words(minutes, style)
                               : cardinal_words(minutes, style);
    }
  }
  // In capitals, as they are said, where nothing is left to a dictionary.
  if (half || (style.titles && later)) {
    end = later->end;
    out += style.titles ? (later->letter == 'a' ? " AM" : " PM") : (later->letter == 'a' ? " a.m." : " p.m.");
  }
  return Reading{end, out};
}

}  // namespace fathom::text
