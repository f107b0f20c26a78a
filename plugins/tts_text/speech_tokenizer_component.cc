#include "plugins/tts_text/speech_tokenizer_component.h"

#include "plugins/lib/text/speech_locales.h"

namespace fathom::tts {
namespace {

const text::SpeechTokenizer& tokenizer_of(void* self) {
  return static_cast<const SpeechTokenizerComponent*>(static_cast<Tokenizer*>(self))->tokenizer();
}

}  // namespace

SpeechTokenizerComponent::SpeechTokenizerComponent(const char* name, std::unique_ptr<text::SpeechTokenizer> tokenizer)
    : name_(name), tokenizer_(std::move(tokenizer)) {
  tokenizer_->set_say([this](const std::string& sentence) {
    left_out_at_first_ = tokenizer_->left_out();
    log(LogLevel::kWarning, name_, sentence);
  });
}

SpeechTokenizerComponent::~SpeechTokenizerComponent() {
  const uint64_t all = tokenizer_->left_out();
  if (all > left_out_at_first_) {
    log(LogLevel::kWarning, name_,
        std::to_string(all) + " symbols of all texts were left out because the vocabulary lacks them");
  }
}

std::string SpeechTokenizerComponent::piece(int64_t id) const {
  const auto& tokens = tokenizer_->tokens();
  if (id < 0 || id >= vocab_size()) {
    throw Error(Code::kFailed, "a token id lies outside the vocabulary")
        .seen(std::to_string(id))
        .expected("0 to " + std::to_string(vocab_size() - 1));
  }
  return tokens[static_cast<size_t>(id)];
}

const void* SpeechTokenizerComponent::query(std::string_view id) const {
  if (id != text::kSpeechTokenizerTable) return nullptr;
  static const text::SpeechTokenizerTable table = {
      sizeof(text::SpeechTokenizerTable),
      [](void* self, int64_t* ids) {
        return guard([&] {
          const auto& special = tokenizer_of(self).special();
          ids[0] = special.pad;
          ids[1] = special.blank;
          ids[2] = special.oov;
          ids[3] = special.space;
          ids[4] = special.silence;
        });
      },
      [](void* self, double* probability) {
        return guard([&] { *probability = tokenizer_of(self).phoneme_probability().value_or(-1); });
      },
      [](void* self, fathom_str text, double probability, uint64_t seed, const fathom_ids_sink* out) {
        return guard([&] {
          text::G2pMix mix;
          if (probability >= 0) mix = {probability, seed};
          const std::vector<int64_t> ids = tokenizer_of(self).encode(to_view(text), mix);
          out->write(out->ctx, ids.data(), ids.size());
        });
      },
      [](void* self, uint64_t* symbols) { return guard([&] { *symbols = tokenizer_of(self).left_out(); }); }};
  return &table;
}

text::SpeechTokenizer::Blank read_add_blank_at(const Json& value) {
  if (value.is_null()) return text::SpeechTokenizer::Blank::kNone;
  return value == "last" ? text::SpeechTokenizer::Blank::kLast : text::SpeechTokenizer::Blank::kBeforeOov;
}

std::optional<std::vector<std::string>> read_tokens(const Json& value, const char* option) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return text::split_characters(value.get<std::string>());
  std::vector<std::string> out;
  bool good = value.is_array();
  for (const Json& item : good ? value : Json::array()) {
    good = good && item.is_string();
    if (good) out.push_back(item.get<std::string>());
  }
  if (good) return out;
  throw Error(Code::kFailed, "option has the wrong type")
      .at(option)
      .seen(json_text(value).substr(0, 80))
      .expected("a list of tokens, or a text whose characters they are");
}

text::TextCleaning read_text_preprocessing(const Json& value, text::TextCleaning fallback) {
  if (value.is_null()) return fallback;
  std::string name;
  bool lower = true;
  if (value.is_string()) name = value.get<std::string>();
  if (value.is_object()) {
    if (value.contains("_target_") && value["_target_"].is_string()) name = value["_target_"].get<std::string>();
    if (value.contains("lower") && value["lower"].is_boolean()) lower = value["lower"].get<bool>();
  }
  const std::string function = name.substr(name.rfind('.') + 1);
  if (function == "english_text_preprocessing")
    return lower ? text::TextCleaning::kEnglishLower : text::TextCleaning::kEnglish;
  if (function == "any_locale_text_preprocessing") return text::TextCleaning::kAnyLocale;
  if (function == "chinese_text_preprocessing") return text::TextCleaning::kNone;
  for (const char* language : {"spanish", "italian", "french", "vietnamese", "japanese"}) {
    if (function == std::string(language) + "_text_preprocessing") return text::TextCleaning::kLower;
  }
  throw Error(Code::kUnavailable, "there is no such text preprocessing")
      .at("text_preprocessing_func")
      .seen(json_text(value).substr(0, 120))
      .expected(
          "english_text_preprocessing, any_locale_text_preprocessing, or spanish_, french_, italian_, vietnamese_, "
          "japanese_ or chinese_text_preprocessing");
}

}  // namespace fathom::tts
