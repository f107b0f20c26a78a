// How the modules of a model are wired: each edge leads from an output port to an input port. Recorded from the values
// that flow (core/training/model_wiring.h), shown to people, and compared with what other data would bring.
//
//   Wiring w{.modules = {{"encoder", "asr.ConvASREncoder of plugin 'asr'", inputs, outputs}, …},
//            .edges = {{"preprocessor.processed_signal", "encoder.audio_signal"}, …}};
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/typing/neural_type.h"
#include "fathom/abi/value.h"
#include "fathom/error.h"

namespace fathom::typing {

struct WiredPort {
  std::string name;
  TypeId type = kNoType;
  bool optional = false;
  uint32_t list_depth = 0;
  std::string shape;  // of what was seen to pass: "[1, 64, 101]"; empty where nothing was
};

// A module of the model. The one with the empty name is the model itself: its inputs are sources, its outputs targets.
struct WiredModule {
  std::string name;       // as edges name it: "encoder"
  std::string component;  // for messages: "asr.ConvASREncoder of plugin 'asr'"
  std::vector<WiredPort> inputs, outputs;
};

struct WiredEdge {
  std::string from, to;  // "MODULE.PORT", or "PORT" of the model itself
};

struct Wiring {
  std::vector<WiredModule> modules;  // in the order they were called
  std::vector<WiredEdge> edges;
};

std::vector<WiredPort> wired_ports(std::span<const fathom_port> ports);

// Edges whose two ports do not fit as they must in a call (port_check.h): another type, lists of another depth, another
// number of dimensions. An edge to or from a port that no module has is passed over.
std::vector<Error> check_edges(const Wiring& wiring);

// The modules, each with its inputs (and what feeds them) and outputs, one line a port. `notes` gives text to print
// behind a module's name, such as counts.
std::string wiring_text(const Wiring& wiring, const std::vector<std::pair<std::string, std::string>>& notes = {});

}  // namespace fathom::typing
