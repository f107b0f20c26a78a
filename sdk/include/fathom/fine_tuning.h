// Models that a run on their restored weights may change beyond these ("fathom.fine_tuning/1"): the run's config is
// above that of the file, and may ask for other labels or another tokenizer.
#pragma once

#include "fathom/abi/fine_tuning.h"
#include "fathom/capability.h"

namespace fathom {

class FineTunable {
 public:
  virtual ~FineTunable() = default;
  // Once, when the weights are there and before the first step: does what the model's config asks for, and takes the
  // keys that asked out of it. `config_path` is that of the section ("model"), for messages.
  virtual void start_fine_tuning(const std::string& config_path) = 0;
};

template <>
struct Capability<FineTunable> {
  static constexpr std::string_view id = FATHOM_FINE_TUNING_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_fine_tuning_v1 table = {
        sizeof(fathom_fine_tuning_v1), [](void* self, fathom_str config_path) {
          return guard([&] { Get::get(self).start_fine_tuning(to_string(config_path)); });
        }};
    return &table;
  }
};

// The caller's side. A model without the capability needs no change.
inline void start_fine_tuning(const fathom_object& model, const std::string& config_path) {
  if (const auto tuned = query<fathom_fine_tuning_v1>(model, FATHOM_FINE_TUNING_EXTENSION))
    check(tuned->start(tuned.self(), to_abi(config_path)));
}

}  // namespace fathom
