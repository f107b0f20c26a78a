// The components tts.EnglishPhonemesTokenizer and tts.IPATokenizer: text by way of a G2P.
#pragma once

#include "plugins/tts_text/speech_tokenizer_component.h"

namespace fathom::tts {

struct PhonemesOptions {
  Json g2p = nullptr, add_blank_at = nullptr, non_default_punct_list = nullptr;
  bool punct = true, pad_with_space = false;
  std::string space = " ", oov = "<oov>", sep = "|";
  std::optional<std::string> silence;
  static void describe(OptionSet<PhonemesOptions>& o);
};

class EnglishPhonemesTokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : PhonemesOptions {
    bool stresses = false, chars = false, apostrophe = true;
    Json text_preprocessing_func = nullptr;
    static void describe(OptionSet<Options>& o);
  };
  explicit EnglishPhonemesTokenizer(const Options& options);
};

class IPATokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : PhonemesOptions {
    std::optional<std::string> locale = "en-US";
    bool locale_specific_punct = true, apostrophe = false;
    Json fixed_vocab = nullptr;
    static void describe(OptionSet<Options>& o);
  };
  explicit IPATokenizer(const Options& options);
};

}  // namespace fathom::tts
