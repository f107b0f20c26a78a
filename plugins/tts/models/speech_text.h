// The text side of a model that speaks, from the words of a user to tokens: its sections text_normalizer, which may be
// missing (texts with figures are warned of then), and text_tokenizer.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fathom/model.h"
#include "plugins/lib/text/speech_tokenizer_handle.h"
#include "plugins/lib/text/text_normalizer_handle.h"

namespace fathom::tts {

class SpeechText {
 public:
  SpeechText() = default;
  // From the model's section; `path` is its full key. Files that these sections name are found in a restored archive
  // too, and are artifacts of the model. Throws what making tokenizer and normaliser throws.
  SpeechText(const Json& config, const ModelContext& context, const std::string& path);
  explicit operator bool() const { return static_cast<bool>(tokenizer_); }

  const text::SpeechTokenizerHandle& tokenizer() const { return tokenizer_; }
  int64_t vocab_size() const { return tokenizer_.vocab_size(); }
  int64_t pad() const;
  const std::vector<std::pair<std::string, std::string>>& artifacts() const { return artifacts_; }

  // What SpeechSynthesizer::parse gives (fathom/synthesis.h): tokens (1, S), text as it is spoken, skipped.
  Values parse(const std::string& text, const Json& options) const;

 private:
  void warn_of_digits(const std::string& text) const;

  text::SpeechTokenizerHandle tokenizer_;
  text::TextNormalizerHandle normalizer_;
  std::shared_ptr<std::atomic<bool>> said_digits_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<std::pair<std::string, std::string>> artifacts_;
};

}  // namespace fathom::tts
