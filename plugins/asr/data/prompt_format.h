// How a multi-task model is told what to do: prompts of special tokens, filled from named slots. Formats (NeMo's):
// canary {source_lang, task, target_lang, pnc} and canary2 {decodercontext, emotion, source_lang, target_lang, pnc,
// itn, timestamp, diarize}. Uses no torch; thread-safe after construction.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "fathom/support.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::asr {

using PromptSlots = std::map<std::string, std::string>;

class PromptFormat {
 public:
  using Tokenizer = std::shared_ptr<const text::SubwordTokenizer>;
  PromptFormat() = default;
  // `defaults`: a config's prompt_defaults, [{role, slots}], or null. Errors (kFailed) name config_path.KEY: an unknown
  // format, a role or slot that the format does not have, a value that a slot cannot have.
  PromptFormat(const std::string& name, const Json& defaults, Tokenizer tokenizer, const std::string& config_path);

  const std::string& name() const { return name_; }
  // Those of the user's turn, in the order in which they stand in the prompt.
  std::vector<std::string> slots() const;
  // What the config gives them.
  const PromptSlots& defaults() const { return defaults_; }
  // Those that every line of a training manifest must have; the others have values of their own.
  const std::vector<std::string>& required() const;

  struct Turn {
    std::string role;  // user, assistant; of canary2 user_partial and user_prefix too
    PromptSlots slots;
    std::string language;  // of its text; empty: special tokens
  };
  struct Encoded {
    std::vector<int64_t> context;  // what the model is given
    std::vector<int64_t> answer;   // the assistant's turn, where it is the last
  };
  // Slots have the values that manifests write ("en", "yes", "asr") or the tokens they stand for ("<|en|>"). Errors
  // (kFailed) name the slot: one that is missing, a value that it cannot have, a language that the tokenizer lacks.
  Encoded encode(const std::vector<Turn>& turns) const;

  // The slots of one item: `given` before `fallback` before what the format itself says. A slot that none of them has
  // is missing, and encode() says so. `taskname` is another name of `task`.
  PromptSlots complete(const PromptSlots& given, const PromptSlots& fallback) const;
  // The prompt alone, and prompt and answer ("" for an item without text) in the answer's language.
  Encoded prompt(const PromptSlots& slots) const { return encode({{"user", slots, ""}}); }
  Encoded prompt_and_answer(const PromptSlots& slots, const std::string& answer, const std::string& language) const {
    return encode({{"user", slots, ""}, {"assistant", {{"text", answer}}, language}});
  }

 private:
  struct Definition;
  static const Definition* find(const std::string& name);

  std::string name_;
  const Definition* definition_ = nullptr;
  PromptSlots defaults_;
  Tokenizer tokenizer_;
};

}  // namespace fathom::asr
