#include "plugins/tts/data/text_side.h"

#include "fathom/abi/properties.h"

namespace fathom::tts {

TextSide text_side_of(const TokenizerHandle& tokenizer) {
  TextSide out;
  out.encode = [tokenizer](std::string_view text, uint64_t) { return tokenizer.encode(text); };
  const auto facts = query<fathom_properties_v1>(tokenizer.borrowed(), FATHOM_PROPERTIES_EXTENSION);
  if (!facts) return out;
  const Json properties =
      read_json([&](const fathom_text_sink* sink) { return facts->properties(facts.self(), sink); });
  if (!properties.is_object()) return out;
  if (const Json pad = properties.value("pad", Json(nullptr)); pad.is_number_integer()) out.pad = pad.get<int64_t>();
  const auto random = query<tts_random_tokens_v1>(tokenizer.borrowed(), kRandomTokens);
  if (!random || !properties.value("phoneme_probability", Json(nullptr)).is_number()) return out;
  out.is_random = true;
  out.encode = [tokenizer, random](std::string_view text, uint64_t seed) {
    std::vector<int64_t> ids;
    const fathom_ids_sink sink = {&ids, [](void* ctx, const int64_t* data, size_t count) {
                                    auto& all = *static_cast<std::vector<int64_t>*>(ctx);
                                    all.insert(all.end(), data, data + count);
                                  }};
    check(random->encode(random.self(), to_abi(text), seed, &sink));
    return ids;
  };
  return out;
}

}  // namespace fathom::tts
