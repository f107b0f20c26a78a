// What all tokenizers of speech synthesis are as components, and the readers of the options that they share.
#pragma once

#include <memory>

#include "fathom/tokenizer.h"
#include "plugins/lib/text/speech_tokenizer.h"
#include "plugins/lib/text/speech_tokenizer_handle.h"

namespace fathom::tts {

class SpeechTokenizerComponent : public Tokenizer {
 public:
  // Warnings name `name`: of symbols left out once, with their count, and how many they were in all at the end.
  SpeechTokenizerComponent(const char* name, std::unique_ptr<text::SpeechTokenizer> tokenizer);
  ~SpeechTokenizerComponent() override;

  int64_t vocab_size() const override { return static_cast<int64_t>(tokenizer_->tokens().size()); }
  std::vector<int64_t> encode(std::string_view text) const override { return tokenizer_->encode(text); }
  std::string decode(const std::vector<int64_t>& ids) const override { return tokenizer_->decode(ids); }
  std::string piece(int64_t id) const override;
  const void* query(std::string_view id) const;
  const text::SpeechTokenizer& tokenizer() const { return *tokenizer_; }

 private:
  const char* name_;
  std::unique_ptr<text::SpeechTokenizer> tokenizer_;
  mutable std::atomic<uint64_t> left_out_at_first_ = 0;
};

// Options of every tokenizer. add_blank_at: null; "last"; whatever else, as in NeMo: before <oov>.
text::SpeechTokenizer::Blank read_add_blank_at(const Json& value);
// A list of tokens, or a text whose characters they are; null: nothing. Throws kFailed, at `option`, for others.
std::optional<std::vector<std::string>> read_tokens(const Json& value, const char* option);
// null: `fallback`; NeMo's name of a function, by itself or as _target_, perhaps with lower. Throws kUnavailable for
// another function.
text::TextCleaning read_text_preprocessing(const Json& value, text::TextCleaning fallback);

}  // namespace fathom::tts
