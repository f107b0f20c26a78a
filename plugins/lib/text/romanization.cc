#include "plugins/lib/text/romanization.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "fathom/utf8.h"

namespace fathom::text {
namespace {

constexpr size_t kPageSize = 256;
constexpr std::array<std::string_view, 256> kPages = {
#include "plugins/lib/text/romanization_table.inc"
};

// Hangul syllables are composed: 19 initials x 21 vowels x 28 finals from U+AC00 on.
constexpr char32_t kFirstSyllable = 0xac00, kLastSyllable = 0xd7a3;
constexpr std::array<std::string_view, 19> kInitials = {"g",  "gg", "n", "d",  "dd", "r", "m", "b", "bb", "s",
                                                        "ss", "",   "j", "jj", "c",  "k", "t", "p", "h"};
constexpr std::array<std::string_view, 21> kVowels = {"a",   "ae", "ya", "yae", "eo", "e",  "yeo",
                                                      "ye",  "o",  "wa", "wae", "oe", "yo", "u",
                                                      "weo", "we", "wi", "yu",  "eu", "yi", "i"};
constexpr std::array<std::string_view, 28> kFinals = {"",   "g",  "gg", "gs", "n",  "nj", "nh", "d", "l",  "lg",
                                                      "lm", "lb", "ls", "lt", "lp", "lh", "m",  "b", "bs", "s",
                                                      "ss", "ng", "j",  "c",  "k",  "t",  "p",  "h"};

// Where the texts of each page begin; one more than there are, so that a text ends a tab before the next one begins.
using Starts = std::array<std::vector<uint16_t>, kPages.size()>;

const Starts& starts() {
  static const Starts kStarts = [] {
    Starts out;
    for (size_t page = 0; page < kPages.size(); ++page) {
      out[page].push_back(0);
      for (size_t at = 0; at < kPages[page].size(); ++at) {
        if (kPages[page][at] == '\t') out[page].push_back(static_cast<uint16_t>(at + 1));
      }
      out[page].push_back(static_cast<uint16_t>(kPages[page].size() + 1));
    }
    return out;
  }();
  return kStarts;
}

void append_romanized(std::string& out, char32_t c) {
  if (c > 0xffff) return;
  if (c >= kFirstSyllable && c <= kLastSyllable) {
    const size_t syllable = c - kFirstSyllable, vowel = syllable / kFinals.size();
    (out += kInitials[vowel / kVowels.size()]) += kVowels[vowel % kVowels.size()];
    out += kFinals[syllable % kFinals.size()];
    return;
  }
  const std::vector<uint16_t>& begins = starts()[c / kPageSize];
  const size_t text = std::min<size_t>(c % kPageSize, begins.size() - 2);
  out += kPages[c / kPageSize].substr(begins[text], begins[text + 1] - 1 - begins[text]);
}

}  // namespace

std::string to_ascii(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length > 1)
      append_romanized(out, c);
    else
      out += text[at];
    at += length == 0 ? 1 : length;
  }
  return out;
}

}  // namespace fathom::text
