// The components asr.SentencePieceTokenizer, asr.WordPieceTokenizer, asr.CanaryTokenizer and asr.CanaryBPETokenizer.
#pragma once

#include <memory>

#include "fathom/tokenizer.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::asr {

// What all are beyond their options.
class SubwordTokenizerComponent : public Tokenizer {
 public:
  explicit SubwordTokenizerComponent(std::shared_ptr<const text::SubwordTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}
  int64_t vocab_size() const override { return tokenizer_->vocab_size(); }
  std::vector<int64_t> encode(std::string_view text) const override { return tokenizer_->text_to_ids(text); }
  std::string decode(const std::vector<int64_t>& ids) const override { return tokenizer_->ids_to_text(ids); }
  std::string piece(int64_t id) const override { return tokenizer_->id_to_token(id); }

 private:
  std::shared_ptr<const text::SubwordTokenizer> tokenizer_;
};

// A SentencePiece model, as NeMo's SentencePieceTokenizer.
class SentencePieceComponent final : public SubwordTokenizerComponent {
 public:
  struct Options {
    std::string model_path;
    static void describe(OptionSet<Options>& o);
  };
  explicit SentencePieceComponent(const Options& options);
};

// A WordPiece vocabulary, as NeMo's AutoTokenizer over BERT's.
class WordPieceComponent final : public SubwordTokenizerComponent {
 public:
  struct Options {
    std::string vocab_file;
    std::optional<std::string> pretrained_model_name;
    std::optional<bool> do_lower_case;
    static void describe(OptionSet<Options>& o);
  };
  explicit WordPieceComponent(const Options& options);
};

// Tokenizers of several languages, one of them of special tokens, as NeMo's CanaryTokenizer. Encoding has no language:
// it is a model's to name one, so a text alone is refused; ids are decoded.
class CanaryTokenizerComponent final : public SubwordTokenizerComponent {
 public:
  struct Options {
    Json tokenizers;
    static void describe(OptionSet<Options>& o);
  };
  explicit CanaryTokenizerComponent(const Options& options);
};

// A SentencePiece model with Canary's special tokens.
class CanaryBPEComponent final : public SubwordTokenizerComponent {
 public:
  struct Options {
    std::optional<std::string> model_path;
    static void describe(OptionSet<Options>& o);
  };
  explicit CanaryBPEComponent(const Options& options);
};

}  // namespace fathom::asr
