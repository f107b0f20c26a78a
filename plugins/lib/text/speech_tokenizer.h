// The tokenizers of NeMo's speech synthesis: characters, ARPABET phonemes, IPA. Uses no torch; thread-safe once made.
//
// Ids in order: the symbols (of characters and phonemes: space first), <pad>, [<blank>], <oov>. What the vocabulary
// lacks is left out and counted.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "plugins/lib/text/g2p.h"
#include "plugins/lib/text/spoken_text.h"

namespace fathom::text {

class SpeechTokenizer {
 public:
  enum class Blank { kNone, kBeforeOov, kLast };
  struct Special {
    int64_t pad = -1, blank = -1, oov = -1, space = -1, silence = -1;  // -1: there is none
  };
  // Told of the first text with symbols that were left out, as a sentence; later ones are only counted.
  using Say = std::function<void(const std::string& sentence)>;

  virtual ~SpeechTokenizer() = default;
  SpeechTokenizer(const SpeechTokenizer&) = delete;
  SpeechTokenizer& operator=(const SpeechTokenizer&) = delete;

  // Every word that can become phonemes does, unless `mix` keeps it as letters.
  std::vector<int64_t> encode(std::string_view text, const G2pMix& mix = {}) const;
  // Without pad, blank and oov. Throws kFailed for an id outside the vocabulary.
  std::string decode(const std::vector<int64_t>& ids) const;

  const std::vector<std::string>& tokens() const { return tokens_; }
  const Special& special() const { return special_; }
  // The id of a token, -1 for one that is none; of two equal ones the later.
  int64_t id_of(const std::string& token) const;
  virtual std::optional<double> phoneme_probability() const { return std::nullopt; }

  void set_say(Say say) { say_ = std::move(say); }  // not once in use
  // How many symbols were left out so far.
  uint64_t left_out() const { return left_out_; }

 protected:
  struct Ending {
    std::string oov = "<oov>", sep;
    Blank blank = Blank::kNone;
    bool pad_with_space = false;
    std::vector<std::string> punctuation;  // empty: punct is off
  };
  SpeechTokenizer() = default;
  void finish(std::vector<std::string> tokens, const Ending& ending);

  virtual TextCleaning cleaning() const = 0;
  // The text's symbols; of those the ones that `takes` are kept.
  virtual std::vector<std::string> symbols_of(std::string_view cleaned, const G2pMix& mix) const = 0;
  virtual bool takes(std::string& symbol) const = 0;  // may shorten it
  bool is_punctuation_mark(const std::string& symbol) const;

  Special special_;

 private:
  void say_left_out(std::string_view text, const std::vector<std::string>& symbols) const;

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> ids_;
  Ending ending_;
  Say say_;
  mutable std::atomic<uint64_t> left_out_ = 0;
  mutable std::atomic<bool> said_ = false;
};

// One id a character: NeMo's BaseCharsTokenizer and the languages' ones.
class CharsSpeechTokenizer final : public SpeechTokenizer {
 public:
  // Which characters besides punctuation: letters, digits and '; also U+0303; every one of the vocabulary.
  enum class Takes { kAlphanumeric, kAlphanumericOrTilde, kVocabulary };
  struct Config {
    std::vector<std::string> chars;
    bool apostrophe = true, punct = true, pad_with_space = false;
    std::vector<std::string> punctuation;
    Blank blank = Blank::kNone;
    TextCleaning cleaning = TextCleaning::kNone;
    Takes takes = Takes::kAlphanumeric;
  };
  explicit CharsSpeechTokenizer(Config config);

 protected:
  TextCleaning cleaning() const override { return config_.cleaning; }
  std::vector<std::string> symbols_of(std::string_view cleaned, const G2pMix& mix) const override;
  bool takes(std::string& symbol) const override;

 private:
  Config config_;
};

// NeMo's EnglishPhonemesTokenizer.
class EnglishPhonemesTokenizer final : public SpeechTokenizer {
 public:
  struct Config {
    std::shared_ptr<const G2p> g2p;
    bool punct = true, stresses = false, chars = false, apostrophe = true, pad_with_space = false;
    std::vector<std::string> punctuation;
    std::string space = " ", oov = "<oov>", sep = "|";
    std::optional<std::string> silence;
    Blank blank = Blank::kNone;
    TextCleaning cleaning = TextCleaning::kEnglish;
  };
  explicit EnglishPhonemesTokenizer(Config config);
  std::optional<double> phoneme_probability() const override { return config_.g2p->phoneme_probability(); }

 protected:
  TextCleaning cleaning() const override { return config_.cleaning; }
  std::vector<std::string> symbols_of(std::string_view cleaned, const G2pMix& mix) const override;
  bool takes(std::string& symbol) const override;

 private:
  Config config_;
};

// NeMo's IPATokenizer: the symbols of the G2P's dictionary, sorted. As in NeMo, blanks are kept as they are, but for
// those at the end.
class IpaTokenizer final : public SpeechTokenizer {
 public:
  struct Config {
    std::shared_ptr<G2p> g2p;
    std::string locale = "en-US";  // "": none
    bool punct = true, locale_specific_punct = true, apostrophe = false, pad_with_space = false;
    std::optional<std::vector<std::string>> punctuation, fixed_vocab;
    std::string space = " ", oov = "<oov>", sep = "|";
    std::optional<std::string> silence;
    Blank blank = Blank::kNone;
  };
  // Throws kFailed for a locale that is not known, and for a G2P that does not list its symbols.
  explicit IpaTokenizer(Config config);
  std::optional<double> phoneme_probability() const override { return config_.g2p->phoneme_probability(); }

 protected:
  TextCleaning cleaning() const override;
  std::vector<std::string> symbols_of(std::string_view cleaned, const G2pMix& mix) const override;
  bool takes(std::string& symbol) const override;

 private:
  Config config_;
};

}  // namespace fathom::text
