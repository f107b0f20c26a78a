#include "plugins/lib/text/latin_text.h"

#include <array>

#include "fathom/utf8.h"

namespace fathom::text {
namespace {

char32_t lower(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  if (c >= 0xc0 && c <= 0xde) return c == 0xd7 ? c : c + 32;
  if (c == 0x130) return 'i';
  if (c == 0x178) return 0xff;
  if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177)) return c | 1;
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c % 2 == 1 ? c + 1 : c;
  if (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) return c + 32;
  if (c >= 0x410 && c <= 0x42f) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  if (c >= 0x1e00 && c <= 0x1e95) return c | 1;
  if (c >= 0x1ea0 && c <= 0x1eff) return c | 1;
  return c;
}

// U+00A0 to U+00FF.
constexpr std::array<std::string_view, 96> kLatin1 = {
    " ",   "!",  "C/", "PS", "$?", "Y=", "|",  "SS", "\"", "(c)", "a", "<<", "!",     "",      "(r)",   "-",
    "deg", "+-", "2",  "3",  "'",  "u",  "P",  "*",  ",",  "1",   "o", ">>", " 1/4 ", " 1/2 ", " 3/4 ", "?",
    "A",   "A",  "A",  "A",  "A",  "A",  "AE", "C",  "E",  "E",   "E", "E",  "I",     "I",     "I",     "I",
    "D",   "N",  "O",  "O",  "O",  "O",  "O",  "x",  "O",  "U",   "U", "U",  "U",     "Y",     "Th",    "ss",
    "a",   "a",  "a",  "a",  "a",  "a",  "ae", "c",  "e",  "e",   "e", "e",  "i",     "i",     "i",     "i",
    "d",   "n",  "o",  "o",  "o",  "o",  "o",  "/",  "o",  "u",   "u", "u",  "u",     "y",     "th",    "y"};
// U+0100 to U+017F.
constexpr std::array<std::string_view, 128> kLatinA = {
    "A", "a", "A", "a", "A", "a", "C",  "c",  "C",  "c",  "C", "c", "C", "c", "D", "d", "D",  "d",  "E", "e", "E", "e",
    "E", "e", "E", "e", "E", "e", "G",  "g",  "G",  "g",  "G", "g", "G", "g", "H", "h", "H",  "h",  "I", "i", "I", "i",
    "I", "i", "I", "i", "I", "i", "IJ", "ij", "J",  "j",  "K", "k", "k", "L", "l", "L", "l",  "L",  "l", "L", "l", "L",
    "l", "N", "n", "N", "n", "N", "n",  "'n", "NG", "ng", "O", "o", "O", "o", "O", "o", "OE", "oe", "R", "r", "R", "r",
    "R", "r", "S", "s", "S", "s", "S",  "s",  "S",  "s",  "T", "t", "T", "t", "T", "t", "U",  "u",  "U", "u", "U", "u",
    "U", "u", "U", "u", "U", "u", "W",  "w",  "Y",  "y",  "Y", "Z", "z", "Z", "z", "Z", "z",  "s"};

std::string_view transliterate(char32_t c) {
  if (c >= 0xa0 && c <= 0xff) return kLatin1[c - 0xa0];
  if (c >= 0x100 && c <= 0x17f) return kLatinA[c - 0x100];
  if ((c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f) return " ";
  switch (c) {
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013: return "-";
    case 0x2014:
    case 0x2015: return "--";
    case 0x2018:
    case 0x2019:
    case 0x201b:
    case 0x2032: return "'";
    case 0x201a: return ",";
    case 0x201c:
    case 0x201d:
    case 0x201f:
    case 0x2033: return "\"";
    case 0x201e: return ",,";
    case 0x2022: return "*";
    case 0x2026: return "...";
    case 0x2039: return "<";
    case 0x203a: return ">";
    case 0x20ac: return "EUR";
    case 0x2122: return "tm";
    case 0x3000: return " ";
    case 0x200b:
    case 0x200c:
    case 0x200d:
    case 0xfeff: return "";
    default: return {};
  }
}
bool is_transliterated(char32_t c) { return transliterate(c).data() != nullptr; }

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length == 0)
      out += text[at];  // a byte that is no UTF-8 stays as it is
    else
      utf8::append(out, lower(c));
    at += length == 0 ? 1 : length;
  }
  return out;
}

std::string to_ascii(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length > 1 && is_transliterated(c))
      out += transliterate(c);
    else
      out += text.substr(at, length == 0 ? 1 : length);
    at += length == 0 ? 1 : length;
  }
  return out;
}

std::string_view strip_white_space(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f); };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    const bool symbol =
        c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' || c == '|' || c == '~';
    return !symbol &&
           ((c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~'));
  }
  return c == 0xa1 || c == 0xa7 || c == 0xab || c == 0xb6 || c == 0xb7 || c == 0xbb || c == 0xbf ||
         (c >= 0x2010 && c <= 0x2027) || (c >= 0x2030 && c <= 0x205e && c != 0x2044 && c != 0x2052) ||
         (c >= 0x3001 && c <= 0x3003) || (c >= 0x3008 && c <= 0x3011) || (c >= 0x3014 && c <= 0x301f) || c == 0x30fb ||
         (c >= 0xff01 && c <= 0xff0f && c != 0xff04 && c != 0xff0b) || c == 0xff1a || c == 0xff1b || c == 0xff1f ||
         c == 0x964 || c == 0x965 || c == 0x61f || c == 0x60c;
}

}  // namespace fathom::text
