// Recorded tokenizers and character parsers of NeMo: nemo_models/tokenizers (3.0.0, a folder each) and
// nemo_models_v1/tokenizers (1.23.0, a file of lines each), run by the code of plugins/lib/text.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "core/base/file.h"
#include "fathom/error.h"
#include "plugins/lib/text/char_parser.h"
#include "plugins/lib/text/char_tokenizer.h"
#include "plugins/lib/text/sentencepiece_tokenizer.h"
#include "plugins/lib/text/speech_locales.h"
#include "plugins/lib/text/speech_tokenizer.h"
#include "plugins/lib/text/word_piece_tokenizer.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;

Outcome run_char_tokenizer(const Case& c) {
  const text::CharTokenizer tokenizer(c.folder + "/vocab.txt");
  if (tokenizer.vocab_size() != c.body["vocab_size"].get<int64_t>())
    return fail(fmt::format("vocab_size: got {}", tokenizer.vocab_size()));
  for (const auto& [name, token] : std::initializer_list<std::pair<const char*, const char*>>{
           {"pad_id", "<PAD>"}, {"unk_id", "<UNK>"}, {"bos_id", "<BOS>"}, {"eos_id", "<EOS>"}}) {
    if (tokenizer.token_to_id(token) != c.body["ids_of"][name].get<int64_t>())
      return fail(fmt::format("{}: got {}", name, tokenizer.token_to_id(token)));
  }
  for (const auto& row : c.body["rows"]) {
    const std::string text = row["text"];
    const auto ids = tokenizer.text_to_ids(text);
    if (ids != row["ids"].get<std::vector<int64_t>>())
      return fail(fmt::format("ids of '{}': expected {}, got {}", text, json_text(row["ids"]), json_text(json(ids))));
    if (tokenizer.text_to_tokens(text) != row["tokens"].get<std::vector<std::string>>())
      return fail(fmt::format("tokens of '{}' differ", text));
    if (tokenizer.ids_to_text(ids) != row["decoded"].get<std::string>())
      return fail(fmt::format("decoded '{}': got '{}'", text, tokenizer.ids_to_text(ids)));
  }
  return pass();
}

Outcome run_parser(const Case& c) {
  text::CharParser::Config config;
  config.labels = c.body["labels"].get<std::vector<std::string>>();
  config.language = text::CharParser::language_of(c.body["name"]);
  const text::CharParser parser(std::move(config));
  size_t wrong = 0;
  std::string first;
  for (const auto& row : c.body["rows"]) {
    const std::string text = row["text"];
    const auto parsed = parser.parse(text);
    const bool same = row["ids"].is_null() ? !parsed : parsed && parsed->ids == row["ids"].get<std::vector<int64_t>>();
    if (same) continue;
    if (wrong++ == 0)
      first = fmt::format("'{}': expected {}, got {}", text, json_text(row["ids"]),
                          parsed ? json_text(json(parsed->ids)) : "null");
  }
  return wrong == 0 ? pass()
                    : fail(fmt::format("{} of {} texts differ, first: {}", wrong, c.body["rows"].size(), first));
}

// NeMo's EnglishCharsTokenizer.
Outcome run_speech_chars(const Case& c) {
  text::CharsSpeechTokenizer::Config config;
  config.chars = text::locale_letters("en-US", text::LetterCase::kLower);
  config.punctuation = text::common_punctuation();
  config.cleaning = text::TextCleaning::kEnglishLower;
  const json& params = c.body["params"];
  config.punct = params["punct"];
  config.apostrophe = params["apostrophe"];
  config.pad_with_space = params["pad_with_space"];
  const text::CharsSpeechTokenizer tokenizer(std::move(config));
  if (json(tokenizer.tokens()) != c.body["tokens"])
    return fail("tokens differ: " + json_text(json(tokenizer.tokens())));
  if (tokenizer.special().pad != c.body["pad"].get<int64_t>())
    return fail(fmt::format("pad: got {}", tokenizer.special().pad));
  for (const auto& row : c.body["rows"]) {
    const std::string text = row["text"];
    const auto ids = tokenizer.encode(text);
    if (json(ids) != row["ids"])
      return fail(fmt::format("ids of '{}': expected {}, got {}", text, json_text(row["ids"]), json_text(json(ids))));
    if (tokenizer.decode(ids) != row["decoded"].get<std::string>())
      return fail(fmt::format("decoded '{}': got '{}'", text, tokenizer.decode(ids)));
  }
  return pass();
}

// --- subwords --------------------------------------------------------------------------------------------------------

// What one text should become; a key that the record lacks is not compared.
struct ExpectedText {
  std::string text;
  json ids, tokens, decoded;
};

std::string text_difference(const text::SubwordTokenizer& tokenizer, const ExpectedText& expected) {
  const auto ids = tokenizer.text_to_ids(expected.text);
  if (json(ids) != expected.ids)
    return fmt::format("ids of '{}': expected {}, got {}", expected.text, json_text(expected.ids),
                       json_text(json(ids)));
  const json tokens = tokenizer.text_to_tokens(expected.text);
  if (tokens != expected.tokens)
    return fmt::format("tokens of '{}': expected {}, got {}", expected.text, json_text(expected.tokens),
                       json_text(tokens));
  const json decoded = tokenizer.ids_to_text(ids);
  if (decoded != expected.decoded)
    return fmt::format("'{}' decoded: expected {}, got {}", expected.text, json_text(expected.decoded),
                       json_text(decoded));
  return "";
}

Outcome run_subwords(const Case& c, const text::SubwordTokenizer& tokenizer) {
  if (tokenizer.vocab_size() != c.body["vocab_size"].get<int64_t>())
    return fail(
        fmt::format("vocab_size: expected {}, got {}", json_text(c.body["vocab_size"]), tokenizer.vocab_size()));
  const text::SpecialIds ids = tokenizer.special_ids();
  for (const auto& [name, id] : std::initializer_list<std::pair<const char*, int64_t>>{
           {"unk_id", ids.unk}, {"bos_id", ids.bos}, {"eos_id", ids.eos}, {"pad_id", ids.pad}}) {
    if (id != c.body["ids_of"][name].get<int64_t>())
      return fail(fmt::format("{}: expected {}, got {}", name, json_text(c.body["ids_of"][name]), id));
  }
  size_t wrong = 0;
  std::string first;
  for (const auto& row : c.body["rows"]) {
    const std::string difference = text_difference(tokenizer, {row["text"], row["ids"], row["tokens"], row["decoded"]});
    if (!difference.empty() && wrong++ == 0) first = difference;
  }
  return wrong == 0 ? pass()
                    : fail(fmt::format("{} of {} texts differ, first: {}", wrong, c.body["rows"].size(), first));
}

Outcome run_folder(const Case& c) {
  const std::string kind = c.body.value("kind", std::string());
  if (kind == "char") return run_char_tokenizer(c);
  if (kind == "char_parser") return run_parser(c);
  if (kind == "tts_english_chars") return run_speech_chars(c);
  if (kind == "sentencepiece")
    return run_subwords(c, *text::SentencePieceTokenizer::open(c.folder + "/tokenizer.model"));
  if (kind == "wordpiece") return run_subwords(c, *text::WordPieceTokenizer::open(c.folder + "/vocab.txt"));
  return skip("not supported yet: a tokenizer of kind " + kind);
}

// --- a file of lines, whose name says which tokenizer
// ------------------------------------------------------------------

std::shared_ptr<const text::SubwordTokenizer> make_recorded(const std::string& folder, const std::string& name) {
  if (name.starts_with("spe_")) return text::SentencePieceTokenizer::open(folder + "/" + name + ".model");
  if (!name.starts_with("wordpiece_")) return nullptr;
  const json info = parse_lenient_json(read_file(folder + "/" + name + ".info.json"));
  text::WordPieceTokenizer::Config config;
  config.do_lower_case = info.at("do_lower_case");
  return text::WordPieceTokenizer::open(
      folder + "/" + name.substr(std::string_view("wordpiece_").size()) + ".vocab.txt", config);
}

Outcome run_line(const Case& c) {
  static std::map<std::string, std::shared_ptr<const text::SubwordTokenizer>> made;
  const std::string name = c.suite.substr(c.suite.rfind('/') + 1);
  const auto [entry, is_new] = made.try_emplace(c.folder + "/" + name);
  if (is_new) entry->second = make_recorded(c.folder, name);
  if (!entry->second) return skip("not supported yet: the tokenizer of " + name);
  const json& body = c.body;
  if (body.contains("basic")) {
    const auto words =
        dynamic_cast<const text::WordPieceTokenizer&>(*entry->second).basic_words(body["text"].get<std::string>());
    if (json(words) != body["basic"])
      return fail(fmt::format("words: expected {}, got {}", json_text(body["basic"]), json_text(json(words))));
  }
  const std::string difference = text_difference(
      *entry->second, {body["text"], body["ids"], body.contains("pieces") ? body["pieces"] : body["tokens"],
                       body.contains("decoded") ? body["decoded"] : body["ids_to_text"]});
  return difference.empty() ? pass() : fail(difference);
}

Outcome located(Outcome (*run)(const Case&), const Case& c) {
  try {
    return run(c);
  } catch (const Error& error) {
    return fail(fmt::format("expected no error, got: {}", error.what()));
  }
}

}  // namespace

void add_tokenizer_suites(std::vector<Suite>& suites) {
  suites.push_back({"nemo_models/tokenizers", [](const Case& c) { return located(run_folder, c); }});
  suites.push_back({"nemo_models_v1/tokenizers", [](const Case& c) { return located(run_line, c); }});
}

}  // namespace fathom::conformance
