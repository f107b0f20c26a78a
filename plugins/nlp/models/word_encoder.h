// What models of words are built on: the sections `tokenizer` and `language_model` of NeMo's NLP models as a tokenizer
// and an encoder of the BERT family.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fathom/model.h"
#include "plugins/lib/nn/bert_encoder.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::nlp {

struct TokenizerOptions {
  std::optional<std::string> tokenizer_name, vocab_file, tokenizer_model;
  Json special_tokens = nullptr;
  std::optional<bool> do_lower_case;
  static void describe(OptionSet<TokenizerOptions>& o);
};

struct LanguageModelOptions {
  std::optional<std::string> pretrained_model_name, lm_checkpoint, config_file;
  Json config = nullptr, nemo_file = nullptr;
  static void describe(OptionSet<LanguageModelOptions>& o);
};

// pretrained_model_name is a folder as the transformers library writes one (config.json, vocab.txt, model.safetensors
// or pytorch_model.bin), or only a name, which tells the family and whether case counts; then config_file or config
// give the sizes, and weights are drawn. config_file wins over config, and both over the folder's. A restored model
// reads its archive's files and no folder.
class WordEncoder {
 public:
  WordEncoder() = default;
  // `config`: the model's section. Throws Error (kFailed, kUnavailable, kNoInput, kBadData) at the keys.
  WordEncoder(const Json& config, const ModelContext& context);

  const std::shared_ptr<nn::BertEncoder>& encoder() const { return encoder_; }
  const text::SubwordTokenizer& tokenizer() const { return *tokenizer_; }
  std::shared_ptr<const text::SubwordTokenizer> shared_tokenizer() const { return tokenizer_; }
  int64_t width() const { return encoder_->options().width; }
  // The longest sequence that its positions hold, with [CLS] and [SEP].
  int64_t longest() const;
  const std::vector<std::pair<std::string, std::string>>& artifacts() const { return artifacts_; }

 private:
  std::shared_ptr<nn::BertEncoder> encoder_;
  std::shared_ptr<const text::SubwordTokenizer> tokenizer_;
  std::vector<std::pair<std::string, std::string>> artifacts_;
};

}  // namespace fathom::nlp
