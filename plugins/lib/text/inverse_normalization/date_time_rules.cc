// Dates, years and times of day.
#include <array>

#include "plugins/lib/text/inverse_normalization/inverse_rules.h"

namespace fathom::text::inverse {
namespace {

using enum NumberWord;

constexpr std::array<std::string_view, 12> kMonths = {"january",   "february", "march",    "april",
                                                      "may",       "june",     "july",     "august",
                                                      "september", "october",  "november", "december"};

struct SpokenAs {
  std::string_view spoken, written;
};
constexpr std::array<SpokenAs, 6> kEras = {{{"a d", "AD"},
                                            {"b c e", "BCE"},
                                            {"b c", "BC"},
                                            {"before common era", "BCE"},
                                            {"c e", "CE"},
                                            {"common era", "CE"}}};
constexpr std::array<SpokenAs, 10> kPeriods = {{{"first quarter", "Q1"},
                                                {"q one", "Q1"},
                                                {"second quarter", "Q2"},
                                                {"q two", "Q2"},
                                                {"third quarter", "Q3"},
                                                {"q three", "Q3"},
                                                {"fourth quarter", "Q4"},
                                                {"q four", "Q4"},
                                                {"first half", "H1"},
                                                {"second half", "H2"}}};
constexpr std::array<SpokenAs, 8> kDayHalves = {{{"p m", "p.m."},
                                                 {"pm", "p.m."},
                                                 {"p.m.", "p.m."},
                                                 {"p.m", "p.m."},
                                                 {"am", "a.m."},
                                                 {"a.m.", "a.m."},
                                                 {"a.m", "a.m."},
                                                 {"a m", "a.m."}}};
constexpr std::array<SpokenAs, 7> kZones = {{{"c s t", "cst"},
                                             {"c e t", "cet"},
                                             {"p s t", "pst"},
                                             {"e s t", "est"},
                                             {"p t", "pt"},
                                             {"e t", "et"},
                                             {"g m t", "gmt"}}};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

template <size_t n>
void spoken_at(const SpokenReader& in, size_t at, const std::array<SpokenAs, n>& table, bool capitals, Readings& out) {
  if (!in.word_at(at)) return;
  for (const SpokenAs& entry : table) {
    if (const size_t end = in.after_words(at, entry.spoken)) out.push_back({end, std::string(entry.written)});
    if (!capitals) continue;
    if (const size_t end = in.after_words(at, upper(entry.spoken))) out.push_back({end, upper(entry.written)});
  }
}

// "o five" -> 05.
void o_digit(const SpokenReader& in, size_t at, Readings& out) {
  char digit = 0;
  if ((in.is_cased(at, "o") || in.is_cased(at, "oh")) && in.digit_at(at + 1, false, &digit))
    out.push_back({at + 2, {'0', digit}});
}

void last_two(const SpokenReader& in, size_t at, bool capital_ok, Readings& out) {
  in.teens(at, false, out);
  in.tens(at, capital_ok, out);
  o_digit(in, at, out);
}

// "two thousand [five hundred] [and] five".
void thousands(const SpokenReader& in, size_t at, bool capital_ok, Readings& out) {
  char digit = 0, hundred = 0;
  if (!in.digit_at(at, capital_ok, &digit)) return;
  size_t i = at + 1;
  constexpr int kThousand = 6;
  if (i >= in.limit() || !in.atom(i).is(kGroup) || in.atom(i).value != kThousand || in.atom(i).capital) return;
  ++i;
  const auto end_at = [&](size_t last, const std::string& head) {
    Readings ends;
    in.teens(last, false, ends);
    in.tens(last, in.cased(), ends);
    for (Reading& end : ends) out.push_back({end.end, head + end.written});
    if (in.is(last, "and") && in.word_at(last + 1)) ++last;
    if (in.digit_at(last, false, &digit)) out.push_back({last + 1, head + "0" + digit});
  };
  const std::string thousand(1, digit);
  if (in.digit_at(i, false, &hundred) && in.number_at(i + 1, kHundred, false)) end_at(i + 2, thousand + hundred);
  end_at(i, thousand + "0");
}

// All years, the era with them.
Readings years(const SpokenReader& in, size_t at) {
  Readings out, eras_wanted;
  if (!in.word_at(at)) return out;
  const bool capital_ok = in.cased();
  const auto join = [&](const Readings& heads, Readings& joined) {
    for (const Reading& head : heads) {
      Readings tails;
      last_two(in, head.end, in.cased(), tails);
      for (const Reading& tail : tails) joined.push_back({tail.end, head.written + tail.written});
    }
  };
  Readings teen, tens, digit;
  in.teens(at, capital_ok, teen);
  in.tens(at, capital_ok, tens);
  char one = 0;
  if (in.digit_at(at, capital_ok, &one)) digit.push_back({at + 1, std::string(1, one)});
  join(teen, out);
  join(tens, out);
  thousands(in, at, capital_ok, out);
  // Only with an era.
  join(digit, eras_wanted);
  join(tens, eras_wanted);
  thousands(in, at, capital_ok, eras_wanted);
  o_digit(in, at, eras_wanted);
  for (const auto* some : {&teen, &tens, &digit}) eras_wanted.insert(eras_wanted.end(), some->begin(), some->end());
  for (const auto* some : {&teen, &digit}) {
    for (const Reading& head : *some) {
      if (!in.number_at(head.end, kHundred, false)) continue;
      eras_wanted.push_back({head.end + 1, head.written + "00"});
      if (in.digit_at(head.end + 1, false, &one)) eras_wanted.push_back({head.end + 2, head.written + "0" + one});
    }
  }
  for (const Reading& year : eras_wanted) {
    Readings eras;
    spoken_at(in, year.end, kEras, false, eras);
    for (const Reading& era : eras) out.push_back({era.end, year.written + era.written});
  }
  std::erase_if(out, [&](const Reading& year) { return !in.ends_word(year.end); });
  return out;
}

// "nineteen eighties" -> 1980s, "eighteen hundreds" -> 1800s, "two thousands" -> 2000s.
Readings decades(const SpokenReader& in, size_t at) {
  Readings out, heads;
  if (!in.word_at(at)) return out;
  if ((in.is(at, "two") || in.is(at, "Two")) && in.is(at + 1, "thousands")) out.push_back({at + 2, "2000s"});
  in.teens(at, true, heads);
  in.tens(at, true, heads);
  for (const Reading& head : heads) {
    if (head.written[0] > '2' || !in.word_at(head.end)) continue;
    const std::string_view word = in.atom(head.end).text;
    std::string tail;
    if (word == "hundreds") {
      tail = "00s";
    } else if (word == "tens") {
      tail = "10s";
    } else if (word.ends_with("ies")) {
      std::string name = std::string(word.substr(0, word.size() - 3)) + "y";
      if (in.cased() && name[0] >= 'A' && name[0] <= 'Z') name[0] = static_cast<char>(name[0] - 'A' + 'a');
      const auto tens = number_word(name);
      if (tens && tens->is(kTens)) tail = std::to_string(tens->value) + "s";
    }
    if (!tail.empty()) out.push_back({head.end + 1, head.written + tail});
  }
  return out;
}

bool month_at(const SpokenReader& in, size_t at) {
  if (!in.word_at(at)) return false;
  for (const auto& month : kMonths)
    if (in.is_cased(at, month)) return true;
  return false;
}

// Days of a date are ordinals, whose weight the peer takes off again.
constexpr Cost kDayReward = -7000;

Readings days(const SpokenReader& in, size_t at) {
  Readings out;
  if (!in.word_at(at)) return out;
  for (Reading& number : in.numbers(at, in.cased())) {
    if (number.ordinal && in.ends_word(number.end))
      out.push_back({number.end, std::move(number.written), number.cost + kDayReward});
  }
  return out;
}

constexpr Cost kYearCost = 10;

}  // namespace

void date_rule(const SpokenReader& in, size_t at, Readings& out) {
  const auto add = [&](size_t end, std::string written, Cost cost) {
    out.push_back({end, std::move(written), kEarlyCost + cost});
  };
  const auto add_with_years = [&](size_t end, const std::string& written, Cost cost) {
    for (const Reading& year : years(in, end)) add(year.end, written + " " + year.written, cost);
  };
  if (month_at(in, at)) {
    const std::string month(in.atom(at).text);
    add_with_years(at + 1, month, 0);
    for (const Reading& day : days(in, at + 1)) {
      add(day.end, month + " " + day.written, day.cost);
      add_with_years(day.end, month + " " + day.written, day.cost);
    }
  }
  if (in.is_cased(at, "the")) {
    for (const Reading& day : days(in, at + 1)) {
      if (!in.is(day.end, "of") || !month_at(in, day.end + 1)) continue;
      const std::string written = day.written + " " + std::string(in.atom(day.end + 1).text);
      add(day.end + 2, written, day.cost);
      add_with_years(day.end + 2, written, day.cost);
    }
  }
  const auto add_years = [&](size_t first, const std::string& head) {
    for (const Reading& year : years(in, first)) add(year.end, head + year.written, kYearCost);
    for (const Reading& decade : decades(in, first)) add(decade.end, head + decade.written, 0);
  };
  add_years(at, "");
  Readings periods;
  spoken_at(in, at, kPeriods, false, periods);
  for (const Reading& period : periods)
    add_years(in.is(period.end, "of") ? period.end + 1 : period.end, period.written + " ");
}

void time_rule(const SpokenReader& in, size_t at, Readings& out) {
  const bool cased = in.cased();
  // Numbers below `below`, in words with single spaces; the peer takes a number's weight off, and zero has none.
  const auto small = [&](size_t i, int below) {
    Readings found;
    if (!in.word_at(i)) return found;
    in.teens(i, cased, found);
    in.tens(i, cased, found);
    char digit = 0;
    constexpr Cost kZeroReward = -7000;
    if (in.digit_at(i, cased, &digit, true))
      found.push_back({i + 1, std::string(1, digit), digit == '0' ? kZeroReward : 0});
    std::erase_if(found, [&](const Reading& number) {
      if (std::stoi(number.written) >= below || !in.ends_word(number.end)) return true;
      return number.end == i + 2 && !in.word_at(i + 1);
    });
    return found;
  };
  constexpr int kHours = 24, kMinutes = 60;
  const auto two = [](const std::string& digits) { return digits.size() < 2 ? "0" + digits : digits; };
  // `end` with a half of the day and a zone behind it.
  const auto finish = [&](size_t end, const std::string& written, Cost cost, bool needs_half, bool may_have_zone) {
    Readings so_far;
    if (!needs_half) so_far.push_back({end, written});
    Readings halves;
    spoken_at(in, end, kDayHalves, cased, halves);
    for (const Reading& half : halves) so_far.push_back({half.end, written + " " + half.written});
    for (const Reading& reading : so_far) {
      out.push_back({reading.end, reading.written, kRuleCost + cost});
      if (!may_have_zone) continue;
      Readings zones;
      spoken_at(in, reading.end, kZones, cased, zones);
      for (const Reading& zone : zones)
        out.push_back({zone.end, reading.written + " " + zone.written, kRuleCost + cost});
    }
  };
  for (const Reading& hour : small(at, kHours)) {
    const std::string head = two(hour.written) + ":";
    finish(hour.end, head + "00", hour.cost, true, true);
    static constexpr std::array<std::string_view, 10> kOClock = {"o' clock",      "o clock",      "o'clock", "oclock",
                                                                 "hundred hours", "O' clock",     "O clock", "O'clock",
                                                                 "Oclock",        "Hundred hours"};
    for (size_t i = 0; i < kOClock.size() / (cased ? 1 : 2); ++i)
      if (const size_t end = in.after_words(hour.end, kOClock[i])) finish(end, head + "00", hour.cost, false, true);
    char digit = 0;
    if (in.is(hour.end, "o") && in.digit_at(hour.end + 1, cased, &digit))
      finish(hour.end + 2, head + "0" + digit, hour.cost, false, true);
    for (const Reading& minute : small(hour.end, kMinutes))
      if (minute.written.size() == 2) finish(minute.end, head + minute.written, hour.cost, false, true);
  }
  Readings minutes = small(at, kMinutes);
  std::erase_if(minutes, [](const Reading& minute) { return minute.written == "0"; });
  const size_t numbers = minutes.size();
  if (in.is_cased(at, "half")) minutes.push_back({at + 1, "30"});
  if (in.is_cased(at, "quarter")) minutes.push_back({at + 1, "15"});
  const auto is_to = [&](size_t i) { return in.is(i, "to") || in.is(i, "till"); };
  // "one" to "twelve" as the hour before.
  const auto hour_before = [&](size_t i, std::string* hour) {
    if (!in.word_at(i) || in.atom(i).ordinal || in.atom(i).capital || !in.ends_word(i + 1)) return false;
    const int value = in.atom(i).value;
    if ((in.atom(i).number != kUnit && in.atom(i).number != kTeen) || value > 12) return false;
    *hour = two(std::to_string(value == 1 ? 12 : value - 1));
    return true;
  };
  std::string before;
  for (size_t m = 0; m < minutes.size(); ++m) {
    const Reading& minute = minutes[m];
    if (in.is(minute.end, "past")) {
      for (const Reading& hour : small(minute.end + 1, kHours))
        finish(hour.end, two(hour.written) + ":" + two(minute.written), hour.cost, false, true);
    }
    if (m >= numbers) continue;
    size_t to = minute.end;
    for (const char* word : {"min", "mins", "minute", "minutes"}) {
      if (in.is(minute.end, word)) ++to;
    }
    if (is_to(to) && hour_before(to + 1, &before))
      finish(to + 2, before + ":" + two(std::to_string(kMinutes - std::stoi(minute.written))), 0, true, false);
  }
  if (in.is_cased(at, "quarter") && is_to(at + 1) && hour_before(at + 2, &before))
    finish(at + 3, before + ":45", 0, false, true);
}

}  // namespace fathom::text::inverse
