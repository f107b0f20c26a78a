#include "plugins/lib/text/speech_tokenizer.h"

#include <algorithm>
#include <map>

#include "fathom/error.h"
#include "plugins/lib/text/letters.h"
#include "plugins/lib/text/speech_locales.h"

namespace fathom::text {
namespace {

constexpr const char* kConsonants[] = {"B",  "CH", "D", "DH", "F",  "G", "HH", "JH", "K", "L", "M", "N",
                                       "NG", "P",  "R", "S",  "SH", "T", "TH", "V",  "W", "Y", "Z", "ZH"};
constexpr const char* kVowels[] = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER",
                                   "EY", "IH", "IY", "OW", "OY", "UH", "UW"};

}  // namespace

void SpeechTokenizer::finish(std::vector<std::string> tokens, const Ending& ending) {
  const auto add = [&](const std::string& token) {
    tokens.push_back(token);
    return static_cast<int64_t>(tokens.size()) - 1;
  };
  special_.pad = add("<pad>");
  if (ending.blank == Blank::kBeforeOov) special_.blank = add("<blank>");
  special_.oov = add(ending.oov);
  if (ending.blank == Blank::kLast) special_.blank = add("<blank>");
  tokens_ = std::move(tokens);
  for (size_t i = 0; i < tokens_.size(); ++i) ids_[tokens_[i]] = static_cast<int64_t>(i);
  ending_ = ending;
}

int64_t SpeechTokenizer::id_of(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

bool SpeechTokenizer::is_punctuation_mark(const std::string& symbol) const {
  const auto& marks = ending_.punctuation;
  return std::find(marks.begin(), marks.end(), symbol) != marks.end();
}

std::vector<int64_t> SpeechTokenizer::encode(std::string_view text, const G2pMix& mix) const {
  const int64_t space = id_of(tokens_[static_cast<size_t>(special_.space)]);
  const std::string& blank = tokens_[static_cast<size_t>(special_.space)];
  std::vector<int64_t> ids;
  std::vector<std::string> unknown;
  for (std::string& symbol : symbols_of(clean_text(text, cleaning()), mix)) {
    if (symbol == blank && !ids.empty() && ids.back() != space) {
      ids.push_back(space);
    } else if (takes(symbol)) {
      ids.push_back(id_of(symbol));
    } else if (symbol != blank && !symbol.empty()) {
      unknown.push_back(symbol);
    }
  }
  while (!ids.empty() && ids.back() == space) ids.pop_back();
  if (ending_.pad_with_space) {
    ids.insert(ids.begin(), space);
    ids.push_back(space);
  }
  if (!unknown.empty()) say_left_out(text, unknown);
  return ids;
}

void SpeechTokenizer::say_left_out(std::string_view text, const std::vector<std::string>& symbols) const {
  left_out_ += symbols.size();
  if (!say_ || said_.exchange(true)) return;
  std::map<std::string, size_t> counts;
  for (const auto& symbol : symbols) ++counts[symbol];
  std::string list;
  size_t listed = 0;
  for (const auto& [symbol, count] : counts) {
    if (++listed > 10) {
      list += ", …";
      break;
    }
    list += (list.empty() ? "'" : ", '") + symbol + "'" + (count > 1 ? " ×" + std::to_string(count) : "");
  }
  size_t end = std::min<size_t>(text.size(), 80);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  say_("the vocabulary lacks " + std::to_string(symbols.size()) + (symbols.size() == 1 ? " symbol" : " symbols") +
       " of a text, left out: " + list + " in \"" + std::string(text.substr(0, end)) + (end < text.size() ? "…" : "") +
       "\"; those of further texts are only counted");
}

std::string SpeechTokenizer::decode(const std::vector<int64_t>& ids) const {
  std::string out;
  bool first = true;
  for (const int64_t id : ids) {
    if (id < 0 || id >= static_cast<int64_t>(tokens_.size())) {
      throw Error(Code::kFailed, "a token id lies outside the vocabulary")
          .seen(std::to_string(id))
          .expected("0 to " + std::to_string(tokens_.size() - 1));
    }
    if (id == special_.pad || id == special_.blank || id == special_.oov) continue;
    if (!first) out += ending_.sep;
    out += tokens_[static_cast<size_t>(id)];
    first = false;
  }
  return out;
}

// --- characters ------------------------------------------------------------------------------------------------------

CharsSpeechTokenizer::CharsSpeechTokenizer(Config config) : config_(std::move(config)) {
  std::vector<std::string> tokens = {" "};
  special_.space = 0;
  tokens.insert(tokens.end(), config_.chars.begin(), config_.chars.end());
  if (config_.apostrophe) tokens.emplace_back("'");
  if (!config_.punct) config_.punctuation.clear();
  tokens.insert(tokens.end(), config_.punctuation.begin(), config_.punctuation.end());
  finish(std::move(tokens), {"<oov>", "", config_.blank, config_.pad_with_space, config_.punctuation});
}

std::vector<std::string> CharsSpeechTokenizer::symbols_of(std::string_view cleaned, const G2pMix&) const {
  return split_characters(std::string(cleaned));
}

bool CharsSpeechTokenizer::takes(std::string& symbol) const {
  if (is_punctuation_mark(symbol)) return true;
  if (id_of(symbol) < 0) return false;
  switch (config_.takes) {
    case Takes::kVocabulary: return symbol != " ";
    case Takes::kAlphanumericOrTilde:
      if (symbol == "\u0303") return true;
      break;
    case Takes::kAlphanumeric: break;
  }
  return symbol == "'" || all_letters_or_digits(symbol);
}

// --- ARPABET ---------------------------------------------------------------------------------------------------------

EnglishPhonemesTokenizer::EnglishPhonemesTokenizer(Config config) : config_(std::move(config)) {
  std::vector<std::string> tokens = {config_.space};
  special_.space = 0;
  if (config_.silence) {
    special_.silence = 1;
    tokens.push_back(*config_.silence);
  }
  tokens.insert(tokens.end(), std::begin(kConsonants), std::end(kConsonants));
  for (const std::string vowel : kVowels) {
    if (!config_.stresses) tokens.push_back(vowel);
    for (int stress = 0; config_.stresses && stress < 3; ++stress) tokens.push_back(vowel + std::to_string(stress));
  }
  if (config_.chars || config_.g2p->phoneme_probability()) {
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  }
  if (config_.apostrophe) tokens.emplace_back("'");
  if (!config_.punct) config_.punctuation.clear();
  tokens.insert(tokens.end(), config_.punctuation.begin(), config_.punctuation.end());
  finish(std::move(tokens), {config_.oov, config_.sep, config_.blank, config_.pad_with_space, config_.punctuation});
}

std::vector<std::string> EnglishPhonemesTokenizer::symbols_of(std::string_view cleaned, const G2pMix& mix) const {
  return config_.g2p->symbols_of(cleaned, mix);
}

bool EnglishPhonemesTokenizer::takes(std::string& symbol) const {
  const bool letters = all_letters_or_digits(symbol);
  if (letters && !config_.stresses) {
    const auto characters = split_characters(symbol);
    if (characters.size() == 3) symbol = characters[0] + characters[1];  // without its stress
  }
  return is_punctuation_mark(symbol) || ((letters || symbol == "'") && id_of(symbol) >= 0);
}

// --- IPA -------------------------------------------------------------------------------------------------------------

IpaTokenizer::IpaTokenizer(Config config) : config_(std::move(config)) {
  if (!config_.locale.empty()) check_speech_locale(config_.locale);
  if (config_.g2p->known_symbols() == nullptr) {
    throw Error(Code::kFailed, "this G2P does not list its symbols, of which the vocabulary is made")
        .at("g2p")
        .expected("a G2P with a dictionary of IPA, such as nemo.collections.tts.g2p.models.i18n_ipa.IpaG2p");
  }
  if (config_.fixed_vocab && !config_.fixed_vocab->empty()) {
    std::set<std::string> fixed;
    for (const auto& token : *config_.fixed_vocab) fixed.insert(clean_text(token, cleaning()));
    if (*config_.g2p->known_symbols() != fixed) config_.g2p->replace_symbols(fixed);
  }
  const std::set<std::string>& symbols = *config_.g2p->known_symbols();
  std::set<std::string> sorted = symbols;
  if (config_.apostrophe) sorted.insert("'");
  std::vector<std::string> marks;
  if (config_.punct) {
    marks = config_.punctuation ? *config_.punctuation
                                : locale_punctuation(config_.locale_specific_punct ? config_.locale : "");
    sorted.insert(marks.begin(), marks.end());
  }
  std::vector<std::string> tokens(sorted.begin(), sorted.end());
  const auto space = std::find(tokens.begin(), tokens.end(), config_.space);
  special_.space = symbols.contains(config_.space) ? space - tokens.begin() : static_cast<int64_t>(tokens.size());
  if (special_.space == static_cast<int64_t>(tokens.size())) tokens.push_back(config_.space);
  if (config_.silence) {
    special_.silence = static_cast<int64_t>(tokens.size());
    tokens.push_back(*config_.silence);
  }
  finish(std::move(tokens), {config_.oov, config_.sep, config_.blank, config_.pad_with_space, marks});
}

TextCleaning IpaTokenizer::cleaning() const {
  return config_.locale == "en-US" ? TextCleaning::kEnglish : TextCleaning::kAnyLocale;
}

std::vector<std::string> IpaTokenizer::symbols_of(std::string_view cleaned, const G2pMix& mix) const {
  return config_.g2p->symbols_of(cleaned, mix);
}

bool IpaTokenizer::takes(std::string& symbol) const { return id_of(symbol) >= 0; }

}  // namespace fathom::text
