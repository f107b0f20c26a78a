#include "plugins/tts_text/chars_tokenizers.h"

#include "plugins/lib/text/speech_locales.h"

namespace fathom::tts {
namespace {

using text::CharsSpeechTokenizer;
using text::LetterCase;
using text::locale_letters;
using text::TextCleaning;
using Tokens = std::vector<std::string>;

constexpr const char* kAsciiLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

// `punctuation`: where the options name none.
CharsSpeechTokenizer::Config chars_config(const CharsOptions& options, Tokens chars, TextCleaning cleaning,
                                          const Tokens& punctuation = text::common_punctuation()) {
  CharsSpeechTokenizer::Config config;
  config.chars = std::move(chars);
  config.apostrophe = options.apostrophe;
  config.punct = options.punct;
  config.pad_with_space = options.pad_with_space;
  config.punctuation = read_tokens(options.non_default_punct_list, "non_default_punct_list").value_or(punctuation);
  config.blank = read_add_blank_at(options.add_blank_at);
  config.cleaning = cleaning;
  return config;
}
CharsSpeechTokenizer::Config chars_config(const CleanedCharsOptions& options, Tokens chars, TextCleaning cleaning,
                                          const Tokens& punctuation = text::common_punctuation()) {
  const CharsOptions& common = options;
  return chars_config(common, std::move(chars), read_text_preprocessing(options.text_preprocessing_func, cleaning),
                      punctuation);
}
std::unique_ptr<text::SpeechTokenizer> chars_tokenizer(
    CharsSpeechTokenizer::Config config,
    CharsSpeechTokenizer::Takes takes = CharsSpeechTokenizer::Takes::kAlphanumeric) {
  config.takes = takes;
  return std::make_unique<CharsSpeechTokenizer>(std::move(config));
}

Tokens chars_or(const Json& given, Tokens fallback) {
  return read_tokens(given, "chars").value_or(std::move(fallback));
}

Tokens mixed_letters(const char* locale) { return locale_letters(locale, LetterCase::kMixed); }

// A script without case, with English letters: `version` 1 is what NeMo had until 2.8.
Tokens script_letters(const char* locale, int64_t version, bool small_only_at_first) {
  if (version != 1 && version != 2)
    throw Error(Code::kFailed, "there is no such set of characters")
        .at("charset_version")
        .seen(std::to_string(version))
        .expected("1 or 2");
  Tokens out = locale_letters(locale, version == 1 ? LetterCase::kMixed : LetterCase::kUpper);
  const size_t count = version == 1 && small_only_at_first ? 26 : 52;
  for (size_t i = 0; i < count; ++i) out.emplace_back(1, kAsciiLetters[i]);
  return out;
}

Json punctuation_json(const char* locale) { return text::locale_punctuation(locale); }

constexpr const char* kCharsDoc = "the characters, as a list or a text; null: the language's letters";

}  // namespace

void CharsOptions::describe(OptionSet<CharsOptions>& o) {
  o("punct", &CharsOptions::punct, "punctuation has ids");
  o("apostrophe", &CharsOptions::apostrophe, "' has an id besides");
  o("add_blank_at", &CharsOptions::add_blank_at, "null: no blank; last: behind <oov>; another value: before it");
  o("pad_with_space", &CharsOptions::pad_with_space, "a blank at both ends of every text");
  o("non_default_punct_list", &CharsOptions::non_default_punct_list, "punctuation instead of the tokenizer's own");
}

void CleanedCharsOptions::describe(OptionSet<CleanedCharsOptions>& o) {
  o.include<CharsOptions>();
  o("text_preprocessing_func", &CleanedCharsOptions::text_preprocessing_func,
    "NeMo's name of a text preprocessing; null: the tokenizer's own");
}

void BaseCharsTokenizer::Options::describe(OptionSet<Options>& o) {
  o.required("chars", &Options::chars, "the characters, as a list or a text").example("abc");
  o.include<CleanedCharsOptions>();
}
BaseCharsTokenizer::BaseCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent(
          "tts.BaseCharsTokenizer",
          chars_tokenizer(chars_config(options, chars_or(options.chars, {}), TextCleaning::kNone))) {}

EnglishCharsTokenizer::EnglishCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.EnglishCharsTokenizer",
                               chars_tokenizer(chars_config(options, locale_letters("en-US", LetterCase::kLower),
                                                            TextCleaning::kEnglishLower))) {}

GermanCharsTokenizer::Options::Options() { non_default_punct_list = punctuation_json("de-DE"); }
void GermanCharsTokenizer::Options::describe(OptionSet<Options>& o) {
  o("chars", &Options::chars, kCharsDoc);
  o.include<CleanedCharsOptions>();
}
GermanCharsTokenizer::GermanCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.GermanCharsTokenizer",
                               chars_tokenizer(chars_config(options, chars_or(options.chars, mixed_letters("de-DE")),
                                                            TextCleaning::kAnyLocale))) {}

void VietnameseCharsTokenizer::Options::describe(OptionSet<Options>& o) {
  o("chars", &Options::chars, kCharsDoc);
  o.include<CharsOptions>();
  o("text_preprocessing_func", &Options::text_preprocessing_func,
    "as in NeMo the text is made small, whatever this says");
}
VietnameseCharsTokenizer::VietnameseCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent(
          "tts.VietnameseCharsTokenizer",
          chars_tokenizer(chars_config(static_cast<const CharsOptions&>(options),
                                       chars_or(options.chars, mixed_letters("vi-VN")), TextCleaning::kLower))) {}

SpanishCharsTokenizer::SpanishCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent(
          "tts.SpanishCharsTokenizer",
          chars_tokenizer(chars_config(options, text::split_characters("abcdefghijklmnopqrstuvwxyzáéíñóúü"),
                                       TextCleaning::kLower, text::locale_punctuation("es-ES")))) {}

FrenchCharsTokenizer::FrenchCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.FrenchCharsTokenizer",
                               chars_tokenizer(chars_config(options, locale_letters("fr-FR", LetterCase::kLower),
                                                            TextCleaning::kLower, text::locale_punctuation("fr-FR")))) {
}

ItalianCharsTokenizer::ItalianCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent(
          "tts.ItalianCharsTokenizer",
          chars_tokenizer(chars_config(options, text::split_characters("abcdefghijklmnopqrstuvwxyzàèéìòùó"),
                                       TextCleaning::kLower, text::locale_punctuation("it-IT")))) {}

void HindiCharsTokenizer::Options::describe(OptionSet<Options>& o) {
  o("chars", &Options::chars, kCharsDoc);
  o("charset_version", &Options::charset_version, "letters where chars is null: 2, or 1 as before NeMo 2.8");
  o.include<CleanedCharsOptions>();
  o("punct_version", &Options::punct_version,
    "punctuation where none is given: 2 with dandas, or 1 as before NeMo 2.8");
}
HindiCharsTokenizer::HindiCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.HindiCharsTokenizer", [&] {
        if (options.punct_version != 1 && options.punct_version != 2) {
          throw Error(Code::kFailed, "there is no such punctuation")
              .at("punct_version")
              .seen(std::to_string(options.punct_version))
              .expected("1 or 2");
        }
        Tokens letters = options.chars.is_null() ? script_letters("hi-IN", options.charset_version, true)
                                                 : chars_or(options.chars, {});
        return chars_tokenizer(chars_config(options, std::move(letters), TextCleaning::kAnyLocale,
                                            text::locale_punctuation(options.punct_version == 1 ? "" : "hi-IN")),
                               CharsSpeechTokenizer::Takes::kVocabulary);
      }()) {}

ArabicCharsTokenizer::Options::Options() { non_default_punct_list = punctuation_json("ar-MSA"); }
void ArabicCharsTokenizer::Options::describe(OptionSet<Options>& o) {
  o("chars", &Options::chars, kCharsDoc);
  o("charset_version", &Options::charset_version, "letters where chars is null: 2, or 1 as before NeMo 2.8");
  o.include<CleanedCharsOptions>();
}
ArabicCharsTokenizer::ArabicCharsTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.ArabicCharsTokenizer", [&] {
        Tokens letters = options.chars.is_null() ? script_letters("ar-MSA", options.charset_version, false)
                                                 : chars_or(options.chars, {});
        return chars_tokenizer(chars_config(options, std::move(letters), TextCleaning::kAnyLocale),
                               CharsSpeechTokenizer::Takes::kVocabulary);
      }()) {}

GermanPhonemesTokenizer::GermanPhonemesTokenizer(const Options& options)
    : SpeechTokenizerComponent(
          "tts.GermanPhonemesTokenizer",
          chars_tokenizer(chars_config(options,
                                       text::split_characters("abdefhijklmnoprstuvwxyzçðøŋœɐɑɒɔəɛɜɡɪɹɾʃʊʌʒː\u0303"
                                                              "12"),
                                       TextCleaning::kAnyLocale),
                          CharsSpeechTokenizer::Takes::kAlphanumericOrTilde)) {}

ItalianPhonemesTokenizer::ItalianPhonemesTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.ItalianPhonemesTokenizer", [&] {
        Tokens marks = text::common_punctuation();
        for (auto& mark : text::split_characters("„“”‘’‒—«»‹›_")) marks.push_back(std::move(mark));
        return chars_tokenizer(
            chars_config(options,
                         text::split_characters(
                             "abcdefghijklmnopqrstuvwxyzàèéìòùóæɐɑɔəɚɜɬɹʌʔᵻðŋɛɡɣɪɲɾʃʊʎʒʝβθd͡'t͡'øɒɕɓçɖɘɝɞɟʄɡɠɢʛɦɧħɥʜ"
                             "ɨɬɫɮʟɱɯɰɳɵɸœɶʘɺɻʀʁɽʂʈʧʉʋⱱɤʍχʏʑʐʔʡʕʢǀǁǂᵻʃ'ː"),
                         TextCleaning::kLower, marks),
            CharsSpeechTokenizer::Takes::kAlphanumericOrTilde);
      }()) {}

}  // namespace fathom::tts
