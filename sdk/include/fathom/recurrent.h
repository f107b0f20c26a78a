// Modules that go one step at a time with a state of named values ("fathom.recurrent/1"): prediction networks, language
// models, decoders with a cache. A search keeps states, extends them and chooses among them; states are values, so
// going back to an earlier one is fine. Tensors of a state have the hypotheses in their first dimension unless select()
// knows better.
//
//   class Counter final : public fathom::NeuralModule, public fathom::Recurrent {
//     Values initial_state(int64_t batch) override { return {{"count", at::zeros({batch})}}; }
//     StepResult step(const Values& in, const Values& state) override;
//   };
#pragma once

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <vector>

#include "fathom/abi/recurrent.h"
#include "fathom/capability.h"
#include "fathom/values.h"

namespace fathom {

class Recurrent {
 public:
  virtual ~Recurrent() = default;
  struct StepResult {
    Values outputs, state;
  };
  virtual Values initial_state(int64_t batch) = 0;
  virtual StepResult step(const Values& inputs, const Values& state) = 0;
  // The state of hypotheses rows[0], rows[1], …, each any number of times.
  virtual Values select(const Values& state, const std::vector<int64_t>& rows) {
    Values out;
    for (const auto& [name, value] : state) {
      const at::Tensor& tensor = value.tensor();
      out.add(name, tensor.index_select(0, at::tensor(rows, at::kLong).to(tensor.device())));
    }
    return out;
  }
};

template <>
struct Capability<Recurrent> {
  static constexpr std::string_view id = FATHOM_RECURRENT_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_recurrent_v1 table = {
        sizeof(fathom_recurrent_v1),
        [](void* self, int64_t batch, const fathom_sink* state) {
          return guard([&] { emit(state, Get::get(self).initial_state(batch)); });
        },
        [](void* self, const fathom_named_value* inputs, size_t input_count, const fathom_named_value* state,
           size_t state_count, const fathom_sink* outputs, const fathom_sink* next_state) {
          return guard([&] {
            const auto result =
                Get::get(self).step(Values::from_abi(inputs, input_count), Values::from_abi(state, state_count));
            emit(outputs, result.outputs);
            emit(next_state, result.state);
          });
        },
        [](void* self, const fathom_named_value* state, size_t state_count, const int64_t* rows, size_t row_count,
           const fathom_sink* selected) {
          return guard([&] {
            emit(selected, Get::get(self).select(Values::from_abi(state, state_count),
                                                 std::vector<int64_t>(rows, rows + row_count)));
          });
        }};
    return &table;
  }
};

// A recurrent module on the caller's side; the object must live as long. Throws Error(kUnavailable) for another module.
class RecurrentHandle {
 public:
  explicit RecurrentHandle(const fathom_object& object)
      : recurrent_(query<fathom_recurrent_v1>(object, FATHOM_RECURRENT_EXTENSION)) {
    if (!recurrent_)
      throw Error(Code::kUnavailable, "'" + to_string(object.component->name) + "' does not go step by step")
          .expected("a module with " FATHOM_RECURRENT_EXTENSION);
  }
  Values initial_state(int64_t batch) const {
    return collect_values([&](const fathom_sink* out) { return recurrent_->initial_state(self(), batch, out); });
  }
  Recurrent::StepResult step(const Values& inputs, const Values& state) const {
    const AbiValues in(inputs), from(state);
    Recurrent::StepResult result;
    const fathom_sink outputs = values_sink(result.outputs), next = values_sink(result.state);
    check(recurrent_->step(self(), in.data(), in.size(), from.data(), from.size(), &outputs, &next));
    return result;
  }
  Values select(const Values& state, const std::vector<int64_t>& rows) const {
    const AbiValues from(state);
    return collect_values([&](const fathom_sink* out) {
      return recurrent_->select(self(), from.data(), from.size(), rows.data(), rows.size(), out);
    });
  }

 private:
  void* self() const { return recurrent_.self(); }
  Extension<fathom_recurrent_v1> recurrent_;
};

}  // namespace fathom
