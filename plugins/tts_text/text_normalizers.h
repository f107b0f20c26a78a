// The components tts.TextNormalizer and tts.NemoTextNormalizer (plugins/lib/text/text_normalizer_handle.h says what a
// normaliser is as a component), and the command `fathom tts normalize`.
#pragma once

#include <optional>
#include <string>

#include "fathom/command.h"
#include "fathom/tokenizer.h"
#include "plugins/lib/text/normalization/text_normalizer.h"

namespace fathom::tts {

// One id a character; bytes that are no UTF-8 have the ids beyond Unicode.
class TextNormalizerComponent : public Tokenizer {
 public:
  explicit TextNormalizerComponent(text::TextNormalizer normalizer) : normalizer_(std::move(normalizer)) {}
  int64_t vocab_size() const override;
  std::vector<int64_t> encode(std::string_view text) const override;
  std::string decode(const std::vector<int64_t>& ids) const override;
  std::string piece(int64_t id) const override;

 private:
  text::TextNormalizer normalizer_;
};

struct TextNormalizerOptions {
  std::string lang = "en", style = "ljspeech", input_case = "cased";
  std::optional<std::string> whitelist;
  static void describe(OptionSet<TextNormalizerOptions>& o);
  text::TextNormalizer make() const;
};

class EnglishTextNormalizer final : public TextNormalizerComponent {
 public:
  using Options = TextNormalizerOptions;
  explicit EnglishTextNormalizer(const Options& options) : TextNormalizerComponent(options.make()) {}
};

// Under the name and with the options of nemo_text_processing's Normalizer, in its conventions.
class NemoTextNormalizer final : public TextNormalizerComponent {
 public:
  struct Options {
    std::string lang = "en", input_case = "cased";
    std::optional<std::string> whitelist;
    std::optional<std::string> cache_dir;
    bool overwrite_cache = false, deterministic = true, post_process = true, lm = false;
    int64_t max_number_of_permutations_per_split = 729;
    static void describe(OptionSet<Options>& o);
  };
  explicit NemoTextNormalizer(const Options& options);
};

// `fathom tts normalize FILE`: the lines of a file, or of stdin, as they are spoken.
class Normalize final : public Command {
 public:
  struct Options : TextNormalizerOptions {
    std::string file = "-";
    std::optional<std::string> text;
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"file"}; }
  explicit Normalize(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

}  // namespace fathom::tts
