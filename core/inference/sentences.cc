#include "core/inference/sentences.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace fathom {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Whether the dot at `dot` belongs to the word before it.
bool is_abbreviation(std::string_view text, size_t dot) {
  static constexpr std::array<std::string_view, 34> kKnown = {
      "mr",  "mrs",  "ms",  "dr",  "prof",   "st",  "sr",  "jr", "rev",    "hon", "gen", "col",
      "sgt", "capt", "lt",  "maj", "gov",    "sen", "rep", "no", "vs",     "etc", "e.g", "i.e",
      "cf",  "al",   "fig", "vol", "messrs", "esq", "mt",  "ft", "approx", "dept"};
  size_t begin = dot;
  while (begin > 0 && !is_space(text[begin - 1]) && text[begin - 1] != '(' && text[begin - 1] != '"') --begin;
  std::string word(text.substr(begin, dot - begin));
  if (word.size() == 1 && std::isupper(static_cast<unsigned char>(word[0])) != 0 && word != "I") return true;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kKnown.begin(), kKnown.end(), word) != kKnown.end();
}

// Bytes of the mark that may end a sentence at `at`; 0 where there is none.
size_t end_mark(std::string_view text, size_t at) {
  if (text[at] == '.' || text[at] == '!' || text[at] == '?') return 1;
  for (const std::string_view mark : {"…", "。", "！", "？"}) {
    if (text.substr(at).starts_with(mark)) return mark.size();
  }
  return 0;
}
size_t closing_mark(std::string_view text, size_t at) {
  if (at >= text.size()) return 0;
  if (std::string_view("\"')]}").find(text[at]) != std::string_view::npos) return 1;
  for (const std::string_view mark : {"”", "’", "»"}) {
    if (text.substr(at).starts_with(mark)) return mark.size();
  }
  return 0;
}

// The place after the end of the sentence that begins at 0.
size_t sentence_end(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n') {
      size_t next = at + 1;
      while (next < text.size() && is_space(text[next]) && text[next] != '\n') ++next;
      if (next < text.size() && text[next] == '\n') return next;
    }
    const size_t mark = end_mark(text, at);
    if (mark == 0) continue;
    size_t after = at + mark;
    while (after < text.size()) {
      const size_t more = std::max(end_mark(text, after), closing_mark(text, after));
      if (more == 0) break;
      after += more;
    }
    if (after >= text.size()) return text.size();
    size_t next = after;
    while (next < text.size() && is_space(text[next])) ++next;
    const bool single_dot = text[at] == '.' && after == at + 1;
    if (next > after && !(single_dot && is_abbreviation(text, at)) &&
        !(next < text.size() && std::islower(static_cast<unsigned char>(text[next])) != 0 && text[at] == '.'))
      return after;
    at = after - 1;
  }
  return text.size();
}

// Where to cut a sentence that is too long; at least 1.
size_t cut(std::string_view sentence, size_t longest) {
  const std::string_view head = sentence.substr(0, longest);
  const size_t half = longest / 2;
  for (const std::string_view marks : {std::string_view(",;:"), std::string_view(" \t\n\r")}) {
    const size_t found = head.find_last_of(marks);
    if (found != std::string_view::npos && (found > half || marks[0] == ' ') && found > 0) return found + 1;
  }
  size_t at = longest;
  while (at > 1 && (static_cast<unsigned char>(sentence[at]) & 0xC0) == 0x80) --at;  // not within a character
  return at;
}

}  // namespace

std::vector<std::string> split_sentences(std::string_view text, size_t longest) {
  std::vector<std::string> sentences;
  while (!(text = trimmed(text)).empty()) {
    std::string_view sentence = text.substr(0, sentence_end(text));
    text.remove_prefix(sentence.size());
    while ((sentence = trimmed(sentence)).size() > longest) {
      const size_t end = cut(sentence, longest);
      sentences.emplace_back(trimmed(sentence.substr(0, end)));
      sentence.remove_prefix(end);
    }
    if (!sentence.empty()) sentences.emplace_back(sentence);
  }
  return sentences;
}

}  // namespace fathom
