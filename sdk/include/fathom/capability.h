// Capabilities: what some objects of a kind can do besides, each an interface that the author's class derives from.
//
//   class Decoder final : public fathom::NeuralModule, public fathom::Recurrent { … };   // "fathom.recurrent/1"
//
// Deriving is all: the component's query() finds the interfaces of a class by itself, and whoever holds the object asks
// for "fathom.recurrent/1". A class may answer for ids of its own with `const void* query(std::string_view id)`, which
// returns a table that starts with struct_size and whose functions take the component's self.
#pragma once

#include <string_view>
#include <type_traits>

#include "fathom/abi/state.h"
#include "fathom/support.h"

namespace fathom {

// The interfaces of the SDK, each in the header of its name.
class Stateful;            // here
class HasProperties;       // module.h
class AdapterHost;         // adapter.h
class AccessMixin;         // access.h
class Recurrent;           // recurrent.h
class Streaming;           // stream.h
class HasVocabulary;       // vocabulary.h
class FineTunable;         // fine_tuning.h
class ManualOptimization;  // manual_optimization.h
class Iterable;            // iterable.h
class BatchPlanner;        // batch_plan.h
class HasLengths;          // lengths.h
class TrainingHooks;       // training_hooks.h
class SpeechSynthesizer;   // synthesis.h
class Vocoder;             // synthesis.h

// Specialised beside each interface: `id`, and `table<Get>()`, whose functions reach the interface by Get::get(self).
template <typename Interface>
struct Capability;

namespace capability_detail {

template <typename... Interfaces>
struct List {};
using Known = List<Stateful, HasProperties, AdapterHost, AccessMixin, Recurrent, Streaming, HasVocabulary, FineTunable,
                   ManualOptimization, Iterable, BatchPlanner, HasLengths, SpeechSynthesizer, Vocoder>;

// From self to the interface, by way of the class T that has it. Storage says how a kind keeps its objects (kind.h).
template <typename Interface, typename T, typename Storage>
struct Get {
  static Interface& get(void* self) { return static_cast<T&>(Storage::get(self)); }
};

template <typename T, typename Storage, typename... Interfaces>
const void* find(std::string_view id, List<Interfaces...>) {
  const void* found = nullptr;
  const auto look = [&]<typename Interface>() {
    if constexpr (std::is_base_of_v<Interface, T>) {
      if (id == Capability<Interface>::id) found = Capability<Interface>::template table<Get<Interface, T, Storage>>();
    }
  };
  (look.template operator()<Interfaces>(), ...);
  return found;
}

}  // namespace capability_detail

// What an object keeps besides its config, so that a checkpoint holds it ("fathom.state/1").
class Stateful {
 public:
  virtual ~Stateful() = default;
  virtual Json save_state() const = 0;             // null: nothing at the moment
  virtual void load_state(const Json& state) = 0;  // what save_state gave, before the first step
};

template <>
struct Capability<Stateful> {
  static constexpr std::string_view id = FATHOM_STATE_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_state_v1 table = {
        sizeof(fathom_state_v1),
        [](void* self, const fathom_text_sink* json) {
          return guard([&] { write_state(json, Get::get(self).save_state()); });
        },
        [](void* self, fathom_str json) {
          return guard([&] { Get::get(self).load_state(parse_json(json, "a component's state")); });
        }};
    return &table;
  }
};

// The caller's side, for any object.
inline bool has_state(const fathom_object& object) {
  return static_cast<bool>(query<fathom_state_v1>(object, FATHOM_STATE_EXTENSION));
}
inline Json save_state(const fathom_object& object) {  // null without the capability
  const auto state = query<fathom_state_v1>(object, FATHOM_STATE_EXTENSION);
  return state ? read_json([&](const fathom_text_sink* sink) { return state->save(state.self(), sink); })
               : Json(nullptr);
}
inline void load_state(const fathom_object& object, const Json& saved) {
  const auto state = query<fathom_state_v1>(object, FATHOM_STATE_EXTENSION);
  if (!state) {
    throw Error(Code::kBadData, "a state was saved for '" + to_string(object.component->name) + "', which keeps none")
        .seen(json_text(saved).substr(0, 80));
  }
  const std::string text = json_text(saved);
  check(state->load(state.self(), to_abi(text)));
}

}  // namespace fathom
