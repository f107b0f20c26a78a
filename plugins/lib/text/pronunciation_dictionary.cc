#include "plugins/lib/text/pronunciation_dictionary.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "fathom/error.h"
#include "fathom/utf8.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/speech_locales.h"
#include "plugins/lib/text/spoken_text.h"
#include "plugins/lib/text/unicode.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

std::string whole_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  if (in) bytes << in.rdbuf();
  if (!in) {
    throw Error(Code::kNoInput,
                std::string("the file cannot be read: ") + (errno == 0 ? "not a file" : std::strerror(errno)))
        .at(path);
  }
  return bytes.str();
}

std::string decoded(const std::string& line, FileEncoding encoding, const std::string& path, int64_t number) {
  if (encoding == FileEncoding::kLatin1) {
    std::string out;
    for (const char c : line) utf8::append(out, static_cast<unsigned char>(c));
    return out;
  }
  const bool good = encoding == FileEncoding::kUtf8
                        ? utf8::is_valid(line)
                        : std::all_of(line.begin(), line.end(), [](unsigned char c) { return c < 0x80; });
  if (!good) {
    throw Error(Code::kBadData, "bytes that are not of the file's encoding")
        .at(path, number)
        .expected(encoding == FileEncoding::kUtf8 ? "UTF-8" : "ASCII")
        .next("set encoding to what the file is in: latin-1, utf-8 or ascii");
  }
  return line;
}

// Without "(1)", "(23)", wherever they stand.
std::string without_alternative(const std::string& word) {
  std::string out;
  for (size_t at = 0; at < word.size();) {
    if (word[at] == '(') {
      size_t end = at + 1;
      while (end < word.size() && word[end] >= '0' && word[end] <= '9') ++end;
      if (end > at + 1 && end < word.size() && word[end] == ')') {
        at = end + 1;
        continue;
      }
    }
    out += word[at++];
  }
  return out;
}

std::vector<std::string> split_at_blanks(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ' ')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

[[noreturn]] void no_pronunciation(const std::string& path, size_t line, const std::string& seen, const char* layout) {
  throw Error(Code::kBadData, "a word without a pronunciation")
      .at(path, static_cast<int64_t>(line + 1))
      .seen(seen.substr(0, 80))
      .expected(layout);
}

void check_not_empty(const PronunciationDictionary& dictionary, const std::string& path, const char* layout) {
  if (dictionary.words.empty())
    throw Error(Code::kBadData, "the dictionary has no words")
        .at(path)
        .expected(std::string("lines such as ") + layout);
}

bool begins_ipa_entry(char32_t c) {
  return c == '\'' || (c < 0x100 ? is_any_locale_letter(c) : is_indic_letter(c) || is_korean_letter(c));
}

constexpr const char* kCmuLayout = "`WORD  W ER1 D`, two blanks behind the word";
constexpr const char* kIpaLayout = "`WORD ˈwɝd`";

}  // namespace

Pronunciations& PronunciationDictionary::of(const std::string& word) {
  const auto [entry, is_new] = places_.try_emplace(word, words.size());
  if (is_new) words.emplace_back(word, Pronunciations());
  return words[entry->second].second;
}

FileEncoding file_encoding(const std::string& name) {
  std::string plain;
  for (const char c : lower_case(name)) {
    if (c != '-' && c != '_' && c != ' ') plain += c;
  }
  if (plain == "latin1" || plain == "iso88591" || plain == "l1") return FileEncoding::kLatin1;
  if (plain == "utf8" || plain == "u8") return FileEncoding::kUtf8;
  if (plain == "ascii" || plain == "usascii") return FileEncoding::kAscii;
  throw Error(Code::kUnavailable, "files in this encoding cannot be read")
      .at("encoding")
      .seen(name)
      .expected("latin-1, utf-8 or ascii");
}

std::vector<std::string> read_lines(const std::string& path, FileEncoding encoding) {
  const std::string bytes = whole_file(path);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size();) {
    size_t end = bytes.find_first_of("\r\n", at);
    if (end == std::string::npos) end = bytes.size();
    out.push_back(decoded(bytes.substr(at, end - at), encoding, path, static_cast<int64_t>(out.size()) + 1));
    at = end + 1;
    if (end + 1 < bytes.size() && bytes[end] == '\r' && bytes[end + 1] == '\n') ++at;
  }
  return out;
}

PronunciationDictionary read_cmu_dictionary(const std::string& path, FileEncoding encoding) {
  PronunciationDictionary out;
  const std::vector<std::string> lines = read_lines(path, encoding);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line.empty() || !((line[0] >= 'A' && line[0] <= 'Z') || line[0] == '\'')) continue;
    const size_t gap = line.find("  ");
    std::string_view phonemes;
    if (gap != std::string::npos) {
      phonemes = std::string_view(line).substr(gap + 2);
      phonemes = strip_white_space(phonemes.substr(0, phonemes.find("  ")));
    }
    if (phonemes.empty()) no_pronunciation(path, i, line, kCmuLayout);
    out.of(lower_case(without_alternative(line.substr(0, gap)))).push_back(split_at_blanks(phonemes));
  }
  check_not_empty(out, path, kCmuLayout);
  return out;
}

PronunciationDictionary read_ipa_dictionary(const std::string& path) {
  PronunciationDictionary out;
  const std::vector<std::string> lines = read_lines(path, FileEncoding::kUtf8);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string line = to_utf8(to_nfc(code_points(lines[i])));
    char32_t first = 0;
    if (line.empty() || utf8::decode(line, 0, &first) == 0 || !begins_ipa_entry(first)) continue;
    std::vector<std::string> parts = split_words(line);
    if (parts.size() < 2) no_pronunciation(path, i, line, kIpaLayout);
    std::string symbols;
    for (size_t part = 1; part < parts.size(); ++part) symbols += parts[part];
    out.of(without_alternative(parts[0])).push_back(split_characters(symbols));
  }
  check_not_empty(out, path, kIpaLayout);
  return out;
}

}  // namespace fathom::text
