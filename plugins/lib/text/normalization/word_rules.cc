// Abbreviations and signs.
#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

struct WrittenAbbreviation {
  std::string_view written, spoken;
  bool before_name = false;  // only where a capital or a figure follows
};
// With their full stop, which is read with them.
constexpr auto kWrittenAbbreviations = std::to_array<WrittenAbbreviation>({
    {"Mr.", "mister"},
    {"Mrs.", "misses"},
    {"Ms.", "miss"},
    {"Dr.", "doctor"},
    {"Prof.", "professor"},
    {"Gen.", "general", true},
    {"Col.", "colonel", true},
    {"Capt.", "captain", true},
    {"Lt.", "lieutenant", true},
    {"Sgt.", "sergeant", true},
    {"Maj.", "major", true},
    {"Adm.", "admiral", true},
    {"Rev.", "Reverend", true},
    {"Hon.", "honorable", true},
    {"Gov.", "governor", true},
    {"Sen.", "senator", true},
    {"Rep.", "representative", true},
    {"Pres.", "president", true},
    {"Mt.", "Mount", true},
    {"Ft.", "Fort", true},
    {"Jr.", "junior"},
    {"Sr.", "senior"},
    {"Co.", "company"},
    {"Ltd.", "limited"},
    {"Inc.", "incorporated"},
    {"Corp.", "corporation"},
    {"Bros.", "brothers"},
    {"vs.", "versus"},
    {"e.g.", "for example"},
    {"i.e.", "that is"},
    {"dept.", "department"},
    {"Dept.", "department"},
    {"est.", "estimated"},
    {"approx.", "approximately"},
    {"vol.", "volume", true},
    {"Vol.", "volume", true},
    {"Fig.", "figure", true},
    {"fig.", "figure", true},
    {"pp.", "pages", true},
    {"p.", "page", true},
    {"Ave.", "Avenue"},
    {"Blvd.", "Boulevard"},
    {"Rd.", "Road"},
    {"w/o", "without"},
    {"Ph.D.", "PHD"},
    {"a.k.a.", "AKA"},
    {"Apt.", "Apartment", true},
});

bool name_follows(const WrittenText& text, size_t at) {
  const size_t next = text.blanks_end(at);
  return next > at && (is_upper(text[next]) || is_digit(text[next]));
}

// "U.S.A.": its letters in capitals, without the full stops.
std::optional<Reading> initials(const WrittenText& text, size_t at) {
  std::string letters;
  size_t end = at;
  while (is_ascii_letter(text[end]) && text[end + 1] == '.') {
    letters += is_lower(text[end]) ? static_cast<char>(text[end] - 'a' + 'A') : text[end];
    end += 2;
  }
  if (letters.size() < 2 || text.in_word(end)) return std::nullopt;
  return Reading{end, letters};
}

}  // namespace

std::optional<Reading> read_abbreviation(const WrittenText& text, size_t at, const SpeechStyle& style) {
  if (!is_ascii_letter(text[at])) return std::nullopt;
  // No. 5: a number follows; elsewhere it is an answer
  for (const auto& [written, spoken] : {std::pair<std::string_view, std::string_view>{"No.", "Number"},
                                        {"Nos.", "Numbers"},
                                        {"no.", "number"},
                                        {"nos.", "numbers"}}) {
    if (!text.starts(at, written)) continue;
    const size_t next = text.skip_blank(at + written.size());
    const bool serial = is_upper(text[next]) && is_digit(text[text.letters_end(next)]);
    if (is_digit(text[next]) || serial) return Reading{at + written.size(), std::string(spoken)};
  }
  if (!style.titles) {
    // the measure of wits, as it is said
    if (text.starts(at, "IQ") && text.ends_word(at + 2)) return Reading{at + 2, "I.Q."};
    return std::nullopt;
  }
  for (const auto& [form, spoken] :
       {std::pair<std::string_view, std::string_view>{"a.m.", "AM"}, {"p.m.", "PM"}, {"A.M.", "AM"}, {"P.M.", "PM"}}) {
    if (text.starts(at, form) && text.ends_word(at + form.size()))
      return Reading{at + form.size(), std::string(spoken)};
  }
  if (text.starts(at, "etc.")) return Reading{at + 3, "etcetera"};
  if (text.starts(at, "St.")) {
    const bool street = is_upper(text.word_before(at).empty() ? '\0' : text.word_before(at)[0]);
    if (name_follows(text, at + 3) && !street) return Reading{at + 3, "Saint"};
    if (street) return Reading{at + 3, "Street"};
  }
  for (const WrittenAbbreviation& abbreviation : kWrittenAbbreviations) {
    if (!text.starts(at, abbreviation.written) &&
        !(style.any_case && text.starts_any_case(at, lower_ascii(abbreviation.written))))
      continue;
    const size_t end = at + abbreviation.written.size();
    if (text.in_word(end) || (abbreviation.before_name && !name_follows(text, end))) continue;
    return Reading{end, std::string(abbreviation.spoken)};
  }
  return initials(text, at);
}

std::optional<Reading> read_symbol(const WrittenText& text, size_t at, const SpeechStyle&) {
  struct Sign {
    std::string_view written, spoken;
    bool before_number = false;
  };
  static constexpr auto kSigns = std::to_array<Sign>({{"&", "and"},
                                                      {"%", "percent"},
                                                      {"#", "number", true},
                                                      {"№", "number", true},
                                                      {"=", "equals"},
                                                      {"+", "plus"},
                                                      {"@", "at"},
                                                      {"§", "section", true},
                                                      {"°", "degrees"},
                                                      {"×", "times"},
                                                      {"÷", "divided by"},
                                                      {"±", "plus or minus"},
                                                      {"≤", "less than or equal to"},
                                                      {"≥", "greater than or equal to"},
                                                      {"<", "less than", true},
                                                      {">", "greater than", true},
                                                      {"≈", "approximately"},
                                                      {"≠", "is not equal to"},
                                                      {"²", "squared"},
                                                      {"³", "cubed"},
                                                      {"$", "dollar"},
                                                      {"€", "euro"},
                                                      {"£", "pound"},
                                                      {"^", "to the power of", true},
                                                      {"∞", "infinity"},
                                                      {"√", "square root of"},
                                                      {"/", "slash", true}});
  static constexpr auto kGreek = std::to_array<std::pair<std::string_view, std::string_view>>(
      {{"α", "alpha"},  {"β", "beta"}, {"γ", "gamma"}, {"δ", "delta"}, {"Δ", "delta"}, {"ε", "epsilon"}, {"θ", "theta"},
       {"λ", "lambda"}, {"µ", "mu"},   {"μ", "mu"},    {"π", "pi"},    {"ρ", "rho"},   {"σ", "sigma"},   {"Σ", "sigma"},
       {"τ", "tau"},    {"φ", "phi"},  {"χ", "chi"},   {"ψ", "psi"},   {"ω", "omega"}, {"Ω", "omega"}});
  for (const auto& [letter, name] : kGreek) {
    if (text.starts(at, letter) && text.ends_word(at + letter.size()))
      return Reading{at + letter.size(), std::string(name)};
  }
  // 5*3
  if (text[at] == '*' && at > 0 && is_digit(text[at - 1]) && is_digit(text[at + 1])) return Reading{at + 1, " times "};
  for (const Sign& sign : kSigns) {
    if (!text.starts(at, sign.written)) continue;
    const size_t end = at + sign.written.size();
    const size_t next = text.skip_blank(end);
    if (sign.before_number && !is_digit(text[next])) return std::nullopt;
    if (sign.written == "/" && (at == 0 || !is_digit(text[at - 1]))) return std::nullopt;
    // Words on either side are kept apart from it.
    std::string out = at > 0 && text.in_word(at - 1) ? " " : "";
    out += sign.spoken;
    if (text.in_word(end)) out += " ";
    return Reading{end, out};
  }
  return std::nullopt;
}

}  // namespace fathom::text
