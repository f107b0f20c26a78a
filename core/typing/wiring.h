// How the modules of a model are wired, checked before any data is read: each edge leads from an output port to an
// input port, and the types on both sides must fit as they must in a call (port_check.h).
//
//   Wiring w{.modules = {{"encoder", "asr.ConvASREncoder of plugin 'asr'", inputs, outputs}, …},
//            .edges = {{"preprocessor.processed_signal", "encoder.audio_signal"}, …}};
//   for (const Error& error : check_wiring(w)) …
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
};

// A module of the model. The one with the empty name is the model itself: its inputs are sources, its outputs targets.
struct WiredModule {
  std::string name;       // as edges name it: "encoder"
  std::string component;  // for messages: "asr.ConvASREncoder of plugin 'asr'"
  std::vector<WiredPort> inputs, outputs;
  bool open = false;  // has whatever ports are asked of it, of any type: the batch, before its dataset is known
};

struct WiredEdge {
  std::string from, to;  // "MODULE.PORT", or "PORT" of the model itself
};

struct Wiring {
  std::vector<WiredModule> modules;
  std::vector<WiredEdge> edges;
};

std::vector<WiredPort> wired_ports(std::span<const fathom_port> ports);

// Everything that is wrong, in the order of the edges, then what concerns whole modules:
//   an end that names no module or no port (with the nearest names), or a port of the wrong direction;
//   types that do not fit, lists of another depth;
//   an input fed twice; a mandatory input that nothing feeds though others of that module are fed (a module without any
//   edge is the model's own business); modules that feed each other in a circle.
std::vector<Error> check_wiring(const Wiring& wiring);

// The modules in the order the values flow, each with its inputs (and what feeds them) and outputs; one line a port.
// `notes` gives text to print behind a module's name or a port ("MODULE", "MODULE.PORT"), such as counts and shapes.
std::string wiring_text(const Wiring& wiring, const std::vector<std::pair<std::string, std::string>>& notes = {});

// Indices of the modules, producers first. Modules in a circle come in the order given.
std::vector<size_t> flow_order(const Wiring& wiring);

}  // namespace fathom::typing
