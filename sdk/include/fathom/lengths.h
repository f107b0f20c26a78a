// Datasets that know how long an item is, and in what unit, without loading it ("fathom.lengths/1"): max_seconds and
// max_tokens fill batches by it, and the progress line counts seconds of audio.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fathom/abi/lengths.h"
#include "fathom/capability.h"

namespace fathom {

class HasLengths {
 public:
  virtual ~HasLengths() = default;
  // "seconds" of audio, "tokens" of text, or others that only the dataset's own users know.
  virtual std::vector<std::string> length_units() const = 0;
  // In one of these units; negative: not known of this item. Many threads at once.
  virtual double length(int64_t index, std::string_view unit) const = 0;
};

template <>
struct Capability<HasLengths> {
  static constexpr std::string_view id = FATHOM_LENGTHS_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_lengths_v1 table = {
        sizeof(fathom_lengths_v1),
        [](void* self, const fathom_text_sink* unit) {
          for (const std::string& name : Get::get(self).length_units()) unit->write(unit->ctx, to_abi(name));
        },
        [](void* self, int64_t index, fathom_str unit, double* length) {
          return guard([&] { *length = Get::get(self).length(index, to_view(unit)); });
        }};
    return &table;
  }
};

}  // namespace fathom
