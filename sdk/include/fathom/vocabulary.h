// Models whose vocabulary can change ("fathom.vocabulary/1"): what depends on it (a decoder, a loss) is rebuilt with
// new weights, and the model's config changes. NeMo's change_vocabulary.
#pragma once

#include <vector>

#include "fathom/abi/vocabulary.h"
#include "fathom/capability.h"
#include "fathom/options.h"

namespace fathom {

class HasVocabulary {
 public:
  virtual ~HasVocabulary() = default;
  // The labels of a character model.
  virtual void change_vocabulary(const std::vector<std::string>& labels) {
    throw Error(Code::kUnavailable, "this model has no labels to change")
        .seen(std::to_string(labels.size()) + " labels")
        .next("give it another tokenizer");
  }
  // `section` is that of another tokenizer: {"dir": …, "type": "bpe"}.
  virtual void replace_tokenizer(const Json& section) {
    throw Error(Code::kUnavailable, "this model has no tokenizer to replace")
        .seen(json_text(section))
        .next("give it other labels");
  }
};

template <>
struct Capability<HasVocabulary> {
  static constexpr std::string_view id = FATHOM_VOCABULARY_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_vocabulary_v1 table = {
        sizeof(fathom_vocabulary_v1),
        [](void* self, fathom_str labels) {
          return guard([&] {
            const Json list = parse_json(labels, "a vocabulary");
            Get::get(self).change_vocabulary(options_detail::read<std::vector<std::string>>(list, "vocabulary"));
          });
        },
        [](void* self, fathom_str section) {
          return guard([&] { Get::get(self).replace_tokenizer(parse_json(section, "a tokenizer's section")); });
        }};
    return &table;
  }
};

// The caller's side. Throws Error(kUnavailable) for a model without the capability.
inline Extension<fathom_vocabulary_v1> vocabulary_of(const fathom_object& model) {
  auto found = query<fathom_vocabulary_v1>(model, FATHOM_VOCABULARY_EXTENSION);
  if (!found)
    throw Error(Code::kUnavailable, "the vocabulary of '" + to_string(model.component->name) + "' cannot be changed");
  return found;
}
inline void change_vocabulary(const fathom_object& model, const std::vector<std::string>& labels) {
  const auto vocabulary = vocabulary_of(model);
  const std::string text = json_text(Json(labels));
  check(vocabulary->change_vocabulary(vocabulary.self(), to_abi(text)));
}
inline void replace_tokenizer(const fathom_object& model, const Json& section) {
  const auto vocabulary = vocabulary_of(model);
  if (vocabulary->replace_tokenizer == nullptr)
    throw Error(Code::kUnavailable, "'" + to_string(model.component->name) + "' has no tokenizer to replace");
  const std::string text = json_text(section);
  check(vocabulary->replace_tokenizer(vocabulary.self(), to_abi(text)));
}

}  // namespace fathom
