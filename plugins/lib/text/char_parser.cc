#include "plugins/lib/text/char_parser.h"

#include <algorithm>
#include <array>

#include "fathom/error.h"
#include "fathom/utf8.h"
#include "plugins/lib/text/english_numbers.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/romanization.h"

namespace fathom::text {
namespace {

struct Replacement {
  std::string_view from, to;
};

// What NeMo expands by default, in its order: each of them everywhere before the next one.
constexpr std::array kAbbreviations = {
    Replacement{"ms.", "miss"},         Replacement{"mrs.", "misess"},    Replacement{"mr.", "mister"},
    Replacement{"messrs.", "messeurs"}, Replacement{"dr.", "doctor"},     Replacement{"drs.", "doctors"},
    Replacement{"st.", "saint"},        Replacement{"co.", "company"},    Replacement{"jr.", "junior"},
    Replacement{"sr.", "senior"},       Replacement{"rev.", "reverend"},  Replacement{"hon.", "honorable"},
    Replacement{"sgt.", "sergeant"},    Replacement{"capt.", "captain"},  Replacement{"maj.", "major"},
    Replacement{"col.", "colonel"},     Replacement{"lt.", "lieutenant"}, Replacement{"gen.", "general"},
    Replacement{"prof.", "professor"},  Replacement{"lb.", "pounds"},     Replacement{"rep.", "representative"},
    Replacement{"ave.", "avenue"},      Replacement{"etc.", "et cetera"}, Replacement{"jan.", "january"},
    Replacement{"feb.", "february"},    Replacement{"mar.", "march"},     Replacement{"apr.", "april"},
    Replacement{"jun.", "june"},        Replacement{"jul.", "july"},      Replacement{"aug.", "august"},
    Replacement{"sep.", "september"},   Replacement{"oct.", "october"},   Replacement{"nov.", "november"},
    Replacement{"dec.", "december"}};

// Of words in lower case; bytes beyond ASCII are left only of damaged text.
bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f); }
constexpr std::string_view kAsciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";  // in Python's order
bool is_spelled_out(char c) { return c == '+' || c == '&' || c == '%'; }

// The punctuation that becomes a blank: none that is spelled out, and none that is a label. A label of several marks
// keeps them where they stand side by side in Python's order, as in NeMo.
std::string blank_punctuation(const std::vector<std::string>& labels) {
  std::string marks(kAsciiPunctuation);
  std::erase_if(marks, is_spelled_out);
  for (const auto& label : labels) {
    if (label.empty()) continue;
    for (size_t at = 0; (at = marks.find(label, at)) != std::string::npos;) marks.erase(at, label.size());
  }
  return marks;
}

std::string expand_abbreviations(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  for (const auto& [from, to] : kAbbreviations) {
    std::string out;
    size_t done = 0;
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
      if (at > 0 && is_word_byte(text[at - 1])) {
        ++at;
        continue;
      }
      out.append(text, done, at - done) += to;
      at = done = at + from.size();
    }
    if (done > 0) text = out.append(text, done);
  }
  return text;
}

std::string join_white_space(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (!is_ascii_space(c))
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

CharParser::Language CharParser::language_of(const std::string& name) {
  if (name == "base") return Language::kBase;
  if (name == "en") return Language::kEnglish;
  throw Error(Code::kFailed, "there is no text parser of that name").seen(name).expected("base or en");
}

CharParser::CharParser(Config config) : config_(std::move(config)) {
  if (config_.labels.empty()) {
    throw Error(Code::kFailed, "a character parser needs labels")
        .expected("labels: the list of characters, blank excluded");
  }
  for (size_t i = 0; i < config_.labels.size(); ++i) {
    const auto& label = config_.labels[i];
    ids_[label] = static_cast<int64_t>(i);  // of two equal labels the later one counts
    if (utf8::length(label) > 1) has_long_labels_ = true;
  }
  for (const char c : blank_punctuation(config_.labels)) becomes_blank_[static_cast<size_t>(c)] = true;
  for (size_t c = 0; c < 128; ++c) {
    const auto found = ids_.find(std::string(1, static_cast<char>(c)));
    ascii_ids_[c] = found == ids_.end() ? kNoId : found->second;
    plain_[c] = is_plain_byte(static_cast<char>(c));
  }
  for (const auto& label : config_.labels) {
    char32_t c = 0;
    if (label.size() < 2 || utf8::decode(label, 0, &c) != label.size() || !is_plain_character(label)) continue;
    if (plain_beyond_.size() <= c) plain_beyond_.resize(c + 1);
    plain_beyond_[c] = true;
  }
}

// Whether a label of one character beyond ASCII stays what it is when a text is normalised.
bool CharParser::is_plain_character(const std::string& label) const {
  if (!config_.do_normalize) return true;
  if (config_.language == Language::kBase) return !config_.do_lowercase || lower_case(label) == label;
  return lower_case(to_ascii(label)) == label;
}

// Whether an ASCII character becomes labels wherever it stands.
bool CharParser::is_plain_byte(char c) const {
  const auto is_label = [&](char one) { return ids_.count(std::string(1, one)) != 0; };
  const bool is_capital = c >= 'A' && c <= 'Z';
  const char lower = is_capital ? static_cast<char>(c + 32) : c;
  if (!config_.do_normalize) return is_label(c);
  if (config_.language == Language::kBase) return is_label(config_.do_lowercase ? lower : c);
  if (lower >= 'a' && lower <= 'z') return is_label(lower);
  // A digit is spelled out with what stands around it.
  if (c >= '0' && c <= '9') return false;
  if (is_ascii_space(c)) return is_label(' ');
  // These may be spelled out, a full stop with the abbreviation before it.
  if (c == '.' || is_spelled_out(c)) {
    for (char letter = 'a'; letter <= 'z'; ++letter) {
      if (!is_label(letter)) return false;
    }
    return is_label(' ');
  }
  return becomes_blank_[static_cast<size_t>(c)] ? is_label(' ') : is_label(c);
}

bool CharParser::is_plain(std::string_view text) const {
  for (size_t at = 0; at < text.size();) {
    if (const auto byte = static_cast<unsigned char>(text[at]); byte < 128) {
      if (!plain_[byte]) return false;
      ++at;
      continue;
    }
    char32_t c = 0;
    const size_t length = utf8::decode(text, at, &c);
    if (length == 0 || c >= plain_beyond_.size() || !plain_beyond_[c]) return false;
    at += length;
  }
  return true;
}

std::string CharParser::normalize_base(std::string_view text) const {
  const std::string_view stripped = strip_white_space(text);
  return config_.do_lowercase ? lower_case(stripped) : std::string(stripped);
}

std::optional<std::string> CharParser::normalize_english(std::string_view text) const {
  const std::string ascii = lower_case(to_ascii(text));
  const std::optional<std::string> spelled = spell_out_numbers(join_white_space(ascii));
  if (!spelled) return std::nullopt;
  std::string out;
  for (const char c : expand_abbreviations(*spelled)) {
    if (c == '+')
      out += " plus ";
    else if (c == '&')
      out += " and ";
    else if (c == '%')
      out += " percent ";
    else if (static_cast<unsigned char>(c) < 128 && becomes_blank_[static_cast<size_t>(c)])
      out += ' ';
    else
      out += c;
  }
  return join_white_space(out);
}

std::optional<std::string> CharParser::normalize(std::string_view text) const {
  if (!config_.do_normalize) return std::string(text);
  if (config_.language == Language::kEnglish) return normalize_english(text);
  return normalize_base(text);
}

std::optional<CharParser::Parsed> CharParser::parse(std::string_view text) const {
  const std::optional<std::string> normal = normalize(text);
  if (!normal) return std::nullopt;
  Parsed out;
  const auto put_id = [&](int64_t known) {
    if (known == kNoId) ++out.unknown;
    const int64_t id = known == kNoId ? config_.unk_id : known;
    if (id != config_.blank_id) out.ids.push_back(id);
  };
  const auto put = [&](const std::string& label) {
    const auto found = ids_.find(label);
    put_id(found == ids_.end() ? kNoId : found->second);
  };
  const std::string& s = *normal;
  for (size_t start = 0; start <= s.size();) {
    const size_t end = std::min(s.find(' ', start), s.size());
    const std::string_view word = std::string_view(s).substr(start, end - start);
    if (start > 0) put_id(ascii_ids_[' ']);
    if (has_long_labels_ && utf8::length(word) > 1 && ids_.count(std::string(word)) != 0) {
      put(std::string(word));
    } else {
      for (size_t at = 0; at < word.size();) {
        if (const auto byte = static_cast<unsigned char>(word[at]); byte < 128) {
          put_id(ascii_ids_[byte]);
          ++at;
          continue;
        }
        const size_t length = utf8::step(word, at);
        put(std::string(word.substr(at, length)));
        at += length;
      }
    }
    start = end + 1;
  }
  return out;
}

std::string CharParser::decode(const std::vector<int64_t>& ids) const {
  std::string out;
  for (const int64_t id : ids) {
    if (id >= 0 && id < static_cast<int64_t>(config_.labels.size())) out += config_.labels[id];
  }
  return out;
}

}  // namespace fathom::text
