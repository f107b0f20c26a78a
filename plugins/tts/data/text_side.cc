#include "plugins/tts/data/text_side.h"

#include "plugins/lib/text/text_normalizer_handle.h"

namespace fathom::tts {
namespace {

// The model's section `name`, with the files that an archive holds where they lie now.
Json model_section(const Json& context, const std::string& name) {
  const Json model = context.is_object() ? context.value("model", Json(nullptr)) : Json(nullptr);
  Json section = model.is_object() ? model.value(name, Json(nullptr)) : Json(nullptr);
  if (!section.is_object()) return nullptr;
  const std::string prefix = name + ".";
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

TextSide text_side_of(const TextSections& sections, const Json& context) {
  const bool own = !sections.text_tokenizer.is_null();
  const Json used = own ? sections.text_tokenizer : model_section(context, "text_tokenizer");
  if (!used.is_object()) {
    throw Error(Code::kFailed, "the dataset needs a tokenizer, as no model lends it one")
        .at("text_tokenizer")
        .seen(json_text(used))
        .expected("a section {_target_: …}");
  }
  const std::string stage = context.is_object() ? context.value("stage", "train") : "train";
  TextSide out = text_side_of(text::SpeechTokenizerHandle::make(used, own ? "text_tokenizer" : "model.text_tokenizer"),
                              stage == "train");
  const bool own_rules = !sections.text_normalizer.is_null();
  const Json rules = own_rules ? sections.text_normalizer : model_section(context, "text_normalizer");
  if (rules.is_null()) return out;
  const Json call_kwargs =
      own_rules ? sections.text_normalizer_call_kwargs : model_section(context, "text_normalizer_call_kwargs");
  const auto normalizer =
      text::TextNormalizerHandle::make(rules, call_kwargs, own_rules ? "text_normalizer" : "model.text_normalizer");
  out.normalize = [normalizer](const std::string& text) { return normalizer.normalize(text); };
  return out;
}

}  // namespace fathom::tts
