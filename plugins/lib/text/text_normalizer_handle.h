// A text normaliser of any plugin, held through the boundary. One is a component of kind `tokenizer` whose pieces are
// characters: what it encodes are those of the text as it is spoken, so that decoding them gives that text. A plugin
// adds its own (for another language, say) by registering such a tokenizer. Header-only; no torch; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fathom/tokenizer.h"

namespace fathom::text {

class TextNormalizerHandle {
 public:
  TextNormalizerHandle() = default;
  // `section`: a text_normalizer section with its _target_; `call_kwargs`: NeMo's text_normalizer_call_kwargs, which
  // may say verbose, punct_pre_process and punct_post_process (punctuation always stays as it is written) and no more.
  // Throws what making it throws, and kFailed at `path`; but a normaliser that is known and cannot be had here (another
  // language's) is refused only when a text needs it: a model restores without.
  static TextNormalizerHandle make(const Json& section, const Json& call_kwargs, const std::string& path) {
    if (call_kwargs.is_object()) {
      for (const auto& [key, value] : call_kwargs.items()) {
        if (key == "verbose" || key == "punct_pre_process" || key == "punct_post_process") continue;
        throw Error(Code::kFailed, "a text normaliser is not called with this")
            .at(path + "_call_kwargs." + key)
            .seen(json_text(value))
            .expected("verbose, punct_pre_process, punct_post_process");
      }
    }
    TextNormalizerHandle out;
    try {
      out.tokenizer_ = make_tokenizer(section, path);
    } catch (const Error& error) {
      if (error.code() != Code::kUnavailable) throw;
      out.refusal_ = error;
    }
    return out;
  }
  explicit operator bool() const { return static_cast<bool>(tokenizer_) || refusal_; }
  // Throws the refusal for a text with figures; one without is taken as it is.
  std::string normalize(std::string_view text) const {
    if (tokenizer_) return tokenizer_.decode(tokenizer_.encode(text));
    if (refusal_ && text.find_first_of("0123456789") != std::string_view::npos) throw Error(*refusal_);
    return std::string(text);
  }

 private:
  TokenizerHandle tokenizer_;
  std::optional<Error> refusal_;
};

}  // namespace fathom::text
