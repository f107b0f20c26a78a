// The components tts.EnglishCharsTokenizer and its like: one id a character.
#pragma once

#include "plugins/tts_text/speech_tokenizer_component.h"

namespace fathom::tts {

struct CharsOptions {
  bool punct = true, apostrophe = true, pad_with_space = false;
  Json add_blank_at = nullptr, non_default_punct_list = nullptr;
  static void describe(OptionSet<CharsOptions>& o);
};
// Of those whose text preprocessing can be chosen.
struct CleanedCharsOptions : CharsOptions {
  Json text_preprocessing_func = nullptr;
  static void describe(OptionSet<CleanedCharsOptions>& o);
};

class BaseCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : CleanedCharsOptions {
    Json chars = nullptr;
    static void describe(OptionSet<Options>& o);
  };
  explicit BaseCharsTokenizer(const Options& options);
};

class EnglishCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  using Options = CleanedCharsOptions;
  explicit EnglishCharsTokenizer(const Options& options);
};

class GermanCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : CleanedCharsOptions {
    Json chars = nullptr;
    Options();  // with the German punctuation
    static void describe(OptionSet<Options>& o);
  };
  explicit GermanCharsTokenizer(const Options& options);
};

class VietnameseCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : CleanedCharsOptions {
    Json chars = nullptr;
    static void describe(OptionSet<Options>& o);
  };
  explicit VietnameseCharsTokenizer(const Options& options);
};

class SpanishCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  using Options = CharsOptions;
  explicit SpanishCharsTokenizer(const Options& options);
};

class FrenchCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  using Options = CharsOptions;
  explicit FrenchCharsTokenizer(const Options& options);
};

class ItalianCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  using Options = CharsOptions;
  explicit ItalianCharsTokenizer(const Options& options);
};

class HindiCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : CleanedCharsOptions {
    Json chars = nullptr;
    int64_t charset_version = 2, punct_version = 2;
    static void describe(OptionSet<Options>& o);
  };
  explicit HindiCharsTokenizer(const Options& options);
};

class ArabicCharsTokenizer final : public SpeechTokenizerComponent {
 public:
  struct Options : CleanedCharsOptions {
    Json chars = nullptr;
    int64_t charset_version = 2;
    Options();  // with the Arabic punctuation
    static void describe(OptionSet<Options>& o);
  };
  explicit ArabicCharsTokenizer(const Options& options);
};

// Of texts that are phonemes already.
class GermanPhonemesTokenizer final : public SpeechTokenizerComponent {
 public:
  using Options = CleanedCharsOptions;
  explicit GermanPhonemesTokenizer(const Options& options);
};

class ItalianPhonemesTokenizer final : public SpeechTokenizerComponent {
 public:
  using Options = CleanedCharsOptions;
  explicit ItalianPhonemesTokenizer(const Options& options);
};

}  // namespace fathom::tts
