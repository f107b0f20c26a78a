// What a dataset knows of its model's text: how it becomes tokens. Uses no torch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fathom/tokenizer.h"

namespace fathom::tts {

// All functions may be called from many threads at once.
struct TextSide {
  // `seed` decides what is left to chance, where is_random says so.
  std::function<std::vector<int64_t>(std::string_view text, uint64_t seed)> encode;
  std::function<std::string(const std::string& text)> normalize;  // of texts that no line gives normalized; may be none
  std::optional<int64_t> pad;                                     // the token behind shorter texts
  bool is_random = false;  // the same text may become other tokens each time (phoneme_probability)
};

// Of a tokenizer component: pad is its property "pad" (fathom.properties/1), where it tells. A tokenizer whose property
// "phoneme_probability" is a number and that has the capability tts.random_tokens/1 is random.
TextSide text_side_of(const TokenizerHandle& tokenizer);

// Capability "tts.random_tokens/1" of tokenizers.
constexpr std::string_view kRandomTokens = "tts.random_tokens/1";
struct tts_random_tokens_v1 {
  uint32_t struct_size;
  fathom_status (*encode)(void* self, fathom_str text, uint64_t seed, const fathom_ids_sink* ids);
};

}  // namespace fathom::tts
