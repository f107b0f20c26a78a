#include "plugins/lib/text/ipa_g2p.h"

#include <algorithm>

#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/letters.h"
#include "plugins/lib/text/speech_locales.h"
#include "plugins/lib/text/spoken_text.h"
#include "plugins/lib/text/unicode.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

constexpr std::string_view kStressMarks[] = {"\u02c8", "\u02cc"};

bool is_word_character(char32_t c) { return is_any_locale_letter(c) || is_digit_of_any_script(c); }

struct Elision {
  std::string_view letters, phonemes;
};
constexpr Elision kFrenchElisions[] = {{"l'", "l"}, {"c'", "s"},          {"d'", "d"},          {"j'", "ʒ"},
                                       {"m'", "m"}, {"n'", "n"},          {"qu'", "k"},         {"s'", "s"},
                                       {"t'", "t"}, {"puisqu'", "pyisk"}, {"lorsqu'", "loʁsk"}, {"jusqu'", "ʒysk"}};

bool ends_in(const std::string& word, char small) {
  return !word.empty() && (word.back() == small || word.back() == small - 32);
}

}  // namespace

IpaG2p::IpaG2p(Config config) : config_(std::move(config)) {
  if (!config_.locale.empty()) check_speech_locale(config_.locale);
  if (config_.phoneme_probability) config_.use_chars = true;  // words will stay letters
  for (auto& [word, pronunciations] : config_.dictionary.words) {
    const std::string key = cased(word);
    if (config_.use_chars) {
      for (const char32_t c : code_points(key)) {
        if (is_word_character(c)) symbols_.insert(config_.grapheme_prefix + to_utf8({c}));
      }
    }
    for (auto& pronunciation : pronunciations) {
      if (!config_.use_stresses) {
        std::erase_if(pronunciation, [](const std::string& symbol) {
          return std::find(std::begin(kStressMarks), std::end(kStressMarks), symbol) != std::end(kStressMarks);
        });
      }
      symbols_.insert(pronunciation.begin(), pronunciation.end());
    }
    if (config_.grapheme_case == GraphemeCase::kMixed && !is_upper_case(key)) words_[upper_case(key)] = pronunciations;
    words_[key] = std::move(pronunciations);
  }
  config_.dictionary = {};
  for (const auto& word : config_.heteronyms) heteronyms_.insert(cased(word));
}

std::string IpaG2p::cased(const std::string& word) const {
  switch (config_.grapheme_case) {
    case GraphemeCase::kUpper: return upper_case(word);
    case GraphemeCase::kLower: return lower_case(word);
    case GraphemeCase::kMixed: break;
  }
  return word;
}

void IpaG2p::append_spelled(const std::string& word, Symbols& out) const {
  for (const auto& character : split_characters(word)) out.push_back(config_.grapheme_prefix + character);
}

const std::pair<const std::string, Pronunciations>* IpaG2p::find(const std::string& word) const {
  auto found = words_.find(word);
  if (found == words_.end()) found = words_.find(upper_case(word));
  return found == words_.end() ? nullptr : &*found;
}

bool IpaG2p::append_plural(const std::string& word, Symbols& out) const {
  if (!ends_in(word, 's') || find(word) != nullptr) return false;
  const auto append = [&](const std::string& stem, bool possessive) {
    const auto* entry = find(stem);
    if (entry == nullptr || !is_settled(entry->second)) return false;
    const Symbols& phonemes = entry->second.front();
    out.insert(out.end(), phonemes.begin(), phonemes.end());
    if (ends_in(entry->first, 't')) {
      out.emplace_back("s");
    } else {
      if (possessive && ends_in(entry->first, 's')) out.emplace_back("ɪ");
      out.emplace_back("z");
    }
    return true;
  };
  const bool long_enough = code_points(word).size() > 2;
  if (long_enough && word[word.size() - 2] == '\'' && append(word.substr(0, word.size() - 2), true)) return true;
  return word.size() > 1 && append(word.substr(0, word.size() - 1), false);
}

bool IpaG2p::append_elision(const std::string& word, Symbols& out) const {
  if (find(word) != nullptr || code_points(word).size() <= 2) return false;
  for (const auto& [letters, phonemes] : kFrenchElisions) {
    if (!word.starts_with(letters) && !word.starts_with(upper_case(letters))) continue;
    const auto* entry = find(word.substr(letters.size()));
    if (entry == nullptr || !is_settled(entry->second)) continue;
    for (auto& phoneme : split_characters(std::string(phonemes))) out.push_back(std::move(phoneme));
    out.insert(out.end(), entry->second.front().begin(), entry->second.front().end());
    return true;
  }
  return false;
}

bool IpaG2p::append_ambiguous(const std::string& word, Symbols& out) const {
  if (config_.ambiguous == Config::Ambiguous::kSpell) return false;
  const auto* entry = find(word);
  if (config_.ambiguous == Config::Ambiguous::kFirst && entry != nullptr) {
    out.insert(out.end(), entry->second.front().begin(), entry->second.front().end());
    return true;
  }
  if (!config_.unknown_word) return false;
  for (auto& symbol : config_.unknown_word(word)) out.push_back(std::move(symbol));
  return true;
}

bool IpaG2p::append_word(const std::string& given, bool keep_letters, Symbols& out) const {
  const std::string word = cased(given);
  const auto codes = code_points(word);
  if (std::none_of(codes.begin(), codes.end(), is_word_character)) {
    for (auto& character : split_characters(word)) out.push_back(std::move(character));
    return true;
  }
  if (keep_letters) {
    append_spelled(word, out);
    return true;
  }
  if (heteronyms_.contains(word)) {
    if (!append_ambiguous(word, out)) append_spelled(word, out);
    return true;
  }
  if (config_.locale == "en-US" && append_plural(word, out)) return true;
  if (config_.locale == "fr-FR" && append_elision(word, out)) return true;

  auto found = words_.find(word);
  std::string name = word;
  if (found == words_.end() && config_.grapheme_case == GraphemeCase::kMixed) {
    const std::string capitals = upper_case(word);
    found = words_.find(capitals);
    if (found != words_.end()) name = capitals;
  }
  if (found != words_.end()) {
    if (is_settled(found->second)) {
      out.insert(out.end(), found->second.front().begin(), found->second.front().end());
      return true;
    }
    if (append_ambiguous(name, out)) return true;
  }
  if (config_.unknown_word) {
    for (auto& symbol : config_.unknown_word(name)) out.push_back(std::move(symbol));
    return true;
  }
  append_spelled(name, out);
  return false;
}

std::vector<std::string> IpaG2p::symbols_of(std::string_view text, const G2pMix& mix) const {
  const std::string composed = to_utf8(to_nfc(code_points(text)));
  Symbols out;
  uint64_t place = 0;
  for (const WordSpan& span : config_.locale == "en-US" ? english_words(composed) : any_locale_words(composed)) {
    if (span.unchanged) {
      for (const auto& part : span.parts) out.push_back(config_.grapheme_prefix + part);
      continue;
    }
    const std::string& word = span.parts.front();
    const size_t start = out.size();
    if (append_word(word, mix.keeps_letters(place++), out) || word.find('-') == std::string::npos) continue;
    out.resize(start);
    for (size_t at = 0; at <= word.size();) {
      const size_t end = std::min(word.find('-', at), word.size());
      if (at > 0) out.emplace_back("-");
      append_word(word.substr(at, end - at), mix.keeps_letters(place++), out);
      at = end + 1;
    }
  }
  return out;
}

void IpaG2p::replace_symbols(const std::set<std::string>& symbols) {
  for (auto entry = words_.begin(); entry != words_.end();) {
    Pronunciations& pronunciations = entry->second;
    const auto characters = split_characters(cased(entry->first));
    const bool writable = std::all_of(characters.begin(), characters.end(), [&](const std::string& character) {
      return symbols.contains(config_.grapheme_prefix + character);
    });
    std::erase_if(pronunciations, [&](const Symbols& pronunciation) {
      return std::any_of(pronunciation.begin(), pronunciation.end(),
                         [&](const std::string& symbol) { return !symbols.contains(symbol); });
    });
    entry = writable && !pronunciations.empty() ? std::next(entry) : words_.erase(entry);
  }
  symbols_ = symbols;
}

}  // namespace fathom::text
