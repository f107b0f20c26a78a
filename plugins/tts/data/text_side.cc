#include "plugins/tts/data/text_side.h"

namespace fathom::tts {
namespace {

// The model's section, with the files that an archive holds where they lie now.
Json model_tokenizer(const Json& context) {
  const Json model = context.is_object() ? context.value("model", Json(nullptr)) : Json(nullptr);
  Json section = model.is_object() ? model.value("text_tokenizer", Json(nullptr)) : Json(nullptr);
  if (!section.is_object()) return nullptr;
  const std::string prefix = "text_tokenizer.";
  const Json artifacts = context.value("artifacts", Json::object());
  for (const auto& [key, path] : artifacts.items()) {
    if (!key.starts_with(prefix)) continue;
    Json* at = &section;
    for (size_t start = prefix.size(); at != nullptr && start <= key.size();) {
      const size_t dot = std::min(key.find('.', start), key.size());
      const std::string part = key.substr(start, dot - start);
      at = at->is_object() && at->contains(part) ? &(*at)[part] : nullptr;
      start = dot + 1;
    }
    if (at != nullptr) *at = path;
  }
  return section;
}

}  // namespace

TextSide text_side_of(const text::SpeechTokenizerHandle& tokenizer, bool training) {
  TextSide out;
  if (const int64_t pad = tokenizer.special().pad; pad >= 0) out.pad = pad;
  out.is_random = training && tokenizer.phoneme_probability().has_value();
  if (out.is_random)
    out.encode = [tokenizer](std::string_view text, uint64_t seed) { return tokenizer.encode(text, seed); };
  else
    out.encode = [tokenizer](std::string_view text, uint64_t) { return tokenizer.encode(text); };
  return out;
}

TextSide text_side_of(const Json& section, const Json& context) {
  const bool own = !section.is_null();
  const Json used = own ? section : model_tokenizer(context);
  if (!used.is_object()) {
    throw Error(Code::kFailed, "the dataset needs a tokenizer, as no model lends it one")
        .at("text_tokenizer")
        .seen(json_text(used))
        .expected("a section {_target_: …}");
  }
  const std::string stage = context.is_object() ? context.value("stage", "train") : "train";
  return text_side_of(text::SpeechTokenizerHandle::make(used, own ? "text_tokenizer" : "model.text_tokenizer"),
                      stage == "train");
}

}  // namespace fathom::tts
