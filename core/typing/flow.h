// Watching typed calls as they happen: which values entered and left a component, and which output port each came from
// (value_source.h). A model's wiring is read off such a recording (core/training/model_wiring.h).
//
//   FlowRecorder recorder(describe);
//   … typed calls of this thread …
//   for (const FlowCall& call : recorder.calls()) …
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fathom/abi/value.h"

namespace fathom::typing {

struct FlowValue {
  std::string port;
  uint32_t source = 0;  // the output port it came from; 0: not told
  std::string shape;    // as `describe` put it
};

// Values that entered a component, or left it.
struct FlowCall {
  const void*
      ports;  // where the first port's name is kept: tells components apart, and their inputs from their outputs
  std::vector<FlowValue> values;
};

// Notes the typed calls of the thread that made it, until it is destroyed. One inside another takes over meanwhile.
class FlowRecorder {
 public:
  using Describe = std::function<std::string(const fathom_value&)>;
  explicit FlowRecorder(Describe describe);
  ~FlowRecorder();
  FlowRecorder(const FlowRecorder&) = delete;
  FlowRecorder& operator=(const FlowRecorder&) = delete;

  const std::vector<FlowCall>& calls() const { return calls_; }
  // Whether a call was refused by its ports.
  bool refused() const { return refused_; }

  // For who checks typed calls (host_table.cc). Null while nobody watches this thread.
  static FlowRecorder* current();
  void add(std::span<const fathom_port> ports, std::span<const fathom_named_value> values);
  void refuse() { refused_ = true; }

 private:
  Describe describe_;
  std::vector<FlowCall> calls_;
  bool refused_ = false;
  FlowRecorder* outer_;
};

}  // namespace fathom::typing
