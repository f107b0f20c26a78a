// What a dataset knows of its model's text: how it becomes tokens. Uses no torch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lib/text/speech_tokenizer_handle.h"

namespace fathom::tts {

// All functions may be called from many threads at once.
struct TextSide {
  // `seed` decides what is left to chance, where is_random says so.
  std::function<std::vector<int64_t>(std::string_view text, uint64_t seed)> encode;
  std::function<std::string(const std::string& text)> normalize;  // of texts that no line gives normalized; may be none
  std::optional<int64_t> pad;                                     // the token behind shorter texts
  bool is_random = false;  // the same text may become other tokens each time (phoneme_probability)
};

// Of a tokenizer. Nothing is left to chance but in training, and there only by its phoneme_probability.
TextSide text_side_of(const text::SpeechTokenizerHandle& tokenizer, bool training);
// Sections of a dataset itself; null: the model's, as the context of a dataset tells it (fathom/dataset.h).
struct TextSections {
  Json text_tokenizer, text_normalizer, text_normalizer_call_kwargs;
};
// Throws Error (kFailed) where there is no tokenizer.
TextSide text_side_of(const TextSections& sections, const Json& context);

}  // namespace fathom::tts
