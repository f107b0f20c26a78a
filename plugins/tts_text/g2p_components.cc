#include "plugins/tts_text/g2p_components.h"

#include <algorithm>

#include "fathom/utf8.h"
#include "plugins/lib/text/speech_locales.h"
#include "plugins/lib/text/unicode.h"
#include "plugins/lib/text/words.h"
#include "plugins/tts_text/choose.h"
#include "plugins/tts_text/trained_g2p.h"

namespace fathom::tts {
namespace {

using text::PronunciationDictionary;
using text::Pronunciations;

constexpr int64_t kBeyondUnicode = 0x110000;

std::string composed(const std::string& given) { return text::to_utf8(text::to_nfc(text::code_points(given))); }

[[noreturn]] void wrong_type(const char* option, const Json& seen, const char* expected) {
  throw Error(Code::kFailed, "option has the wrong type")
      .at(option)
      .seen(json_text(seen).substr(0, 80))
      .expected(expected);
}

constexpr const char* kDictionaryLayout = "a file, {WORD: [[SYMBOL, …], …]}, or (IPA) a list of these";

// {"wire": [["W", "AY1", "ER0"], …], …}
void add_entries(const Json& given, bool compose, PronunciationDictionary& out) {
  for (const auto& [word, list] : given.items()) {
    Pronunciations pronunciations;
    bool good = list.is_array() && !list.empty();
    for (const Json& item : good ? list : Json::array()) {
      good = good && item.is_array();
      auto& symbols = pronunciations.emplace_back();
      for (const Json& symbol : item.is_array() ? item : Json::array()) {
        good = good && symbol.is_string();
        if (good) symbols.push_back(compose ? composed(symbol.get<std::string>()) : symbol.get<std::string>());
      }
    }
    if (!good) wrong_type("phoneme_dict", Json{{word, list}}, kDictionaryLayout);
    Pronunciations& all = out.of(compose ? composed(word) : word);
    all.insert(all.end(), pronunciations.begin(), pronunciations.end());
  }
}

void add_dictionary(const Json& given, bool ipa, text::FileEncoding encoding, PronunciationDictionary& out) {
  if (given.is_string()) {
    const auto path = given.get<std::string>();
    PronunciationDictionary read = ipa ? text::read_ipa_dictionary(path) : text::read_cmu_dictionary(path, encoding);
    for (auto& [word, pronunciations] : read.words) {
      Pronunciations& all = out.of(word);
      all.insert(all.end(), pronunciations.begin(), pronunciations.end());
    }
  } else if (given.is_object()) {
    add_entries(given, ipa, out);
  } else if (given.is_array() && ipa) {
    for (const Json& item : given) add_dictionary(item, ipa, encoding, out);
  } else {
    wrong_type("phoneme_dict", given, kDictionaryLayout);
  }
}

PronunciationDictionary read_dictionary(const DictionaryG2pOptions& options, bool ipa, text::FileEncoding encoding) {
  PronunciationDictionary out;
  if (!options.phoneme_dict.is_null()) add_dictionary(options.phoneme_dict, ipa, encoding, out);
  if (out.words.empty() && (ipa || options.apply_to_oov_word.is_null())) {
    throw Error(Code::kFailed, "a G2P needs a dictionary")
        .at("phoneme_dict")
        .seen(json_text(options.phoneme_dict).substr(0, 80))
        .expected(kDictionaryLayout)
        .next(ipa ? "" : "or name as apply_to_oov_word a G2P that needs none");
  }
  return out;
}

std::vector<std::string> read_heteronyms(const Json& given, text::FileEncoding encoding) {
  std::vector<std::string> out;
  if (given.is_string()) {
    for (auto& line : text::read_lines(given.get<std::string>(), encoding)) {
      while (!line.empty() && static_cast<unsigned char>(line.back()) <= ' ') line.pop_back();
      out.push_back(std::move(line));
    }
  } else if (!given.is_null()) {
    if (!given.is_array()) wrong_type("heteronyms", given, "a file with a word a line, or a list of words");
    for (const Json& word : given) {
      if (!word.is_string()) wrong_type("heteronyms", given, "a file with a word a line, or a list of words");
      out.push_back(word.get<std::string>());
    }
  }
  return out;
}

std::optional<double> probability_of(const std::optional<double>& given) {
  if (given && !(*given >= 0 && *given <= 1)) {
    throw Error(Code::kFailed, "not a probability")
        .at("phoneme_probability")
        .seen(std::to_string(*given))
        .expected("0 to 1, or null");
  }
  return given;
}

template <typename Config>
void read_shared(const DictionaryG2pOptions& options, Config& config) {
  using Ambiguous = typename Config::Ambiguous;
  config.ignore_ambiguous_words = options.ignore_ambiguous_words;
  config.ambiguous =
      choose<Ambiguous>("ambiguous_words", options.ambiguous_words,
                        {{"spell", Ambiguous::kSpell}, {"first", Ambiguous::kFirst}, {"oov", Ambiguous::kUnknownWord}});
  config.phoneme_probability = probability_of(options.phoneme_probability);
  if (options.mapping_file && !options.mapping_file->empty())
    log(LogLevel::kWarning, "tts",
        "mapping_file '" + *options.mapping_file + "' is not read: no G2P needs it, as in NeMo 3");
  if (!options.apply_to_oov_word.is_null()) {
    const Json section = options.apply_to_oov_word.is_string() ? Json{{"_target_", options.apply_to_oov_word}}
                                                               : options.apply_to_oov_word;
    config.unknown_word = [g2p = make_g2p(section, "apply_to_oov_word")](const std::string& word) {
      return g2p->symbols_of(word, {});
    };
  }
}

// A tokenizer of another plugin: its pieces are the symbols.
class ForeignG2p final : public text::G2p {
 public:
  explicit ForeignG2p(TokenizerHandle tokenizer) : tokenizer_(std::move(tokenizer)) {}
  std::vector<std::string> symbols_of(std::string_view text, const text::G2pMix&) const override {
    std::vector<std::string> out;
    for (const int64_t id : tokenizer_.encode(text)) out.push_back(tokenizer_.piece(id));
    return out;
  }

 private:
  TokenizerHandle tokenizer_;
};

std::vector<std::string> long_ones(const std::vector<std::string>& symbols) {
  std::vector<std::string> out;
  std::copy_if(symbols.begin(), symbols.end(), std::back_inserter(out),
               [](const std::string& symbol) { return utf8::length(symbol) > 1; });
  return out;
}

std::vector<std::string> long_symbols_of(const PronunciationDictionary& dictionary) {
  std::set<std::string> all;
  for (const auto& [word, pronunciations] : dictionary.words) {
    for (const auto& symbols : pronunciations) {
      for (const auto& symbol : symbols) {
        if (utf8::length(symbol) > 1) all.insert(symbol);
      }
    }
  }
  return {all.begin(), all.end()};
}

// A trained model for words without an entry must speak with the dictionary's symbols: a tokenizer would leave others
// out.
void refuse_other_phonemes(const Json& section, const PronunciationDictionary& dictionary) {
  if (!section.is_object() || section.value("_target_", Json(nullptr)) != Json("tts.TrainedG2p")) return;
  const Json file = section.value("model", Json(nullptr));
  const auto model = open_trained_g2p(file.is_string() ? std::optional(file.get<std::string>()) : std::nullopt);
  std::set<std::string> known;
  for (const auto& [word, pronunciations] : dictionary.words) {
    for (const auto& symbols : pronunciations) known.insert(symbols.begin(), symbols.end());
  }
  for (const std::string& phoneme : model->phonemes()) {
    if (known.contains(phoneme) || phoneme == "ˈ" || phoneme == "ˌ") continue;
    throw Error(Code::kFailed, "the trained G2P has phonemes that the dictionary does not have")
        .at("apply_to_oov_word.model")
        .seen(phoneme)
        .expected("the dictionary's symbols")
        .next("train one on that dictionary: fathom tts train-g2p DICTIONARY MODEL --symbols characters");
  }
}

}  // namespace

G2pComponent::G2pComponent(std::unique_ptr<text::G2p> g2p, const std::vector<std::string>& long_symbols)
    : g2p_(std::move(g2p)), long_symbols_(long_symbols) {
  for (size_t i = 0; i < long_symbols_.size(); ++i)
    long_ids_.emplace(long_symbols_[i], kBeyondUnicode + static_cast<int64_t>(i));
}
int64_t G2pComponent::vocab_size() const { return kBeyondUnicode + static_cast<int64_t>(long_symbols_.size()); }
std::vector<int64_t> G2pComponent::encode(std::string_view text) const {
  std::vector<int64_t> out;
  for (const auto& symbol : g2p_->symbols_of(text, {})) {
    if (const auto found = long_ids_.find(symbol); found != long_ids_.end()) {
      out.push_back(found->second);
    } else {
      for (const char32_t c : text::code_points(symbol)) out.push_back(static_cast<int64_t>(c));
    }
  }
  return out;
}
std::string G2pComponent::piece(int64_t id) const {
  if (id < 0 || id >= vocab_size()) {
    throw Error(Code::kFailed, "a symbol's id lies outside the vocabulary")
        .seen(std::to_string(id))
        .expected("0 to " + std::to_string(vocab_size() - 1));
  }
  return id < kBeyondUnicode ? utf8::encode(static_cast<char32_t>(id))
                             : long_symbols_[static_cast<size_t>(id - kBeyondUnicode)];
}
std::string G2pComponent::decode(const std::vector<int64_t>& ids) const {
  std::string out;
  for (size_t i = 0; i < ids.size(); ++i) out += (i == 0 ? "" : " ") + piece(ids[i]);
  return out;
}

void DictionaryG2pOptions::describe(OptionSet<DictionaryG2pOptions>& o) {
  using O = DictionaryG2pOptions;
  o("phoneme_dict", &O::phoneme_dict, "the dictionary: a file, {WORD: [[SYMBOL, …], …]}, or (IPA) a list of these");
  o("heteronyms", &O::heteronyms, "words whose sound depends on the sentence: a file with a word a line, or a list");
  o("apply_to_oov_word", &O::apply_to_oov_word,
    "a G2P for words without an entry, a section {_target_: …}; null: spelled");
  o("ignore_ambiguous_words", &O::ignore_ambiguous_words, "words with several pronunciations count as heteronyms");
  o("ambiguous_words", &O::ambiguous_words,
    "what becomes of heteronyms and ignored words: spell (as in NeMo), first (pronunciation), oov "
    "(apply_to_oov_word's)");
  o("phoneme_probability", &O::phoneme_probability,
    "in training a word becomes phonemes with this probability; null: always");
  o("mapping_file", &O::mapping_file, "of NeMo; not read");
}
void EnglishG2pOptions::describe(OptionSet<EnglishG2pOptions>& o) {
  o.include<DictionaryG2pOptions>();
  o("encoding", &EnglishG2pOptions::encoding, "of the files: latin-1, utf-8 or ascii");
  o("word_tokenize_func", &EnglishG2pOptions::word_tokenize_func,
    "how words are found: english_word_tokenize (null) or any_locale_word_tokenize");
}
void IpaG2pOptions::describe(OptionSet<IpaG2pOptions>& o) {
  using O = IpaG2pOptions;
  o.include<DictionaryG2pOptions>();
  o("locale", &O::locale, "en-US, de-DE, es-ES, …: how words are found and inflected; null: none in particular");
  o("use_chars", &O::use_chars, "letters belong to the symbols; so they do with a phoneme_probability");
  o("use_stresses", &O::use_stresses, "keep the marks of stress");
  o("grapheme_case", &O::grapheme_case, "of letters and of the dictionary's words: upper, lower or mixed");
  o("grapheme_prefix", &O::grapheme_prefix, "before every letter, to tell it from a phoneme");
}

std::unique_ptr<text::G2p> make_english_g2p(const EnglishG2pOptions& options) {
  text::EnglishG2p::Config config;
  const text::FileEncoding encoding = text::file_encoding(options.encoding);
  config.dictionary = read_dictionary(options, false, encoding);
  for (auto& word : read_heteronyms(options.heteronyms, encoding)) config.heteronyms.insert(std::move(word));
  read_shared(options, config);
  const Json& words = options.word_tokenize_func;
  if (!words.is_null()) {
    const Json target = words.is_object() && words.contains("_target_") ? words["_target_"] : words;
    const std::string name = target.is_string() ? target.get<std::string>() : json_text(words);
    config.any_locale_words = choose<bool>("word_tokenize_func", name.substr(name.rfind('.') + 1),
                                           {{"english_word_tokenize", false}, {"any_locale_word_tokenize", true}});
  }
  return std::make_unique<text::EnglishG2p>(std::move(config));
}

std::unique_ptr<text::G2p> make_ipa_g2p(const IpaG2pOptions& options) {
  using Case = text::IpaG2p::GraphemeCase;
  text::IpaG2p::Config config;
  config.dictionary = read_dictionary(options, true, text::FileEncoding::kUtf8);
  refuse_other_phonemes(options.apply_to_oov_word, config.dictionary);
  config.heteronyms = read_heteronyms(options.heteronyms, text::FileEncoding::kUtf8);
  read_shared(options, config);
  config.locale = options.locale.value_or("");
  config.use_chars = options.use_chars;
  config.use_stresses = options.use_stresses.value_or(false);
  config.grapheme_case = choose<Case>("grapheme_case", options.grapheme_case,
                                      {{"upper", Case::kUpper}, {"lower", Case::kLower}, {"mixed", Case::kMixed}});
  config.grapheme_prefix = options.grapheme_prefix;
  return std::make_unique<text::IpaG2p>(std::move(config));
}

void TrainedG2pOptions::describe(OptionSet<TrainedG2pOptions>& o) {
  o("model", &TrainedG2pOptions::model, "a file of `fathom tts train-g2p`; null: the one for English that comes along");
  o("phoneme_probability", &TrainedG2pOptions::phoneme_probability,
    "in training a word becomes phonemes with this probability; null: always");
}

std::unique_ptr<text::G2p> make_trained_g2p(const TrainedG2pOptions& options) {
  text::EnglishG2p::Config config;
  config.phoneme_probability = probability_of(options.phoneme_probability);
  config.unknown_word = [model = open_trained_g2p(options.model)](const std::string& word) {
    // Words with hyphens are several.
    if (word.find('-') != std::string::npos) return std::vector<std::string>();
    auto said = model->pronounce(word);
    return said.empty() ? std::vector<std::string>() : std::move(said.front().phonemes);
  };
  return std::make_unique<text::EnglishG2p>(std::move(config));
}

std::shared_ptr<text::G2p> make_g2p(const Json& section, const std::string& path) {
  if (!section.is_object() || !section.contains("_target_") || !section["_target_"].is_string()) {
    throw Error(Code::kFailed, "a G2P's section names its class")
        .at(path)
        .seen(json_text(section).substr(0, 80))
        .expected("{_target_: nemo.collections.tts.g2p.models.en_us_arpabet.EnglishG2p, phoneme_dict: …}");
  }
  const auto target = section["_target_"].get<std::string>();
  const std::string name = target.substr(target.rfind('.') + 1);
  const bool ours = target.starts_with("tts.") || target.starts_with("nemo.collections.tts.");
  Json options = section;
  options.erase("_target_");
  const auto made = [&](auto make, auto tag) -> std::shared_ptr<text::G2p> {
    using Options = decltype(tag);
    try {
      return make(parse_options<Options>(options, path));
    } catch (Error& error) {  // a maker's errors name the option by itself
      if (names_option<Options>(error.where())) error.locate_within(path);
      throw;
    }
  };
  if (ours && name == "EnglishG2p") return made(make_english_g2p, EnglishG2pOptions());
  if (ours && (name == "IpaG2p" || name == "IPAG2P")) return made(make_ipa_g2p, IpaG2pOptions());
  if (target == "tts.TrainedG2p") return made(make_trained_g2p, TrainedG2pOptions());
  return std::make_shared<ForeignG2p>(make_tokenizer(section, path));
}

TrainedG2pComponent::TrainedG2pComponent(const Options& options)
    : G2pComponent(make_trained_g2p(options), long_ones(open_trained_g2p(options.model)->phonemes())) {}

EnglishG2pComponent::EnglishG2pComponent(const Options& options)
    : G2pComponent(make_english_g2p(options),
                   long_symbols_of(read_dictionary(options, false, text::file_encoding(options.encoding)))) {}
IpaG2pComponent::IpaG2pComponent(const Options& options)
    : G2pComponent(make_ipa_g2p(options), long_symbols_of(read_dictionary(options, true, text::FileEncoding::kUtf8))) {}

}  // namespace fathom::tts
