#include "plugins/lib/text/speech_locales.h"

#include <algorithm>
#include <string_view>

#include "fathom/error.h"
#include "fathom/nearest_names.h"
#include "fathom/utf8.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

struct LocaleText {
  std::string_view locale, text;
};

#include "plugins/lib/text/speech_locales.inc"

}  // namespace

std::vector<std::string> speech_locales() {
  std::vector<std::string> out;
  for (const LocaleText& entry : kMarks) out.emplace_back(entry.locale);
  return out;
}

void check_speech_locale(const std::string& locale) {
  const std::vector<std::string> known = speech_locales();
  if (std::find(known.begin(), known.end(), locale) != known.end()) return;
  std::string names;
  for (const auto& name : known) names += (names.empty() ? "" : ", ") + name;
  throw Error(Code::kFailed, "there is no such locale")
      .seen(locale)
      .expected(names)
      .candidates(nearest_names(locale, known));
}

const std::vector<std::string>& common_punctuation() {
  static const auto* marks =
      new std::vector<std::string>{",", ".", "!", "?", "-", ":", ";", "/", "\"", "(", ")", "[", "]", "{", "}"};
  return *marks;
}

std::vector<std::string> locale_punctuation(const std::string& locale) {
  std::vector<std::string> out = common_punctuation();
  for (const LocaleText& entry : kMarks) {
    if (entry.locale != locale) continue;
    for (auto& mark : split_words(entry.text)) out.push_back(std::move(mark));
  }
  std::sort(out.begin(), out.end());  // bytes of UTF-8 sort as code points do
  return out;
}

std::vector<std::string> locale_letters(const std::string& locale, LetterCase letter_case) {
  for (const LocaleText& entry : kLetters) {
    if (entry.locale != locale) continue;
    const std::string capitals(entry.text);
    return split_characters((letter_case == LetterCase::kLower ? "" : capitals) +
                            (letter_case == LetterCase::kUpper ? "" : lower_case(capitals)));
  }
  throw Error(Code::kFailed, "no letters are listed for this locale").seen(locale).next("give chars");
}

std::vector<std::string> split_characters(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8::step(text, at);
    out.push_back(text.substr(at, length));
    at += length;
  }
  return out;
}

}  // namespace fathom::text
