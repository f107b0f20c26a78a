#include "plugins/tts_text/phoneme_tokenizers.h"

#include "plugins/lib/text/speech_locales.h"
#include "plugins/tts_text/g2p_components.h"

namespace fathom::tts {
namespace {

template <typename Config>
Config phonemes_config(const PhonemesOptions& options) {
  Config config;
  config.g2p = make_g2p(options.g2p, "g2p");
  config.punct = options.punct;
  config.pad_with_space = options.pad_with_space;
  config.space = options.space;
  config.oov = options.oov;
  config.sep = options.sep;
  config.silence = options.silence;
  config.blank = read_add_blank_at(options.add_blank_at);
  return config;
}

}  // namespace

void PhonemesOptions::describe(OptionSet<PhonemesOptions>& o) {
  using O = PhonemesOptions;
  o.required("g2p", &O::g2p, "the G2P's section, with its _target_")
      .example({{"_target_", "tts.EnglishG2p"}, {"phoneme_dict", {{"a", {{"AH0"}}}}}});
  o("punct", &O::punct, "punctuation has ids");
  o("non_default_punct_list", &O::non_default_punct_list, "punctuation instead of the tokenizer's own");
  o("space", &O::space, "the token between words");
  o("silence", &O::silence, "a token of silence; null: none");
  o("oov", &O::oov, "the token that stands for what is unknown");
  o("sep", &O::sep, "between tokens in decoded text");
  o("add_blank_at", &O::add_blank_at, "null: no blank; last: behind <oov>; another value: before it");
  o("pad_with_space", &O::pad_with_space, "a blank at both ends of every text");
}

void EnglishPhonemesTokenizer::Options::describe(OptionSet<Options>& o) {
  o.include<PhonemesOptions>();
  o("stresses", &Options::stresses, "vowels with their stress, 0 to 2");
  o("chars", &Options::chars, "the letters a-z too; so with a G2P that has a phoneme_probability");
  o("apostrophe", &Options::apostrophe, "' has an id");
  o("text_preprocessing_func", &Options::text_preprocessing_func,
    "NeMo's name of a text preprocessing; null: english_text_preprocessing that leaves case alone");
}

EnglishPhonemesTokenizer::EnglishPhonemesTokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.EnglishPhonemesTokenizer", [&] {
        auto config = phonemes_config<text::EnglishPhonemesTokenizer::Config>(options);
        config.stresses = options.stresses;
        config.chars = options.chars;
        config.apostrophe = options.apostrophe;
        config.punctuation =
            read_tokens(options.non_default_punct_list, "non_default_punct_list").value_or(text::common_punctuation());
        config.cleaning = read_text_preprocessing(options.text_preprocessing_func, text::TextCleaning::kEnglish);
        return std::make_unique<text::EnglishPhonemesTokenizer>(std::move(config));
      }()) {}

void IPATokenizer::Options::describe(OptionSet<Options>& o) {
  o.include<PhonemesOptions>();
  o("locale", &Options::locale, "whose punctuation and text preprocessing; null: the common ones");
  o("locale_specific_punct", &Options::locale_specific_punct, "false: the common punctuation whatever the locale");
  o("apostrophe", &Options::apostrophe, "' has an id");
  o("fixed_vocab", &Options::fixed_vocab, "the symbols, as a list or a text, instead of the dictionary's");
}

IPATokenizer::IPATokenizer(const Options& options)
    : SpeechTokenizerComponent("tts.IPATokenizer", [&] {
        auto config = phonemes_config<text::IpaTokenizer::Config>(options);
        config.locale = options.locale.value_or("");
        config.locale_specific_punct = options.locale_specific_punct;
        config.apostrophe = options.apostrophe;
        config.punctuation = read_tokens(options.non_default_punct_list, "non_default_punct_list");
        config.fixed_vocab = read_tokens(options.fixed_vocab, "fixed_vocab");
        return std::make_unique<text::IpaTokenizer>(std::move(config));
      }()) {}

}  // namespace fathom::tts
