// Tokenizers of several languages as one (NeMo's AggregateTokenizer), and the two of the Canary models, which have a
// language of special tokens besides (CanaryTokenizer) or all in one SentencePiece model (CanaryBPETokenizer). Use no
// torch; thread-safe after construction.
#pragma once

#include <map>
#include <memory>

#include "plugins/lib/text/sentencepiece_tokenizer.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::text {

class AggregateTokenizer : public SubwordTokenizer {
 public:
  struct Part {
    std::string language;
    std::shared_ptr<const SubwordTokenizer> tokenizer;
  };
  // The ids of each part follow those of the part before it. Throws Error(kFailed) without a part.
  explicit AggregateTokenizer(std::vector<Part> parts);

  int64_t vocab_size() const override { return static_cast<int64_t>(owners_.size()); }
  // Throws Error(kFailed): a text has a language.
  std::vector<int64_t> text_to_ids(std::string_view text) const override;
  std::vector<int64_t> text_to_ids_in(std::string_view text, std::string_view language) const override;
  std::vector<std::string> text_to_tokens(std::string_view text) const override;
  // The pieces joined, the mark of a space a space, the first one too.
  std::string ids_to_text(const std::vector<int64_t>& ids) const override;
  const std::string& id_to_token(int64_t id) const override;
  // None: each part has its own.
  SpecialIds special_ids() const override { return {}; }
  bool starts_word(int64_t id) const override;
  std::vector<std::string> languages() const override;

 protected:
  struct Place {
    const SubwordTokenizer* tokenizer;
    int64_t offset;
  };
  Place place_of(std::string_view language) const;

 private:
  Place owner_of(int64_t id) const;

  std::vector<Part> parts_;
  std::vector<int64_t> offsets_;  // of each part
  std::vector<uint32_t> owners_;  // of each id: a part
};

// Ids of the special tokens "<|…|>" and "<pad>" by name, and texts that are made of them alone.
class SpecialTokens {
 public:
  static constexpr std::string_view kBos = "<|startoftranscript|>", kEos = "<|endoftext|>", kPad = "<pad>",
                                    kContext = "<|startofcontext|>";
  SpecialTokens() = default;
  // Those of `tokenizer`, whose ids begin at `offset`. Throws Error(kBadData) without kBos, kEos and kPad; `source`
  // says in messages what they belong to.
  SpecialTokens(const SubwordTokenizer& tokenizer, int64_t offset, std::string source);
  // Throws Error(kFailed) with the nearest names where there is none.
  int64_t id(std::string_view token) const;
  SpecialIds ids() const { return {-1, id(kBos), id(kEos), id(kPad)}; }

 private:
  std::map<std::string, int64_t, std::less<>> ids_;
  std::string source_;
};

class CanaryTokenizer final : public AggregateTokenizer {
 public:
  static constexpr std::string_view kSpecial = "spl_tokens";  // the language of the special tokens
  // One of the parts is kSpecial.
  explicit CanaryTokenizer(std::vector<Part> parts);

  // In kSpecial: nothing but special tokens, and between kContext and kBos a text in the target's language. In another
  // language (en stands for en-US too, and so es, fr, de): kEos at the end is its token; with times "<|n|>" in it, the
  // words with their times between them.
  std::vector<int64_t> text_to_ids_in(std::string_view text, std::string_view language) const override;
  SpecialIds special_ids() const override { return specials_.ids(); }

 private:
  std::vector<int64_t> special_text(std::string_view text) const;
  std::vector<int64_t> timed_text(const std::string& text, const std::string& times, std::string_view language) const;
  std::string known_language(std::string_view language) const;

  SpecialTokens specials_;
};

// A SentencePiece model that holds the special tokens, which are user-defined symbols of it.
class CanaryBPETokenizer final : public SubwordTokenizer {
 public:
  explicit CanaryBPETokenizer(std::shared_ptr<const SentencePieceTokenizer> tokenizer, const std::string& source);
  int64_t vocab_size() const override { return tokenizer_->vocab_size(); }
  std::vector<int64_t> text_to_ids(std::string_view text) const override { return tokenizer_->text_to_ids(text); }
  std::vector<std::string> text_to_tokens(std::string_view text) const override {
    return tokenizer_->text_to_tokens(text);
  }
  std::string ids_to_text(const std::vector<int64_t>& ids) const override { return tokenizer_->ids_to_text(ids); }
  const std::string& id_to_token(int64_t id) const override { return tokenizer_->id_to_token(id); }
  SpecialIds special_ids() const override;
  bool starts_word(int64_t id) const override { return tokenizer_->starts_word(id); }

 private:
  std::shared_ptr<const SentencePieceTokenizer> tokenizer_;
  SpecialTokens specials_;
};

}  // namespace fathom::text
