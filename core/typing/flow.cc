#include "core/typing/flow.h"

#include <utility>

namespace fathom::typing {
namespace {

thread_local FlowRecorder* current_recorder = nullptr;

}  // namespace

FlowRecorder::FlowRecorder(Describe describe)
    : describe_(std::move(describe)), outer_(std::exchange(current_recorder, this)) {}

FlowRecorder::~FlowRecorder() { current_recorder = outer_; }

FlowRecorder* FlowRecorder::current() { return current_recorder; }

void FlowRecorder::add(std::span<const fathom_port> ports, std::span<const fathom_named_value> values) {
  if (ports.empty()) return;
  FlowCall call{ports[0].name.ptr, {}};
  for (const fathom_named_value& value : values) {
    call.values.push_back({std::string(value.name.ptr, value.name.len), value.value.source, describe_(value.value)});
  }
  calls_.push_back(std::move(call));
}

}  // namespace fathom::typing
