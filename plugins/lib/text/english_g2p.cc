#include "plugins/lib/text/english_g2p.h"

#include <algorithm>

#include "plugins/lib/text/letters.h"
#include "plugins/lib/text/speech_locales.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

void append_spelled(const std::string& word, std::vector<std::string>& out) {
  for (auto& character : split_characters(word)) out.push_back(std::move(character));
}

// Letters as far as ÿ (× and ÷ among them, as in NeMo), and digits of any script.
bool says_something(const std::string& word) {
  const auto codes = code_points(word);
  return std::any_of(codes.begin(), codes.end(), [](char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xff) || is_digit_of_any_script(c);
  });
}

}  // namespace

EnglishG2p::EnglishG2p(Config config) : config_(std::move(config)) {
  for (auto& [word, pronunciations] : config_.dictionary.words) words_[word] = std::move(pronunciations);
  config_.dictionary = {};
}

const std::vector<std::string>* EnglishG2p::known(std::string_view word) const {
  const auto found = words_.find(std::string(word));
  if (found == words_.end() || (config_.ignore_ambiguous_words && found->second.size() != 1)) return nullptr;
  return &found->second.front();
}

bool EnglishG2p::append_ambiguous(const std::string& word, std::vector<std::string>& out) const {
  if (config_.ambiguous == Config::Ambiguous::kSpell) return false;
  const auto found = words_.find(word);
  if (config_.ambiguous == Config::Ambiguous::kFirst && found != words_.end()) {
    const auto& first = found->second.front();
    out.insert(out.end(), first.begin(), first.end());
    return true;
  }
  if (!config_.unknown_word) return false;
  std::vector<std::string> symbols = config_.unknown_word(word);
  for (auto& symbol : symbols) out.push_back(std::move(symbol));
  return !symbols.empty();
}

bool EnglishG2p::append_word(const std::string& word, bool keep_letters, std::vector<std::string>& out) const {
  if (keep_letters || !says_something(word)) {
    append_spelled(word, out);
    return true;
  }
  if (config_.heteronyms.contains(word)) {
    if (!append_ambiguous(word, out)) append_spelled(word, out);
    return true;
  }
  const bool in_dictionary = words_.contains(word);
  if (!in_dictionary) {
    for (const std::string_view suffix : {"'s", "s"}) {
      if (word.size() <= suffix.size() || !word.ends_with(suffix)) continue;
      const auto* stem = known(std::string_view(word).substr(0, word.size() - suffix.size()));
      if (stem == nullptr) continue;
      out.insert(out.end(), stem->begin(), stem->end());
      out.emplace_back("Z");
      return true;
    }
  }
  if (const auto* symbols = known(word); symbols != nullptr) {
    out.insert(out.end(), symbols->begin(), symbols->end());
    return true;
  }
  if (in_dictionary && append_ambiguous(word, out)) return true;
  if (config_.unknown_word) {
    std::vector<std::string> symbols = config_.unknown_word(word);
    for (auto& symbol : symbols) out.push_back(std::move(symbol));
    if (!symbols.empty()) return true;
  }
  append_spelled(word, out);
  return false;
}

std::vector<std::string> EnglishG2p::symbols_of(std::string_view text, const G2pMix& mix) const {
  std::vector<std::string> out;
  uint64_t place = 0;
  const std::vector<WordSpan> spans = config_.any_locale_words ? any_locale_words(text) : english_words(text);
  for (const WordSpan& span : spans) {
    if (span.unchanged) {
      out.insert(out.end(), span.parts.begin(), span.parts.end());
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

}  // namespace fathom::text
