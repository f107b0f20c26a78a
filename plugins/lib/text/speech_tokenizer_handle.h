// What a tokenizer of speech synthesis offers besides the kind's functions, for collections that hold one through the
// boundary: special ids, and words that stay letters by chance while a model trains. Header-only; no torch.
#pragma once

#include "fathom/tokenizer.h"

namespace fathom::text {

inline constexpr std::string_view kSpeechTokenizerTable = "fathom.speech_tokenizer/1";

struct SpeechTokenizerTable {
  uint32_t struct_size;
  // pad, blank, oov, space, silence; -1 for what there is none of.
  fathom_status (*special)(void* self, int64_t ids[5]);
  // The config's phoneme_probability; -1 where it says none.
  fathom_status (*phoneme_probability)(void* self, double* probability);
  // encode() with words that stay letters: each becomes phonemes with `probability`, drawn from `seed`; -1: all do.
  fathom_status (*encode_mixed)(void* self, fathom_str text, double probability, uint64_t seed,
                                const fathom_ids_sink* ids);
  // Symbols left out so far because the vocabulary lacks them.
  fathom_status (*left_out)(void* self, uint64_t* symbols);
};

// A tokenizer of text for speech, whichever plugin made it. Of one without the table, special ids are found by their
// pieces, and encoding never mixes.
class SpeechTokenizerHandle {
 public:
  struct Special {
    int64_t pad = -1, blank = -1, oov = -1, space = -1, silence = -1;
  };
  SpeechTokenizerHandle() = default;
  explicit SpeechTokenizerHandle(TokenizerHandle tokenizer)
      : tokenizer_(std::move(tokenizer)),
        table_(query<SpeechTokenizerTable>(tokenizer_.borrowed(), kSpeechTokenizerTable)) {}
  // `section`: a text_tokenizer section with its _target_.
  static SpeechTokenizerHandle make(const Json& section, const std::string& config_path) {
    return SpeechTokenizerHandle(make_tokenizer(section, config_path));
  }
  explicit operator bool() const { return static_cast<bool>(tokenizer_); }
  const TokenizerHandle& tokenizer() const { return tokenizer_; }
  int64_t vocab_size() const { return tokenizer_.vocab_size(); }
  std::string decode(const std::vector<int64_t>& ids) const { return tokenizer_.decode(ids); }

  Special special() const {
    Special out;
    if (table_) {
      int64_t ids[5];
      check(table_->special(table_.self(), ids));
      return {ids[0], ids[1], ids[2], ids[3], ids[4]};
    }
    for (int64_t id = tokenizer_.vocab_size() - 1; id >= 0; --id) {
      const std::string piece = tokenizer_.piece(id);
      if (piece == "<pad>") out.pad = id;
      if (piece == "<blank>") out.blank = id;
      if (piece == "<oov>") out.oov = id;
      if (piece == " ") out.space = id;
    }
    return out;
  }
  // Nothing: words never stay letters.
  std::optional<double> phoneme_probability() const {
    double probability = -1;
    if (table_) check(table_->phoneme_probability(table_.self(), &probability));
    return probability < 0 ? std::nullopt : std::optional(probability);
  }
  // As in validation and synthesis: every word that can become phonemes does.
  std::vector<int64_t> encode(std::string_view text) const { return tokenizer_.encode(text); }
  // As in training: by the config's phoneme_probability, drawn from `seed`.
  std::vector<int64_t> encode(std::string_view text, uint64_t seed) const {
    const auto probability = phoneme_probability();
    if (!probability) return encode(text);
    std::vector<int64_t> ids;
    const fathom_ids_sink sink = {&ids, [](void* ctx, const int64_t* data, size_t count) {
                                    auto& out = *static_cast<std::vector<int64_t>*>(ctx);
                                    out.insert(out.end(), data, data + count);
                                  }};
    check(table_->encode_mixed(table_.self(), to_abi(text), *probability, seed, &sink));
    return ids;
  }
  uint64_t left_out() const {
    uint64_t symbols = 0;
    if (table_) check(table_->left_out(table_.self(), &symbols));
    return symbols;
  }

 private:
  TokenizerHandle tokenizer_;
  Extension<SpeechTokenizerTable> table_;
};

}  // namespace fathom::text
