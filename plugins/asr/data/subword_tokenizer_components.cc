#include "plugins/asr/data/subword_tokenizer_components.h"

#include "plugins/lib/text/sentencepiece_tokenizer.h"
#include "plugins/lib/text/word_piece_tokenizer.h"

namespace fathom::asr {
namespace {

std::shared_ptr<const text::SubwordTokenizer> open_word_piece(const WordPieceComponent::Options& options) {
  const std::string name = options.pretrained_model_name.value_or("bert-base-cased");
  if (!name.starts_with("bert-")) {
    throw Error(Code::kUnavailable, "only BERT's tokenizers can be made from a vocabulary file")
        .at("pretrained_model_name")
        .seen(name)
        .expected("bert-base-cased or bert-base-uncased");
  }
  text::WordPieceTokenizer::Config config;
  config.do_lower_case = options.do_lower_case.value_or(name.find("uncased") != std::string::npos);
  return text::WordPieceTokenizer::open(options.vocab_file, config);
}

}  // namespace

void SentencePieceComponent::Options::describe(OptionSet<Options>& o) {
  o.required("model_path", &Options::model_path, "a SentencePiece model (tokenizer.model)");
}

SentencePieceComponent::SentencePieceComponent(const Options& options)
    : SubwordTokenizerComponent(text::SentencePieceTokenizer::open(options.model_path)) {}

void WordPieceComponent::Options::describe(OptionSet<Options>& o) {
  o.required("vocab_file", &Options::vocab_file, "file with one token a line (vocab.txt)");
  o("pretrained_model_name", &Options::pretrained_model_name, "BERT's name, which says whether case counts");
  o("do_lower_case", &Options::do_lower_case, "lower case without accents; null: as the name says");
}

WordPieceComponent::WordPieceComponent(const Options& options) : SubwordTokenizerComponent(open_word_piece(options)) {}

}  // namespace fathom::asr
