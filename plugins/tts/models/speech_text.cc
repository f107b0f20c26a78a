#include "plugins/tts/models/speech_text.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>

#include "fathom/log_level.h"

namespace fathom::tts {
namespace {

// Files that these sections may name, as NeMo registers them.
constexpr std::array<const char*, 5> kFiles = {
    "/text_tokenizer/g2p/phoneme_dict", "/text_tokenizer/g2p/heteronyms", "/text_tokenizer/g2p/model",
    "/text_tokenizer/g2p/apply_to_oov_word/model", "/text_normalizer/whitelist"};

std::string dotted(std::string pointer) {
  pointer.erase(0, 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

}  // namespace

SpeechText::SpeechText(const Json& config, const ModelContext& context, const std::string& path) {
  const std::string here = path.empty() ? "text_tokenizer" : path + ".text_tokenizer";
  if (!config.contains("text_tokenizer") || !config["text_tokenizer"].is_object()) {
    throw Error(Code::kFailed, "the model has no text tokenizer")
        .at(here)
        .expected(
            "a section with _target_, such as nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers."
            "EnglishCharsTokenizer");
  }
  Json sections = {{"text_tokenizer", config["text_tokenizer"]},
                   {"text_normalizer", config.value("text_normalizer", Json(nullptr))}};
  for (const char* file : kFiles) {
    const Json::json_pointer pointer(file);
    if (!sections.contains(pointer)) continue;
    Json& value = sections[pointer];
    if (value.is_null()) {
      sections[pointer.parent_pointer()].erase(pointer.back());
      continue;
    }
    if (!value.is_string()) continue;
    value = context.artifact_path(value.get<std::string>());
    artifacts_.emplace_back(dotted(file), value.get<std::string>());
  }
  tokenizer_ = text::SpeechTokenizerHandle::make(sections["text_tokenizer"], here);
  if (sections["text_normalizer"].is_null()) return;
  normalizer_ = text::TextNormalizerHandle::make(sections["text_normalizer"],
                                                 config.value("text_normalizer_call_kwargs", Json(nullptr)),
                                                 path.empty() ? "text_normalizer" : path + ".text_normalizer");
}

int64_t SpeechText::pad() const {
  const int64_t pad = tokenizer_.special().pad;
  if (pad < 0) {
    throw Error(Code::kFailed, "the text tokenizer has no token for padding")
        .at("text_tokenizer")
        .expected("a tokenizer with <pad>");
  }
  return pad;
}

Values SpeechText::parse(const std::string& written, const Json& options) const {
  const bool normalize = options.value("normalize", true);
  if (normalize && !normalizer_) warn_of_digits(written);
  const std::string given = normalize ? normalizer_.normalize(written) : written;
  const uint64_t before = tokenizer_.left_out();
  const std::vector<int64_t> tokens = tokenizer_.encode(given);
  const uint64_t left_out = tokenizer_.left_out() - before;
  // Spaces and marks alone are no speech.
  const auto special = tokenizer_.special();
  bool speaks = false;
  for (const int64_t token : tokens) {
    const std::string piece = tokenizer_.tokenizer().piece(token);
    const bool is_mark = piece.size() == 1 && std::ispunct(static_cast<unsigned char>(piece[0])) != 0;
    speaks = speaks || (token != special.space && token != special.pad && token != special.silence && !is_mark);
  }
  if (!speaks) {
    throw Error(Code::kBadData, "the text has nothing to speak")
        .seen(given.size() > 80 ? given.substr(0, 80) + "…" : given)
        .expected("letters that the model's tokenizer knows");
  }
  Values parsed = {{"tokens", at::tensor(tokens, at::kLong).unsqueeze(0)}, {"text", given}};
  if (left_out > 0) parsed.add("skipped", json_text(Json{{"symbols without a token", left_out}}));
  return parsed;
}

// A model without text_normalizer leaves "$5" as it is, which its tokenizer may not know: nobody shall wonder at it.
void SpeechText::warn_of_digits(const std::string& text) const {
  const bool digits = std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits || said_digits_->exchange(true)) return;
  log(LogLevel::kWarning, "tts",
      "the model has no text_normalizer, so numbers are not turned into words: what the tokenizer does not know is "
      "left "
      "out. Write them in words, as `fathom tts normalize` does (--no-normalize says that the text is as it should "
      "be)");
}

}  // namespace fathom::tts
