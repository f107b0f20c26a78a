#include "plugins/nlp/models/word_encoder.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "fathom/model_files.h"
#include "plugins/lib/text/word_piece_tokenizer.h"

namespace fathom::nlp {
namespace {

namespace fs = std::filesystem;
constexpr size_t kLongestConfig = size_t{1} << 20;

std::string key_below(const ModelContext& context, const std::string& key) {
  return context.config_path.empty() ? key : context.config_path + "." + key;
}

Json read_json_file(const std::string& path, const std::string& key) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNoInput, "an encoder's config cannot be read").at(key).seen(path);
  std::string text(kLongestConfig + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const Json json = text.size() > kLongestConfig ? Json(Json::value_t::discarded) : Json::parse(text, nullptr, false);
  if (!json.is_object()) throw Error(Code::kBadData, "an encoder's config is no JSON object").at(path);
  return json;
}

// What a name says of the family, for configs that do not.
std::string family_in(const std::string& name) {
  for (const char* family : {"distilbert", "xlm-roberta", "roberta", "camembert", "albert", "electra"}) {
    if (name.find(family) != std::string::npos) return family;
  }
  return "bert";
}

bool is_folder(const std::string& path) { return !path.empty() && fs::is_regular_file(path + "/config.json"); }

// The weights of `file` into the encoder; `prefix`-less names, heads passed over.
void load_weights(nn::BertEncoder& encoder, const std::string& file) {
  auto parameters = encoder.named_parameters();
  std::set<std::string> missing;
  for (const auto& item : parameters) missing.insert(item.key());
  const Values tensors = load_tensors(file);
  const at::NoGradGuard no_grad;
  for (const auto& [name, value] : tensors) {
    const std::string own = nn::bert_parameter_name(name);
    at::Tensor* parameter = own.empty() ? nullptr : parameters.find(own);
    if (parameter == nullptr) continue;
    if (parameter->sizes() != value.tensor().sizes()) {
      throw Error(Code::kBadData, "a weight has another shape than the encoder's config says")
          .at(file)
          .seen(name + " " + c10::str(value.tensor().sizes()))
          .expected(c10::str(parameter->sizes()));
    }
    parameter->copy_(value.tensor());
    missing.erase(own);
  }
  // Files of heads without a pooler have none: it is drawn.
  for (auto it = missing.begin(); it != missing.end();)
    it = it->starts_with("pooler") ? missing.erase(it) : std::next(it);
  if (!missing.empty()) {
    throw Error(Code::kBadData, "a file of weights lacks some of the encoder's")
        .at(file)
        .seen(std::to_string(missing.size()) + " missing, the first " + *missing.begin());
  }
}

}  // namespace

void TokenizerOptions::describe(OptionSet<TokenizerOptions>& o) {
  using Options = TokenizerOptions;
  o("tokenizer_name", &Options::tokenizer_name, "whose vocabulary it is; null: the language model's");
  o("vocab_file", &Options::vocab_file,
    "a WordPiece vocabulary, a token a line; null: that of the language model's folder");
  o("tokenizer_model", &Options::tokenizer_model, "of SentencePiece, which these models do not take yet: null");
  o("special_tokens", &Options::special_tokens, "more tokens, which are not taken yet: null");
  o("do_lower_case", &Options::do_lower_case, "small letters without accents; null: as the name says (uncased)");
}

void LanguageModelOptions::describe(OptionSet<LanguageModelOptions>& o) {
  using Options = LanguageModelOptions;
  o("pretrained_model_name", &Options::pretrained_model_name,
    "a folder with config.json, vocab.txt and weights, or a name (bert-base-uncased) beside config or config_file");
  o("lm_checkpoint", &Options::lm_checkpoint, "weights of the encoder: .safetensors, .bin, .pt");
  o("config_file", &Options::config_file, "the encoder's config.json");
  o("config", &Options::config, "the same as a section; config_file wins");
  o("nemo_file", &Options::nemo_file, "of Megatron's models: null");
}

WordEncoder::WordEncoder(const Json& config, const ModelContext& context) {
  const auto section = [&](const char* name) {
    return config.value(name, Json(nullptr)).is_object() ? config[name] : Json::object();
  };
  const auto words = parse_options<TokenizerOptions>(section("tokenizer"), key_below(context, "tokenizer"));
  const auto language =
      parse_options<LanguageModelOptions>(section("language_model"), key_below(context, "language_model"));
  const std::string at_words = key_below(context, "tokenizer"), at_language = key_below(context, "language_model");
  const std::string name = language.pretrained_model_name.value_or("");
  const std::string folder = !context.restoring && is_folder(name) ? name : "";
  const auto refuse = [](const std::string& at, const std::string& what, const Json& seen) {
    if (!seen.is_null() && !(seen.is_object() && seen.empty()))
      throw Error(Code::kUnavailable, what).at(at).seen(json_text(seen).substr(0, 80)).expected("null");
  };
  refuse(at_words + ".special_tokens", "more tokens than the vocabulary's are not taken", words.special_tokens);
  refuse(at_language + ".nemo_file", "encoders of Megatron's are not supported", language.nemo_file);

  // The encoder's sizes.
  Json sizes;
  std::string at_sizes = at_language + ".config";
  if (language.config_file) {
    const std::string path = context.artifact_path(*language.config_file);
    sizes = read_json_file(path, at_language + ".config_file");
    artifacts_.emplace_back("language_model.config_file", path);
    at_sizes = path;
  } else if (language.config.is_object()) {
    sizes = language.config;
  } else if (!folder.empty()) {
    sizes = read_json_file(folder + "/config.json", at_language + ".pretrained_model_name");
    artifacts_.emplace_back("language_model.config_file", folder + "/config.json");
    at_sizes = folder + "/config.json";
  } else {
    throw Error(Code::kFailed, "the encoder's sizes are not known")
        .at(at_language + ".pretrained_model_name")
        .seen(name.empty() ? "nothing" : name + ", which is no folder with a config.json")
        .expected("such a folder, or language_model.config, or config_file");
  }
  if (!sizes.contains("model_type")) sizes["model_type"] = family_in(name);

  // The vocabulary.
  const std::string tokenizer_name = words.tokenizer_name.value_or(name);
  const std::string vocabulary = words.vocab_file  ? context.artifact_path(*words.vocab_file)
                                 : !folder.empty() ? folder + "/vocab.txt"
                                                   : "";
  const std::string family =
      family_in(tokenizer_name.empty() ? sizes["model_type"].get<std::string>() : tokenizer_name);
  if (family == "roberta" || family == "camembert" || family == "xlm-roberta" || family == "albert" ||
      (words.tokenizer_model && !words.tokenizer_model->empty())) {
    throw Error(Code::kUnavailable, "only WordPiece vocabularies are taken by these models so far")
        .at(at_words + ".tokenizer_name")
        .seen(tokenizer_name)
        .expected("the name of a BERT, DistilBERT or ELECTRA model");
  }
  if (vocabulary.empty()) {
    throw Error(Code::kFailed, "the tokenizer's vocabulary is missing")
        .at(at_words + ".vocab_file")
        .seen("null")
        .expected("a file with one token a line (vocab.txt)");
  }
  text::WordPieceTokenizer::Config rules;
  rules.do_lower_case = words.do_lower_case.value_or(tokenizer_name.find("uncased") != std::string::npos);
  if (!words.do_lower_case && !folder.empty() && fs::exists(folder + "/tokenizer_config.json")) {
    const Json said = read_json_file(folder + "/tokenizer_config.json", at_words);
    if (said.contains("do_lower_case") && said["do_lower_case"].is_boolean())
      rules.do_lower_case = said["do_lower_case"];
  }
  tokenizer_ = text::WordPieceTokenizer::open(vocabulary, rules);
  artifacts_.emplace_back("tokenizer.vocab_file", vocabulary);
  if (!sizes.contains("vocab_size")) sizes["vocab_size"] = tokenizer_->vocab_size();

  const nn::BertOptions options = nn::BertOptions::read(sizes, at_sizes);
  if (tokenizer_->vocab_size() > options.vocabulary) {
    throw Error(Code::kBadData, "the vocabulary does not fit the encoder's embeddings")
        .at(vocabulary)
        .seen(std::to_string(tokenizer_->vocab_size()) + " tokens")
        .expected("at most vocab_size, " + std::to_string(options.vocabulary));
  }
  encoder_ = std::make_shared<nn::BertEncoder>(options);
  if (context.restoring) return;
  if (!folder.empty() && !language.lm_checkpoint) {
    for (const char* file : {"/model.safetensors", "/pytorch_model.bin"}) {
      if (!fs::exists(folder + file)) continue;
      load_weights(*encoder_, folder + file);
      return;
    }
    throw Error(Code::kNoInput, "the folder of a pretrained model has no weights")
        .at(at_language + ".pretrained_model_name")
        .seen(folder)
        .expected("model.safetensors or pytorch_model.bin in it");
  }
  if (language.lm_checkpoint) load_weights(*encoder_, *language.lm_checkpoint);
}

int64_t WordEncoder::longest() const {
  const nn::BertOptions& options = encoder_->options();
  return options.family == nn::BertFamily::kRoberta ? options.longest - options.pad - 1 : options.longest;
}

}  // namespace fathom::nlp
