// The `tokenizer` section of a model's config, as NeMo's ASRBPEMixin reads it: {dir, type: bpe | wpe}, where the folder
// holds tokenizer.model, vocab.txt and tokenizer.vocab (bpe, SentencePiece) or vocab.txt (wpe, WordPiece); in a .nemo,
// the artifacts model_path, vocab_path and spe_tokenizer_vocab stand for these. Of several languages: {type: agg,
// langs: {LANGUAGE: {dir, type}, …}}. custom_tokenizer: {_target_: …CanaryTokenizer (agg) or …CanaryBPETokenizer
// (bpe)}. Uses no torch.
#pragma once

#include <memory>

#include "fathom/support.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::asr {

class ModelTokenizer {
 public:
  ModelTokenizer() = default;  // none
  explicit operator bool() const { return tokenizer_ != nullptr; }

  // `restore_dir` is where the files of a .nemo lie ("" outside one); `config_path` is the section's. Errors name the
  // key: kFailed for a section that does not say what is needed, kUnavailable for a custom_tokenizer of another class,
  // kNoInput and kBadData for files.
  static ModelTokenizer read(const Json& section, const std::string& config_path, const std::string& restore_dir = {});

  const std::shared_ptr<const text::SubwordTokenizer>& tokenizer() const { return tokenizer_; }
  // The section with the paths of its files as they are to be kept: artifacts of a .nemo keep their names.
  const Json& section() const { return section_; }
  // Files that belong into a .nemo: key below the section -> path on disk.
  const std::vector<std::pair<std::string, std::string>>& files() const { return files_; }

 private:
  struct Reader;
  static ModelTokenizer read_languages(const Json& section, const std::string& config_path,
                                       const std::string& restore_dir);
  std::shared_ptr<const text::SubwordTokenizer> tokenizer_;
  Json section_;
  std::vector<std::pair<std::string, std::string>> files_;
};

}  // namespace fathom::asr
