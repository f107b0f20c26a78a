#include "plugins/asr/data/subword_tokenizer_components.h"

#include "plugins/asr/data/model_tokenizer.h"
#include "plugins/lib/text/aggregate_tokenizer.h"
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

void CanaryTokenizerComponent::Options::describe(OptionSet<Options>& o) {
  o("tokenizers", &Options::tokenizers,
    "{LANGUAGE: {dir, type}, …}, spl_tokens among them; null in a model's section, which has them as langs");
}

CanaryTokenizerComponent::CanaryTokenizerComponent(const Options& options)
    : SubwordTokenizerComponent([&] {
        const Json section = {{"type", "agg"},
                              {"langs", options.tokenizers},
                              {"custom_tokenizer", {{"_target_", "asr.CanaryTokenizer"}}}};
        return ModelTokenizer::read(section, "tokenizers").tokenizer();
      }()) {}

void CanaryBPEComponent::Options::describe(OptionSet<Options>& o) {
  o("model_path", &Options::model_path, "a SentencePiece model; null in a model's section, which has its own");
}

CanaryBPEComponent::CanaryBPEComponent(const Options& options)
    : SubwordTokenizerComponent([&] {
        if (!options.model_path)
          throw Error(Code::kFailed, "a tokenizer needs its SentencePiece model").at("model_path").seen("null");
        return std::make_shared<const text::CanaryBPETokenizer>(text::SentencePieceTokenizer::open(*options.model_path),
                                                                *options.model_path);
      }()) {}

}  // namespace fathom::asr
