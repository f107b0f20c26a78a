#include "core/typing/wiring.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/typing/port_errors.h"

namespace fathom::typing {
namespace {

struct End {
  const WiredModule* module;
  const WiredPort* port;
};

std::string quoted(const std::string& text) { return "'" + text + "'"; }

// "encoder (asr.ConvASREncoder of plugin 'asr')", "the model".
std::string title(const WiredModule& module) {
  const std::string name = module.name.empty() ? "the model" : module.name;
  return module.component.empty() ? name : name + " (" + module.component + ")";
}

std::string type_text(const WiredPort& port) {
  std::string text = port.type == kNoType ? "any type" : type_of(port.type).text();
  for (uint32_t i = 0; i < port.list_depth; ++i) text = "[" + text + "]";
  return text;
}

// "SpectrogramType (batch, dimension, time)": for tables, where the full form is too long.
std::string short_type_text(const WiredPort& port) {
  if (port.type == kNoType) return "any type";
  const std::string text = type_of(port.type).text();  // NeuralType(axis=AXES, element_type=ELEMENTS[, optional=True])
  constexpr std::string_view kAxes = "axis=", kElements = ", element_type=";
  const size_t axes = text.find(kAxes) + kAxes.size(), elements = text.find(kElements);
  size_t end = text.find(", optional=", elements);
  if (end == std::string::npos) end = text.size() - 1;
  const std::string axes_text = text.substr(axes, elements - axes);
  std::string out = text.substr(elements + kElements.size(), end - elements - kElements.size()) +
                    (axes_text == "None" ? "" : " " + axes_text);
  for (uint32_t i = 0; i < port.list_depth; ++i) out = "[" + out + "]";
  return out;
}

std::string depth_text(uint32_t depth) {
  if (depth == 0) return "single values";
  return depth == 1 ? "lists" : "lists nested " + std::to_string(depth) + " deep";
}

// The model's own inputs are where values start, its outputs where they end.
const std::vector<WiredPort>& sources_of(const WiredModule& module) {
  return module.name.empty() ? module.inputs : module.outputs;
}
const std::vector<WiredPort>& targets_of(const WiredModule& module) {
  return module.name.empty() ? module.outputs : module.inputs;
}

std::optional<End> find_end(const Wiring& wiring, const std::string& text, auto&& ports_of) {
  const size_t dot = text.rfind('.');
  const std::string module_name = dot == std::string::npos ? "" : text.substr(0, dot);
  const std::string port_name = dot == std::string::npos ? text : text.substr(dot + 1);
  for (const WiredModule& module : wiring.modules) {
    if (module.name != module_name) continue;
    for (const WiredPort& port : ports_of(module)) {
      if (port.name == port_name) return End{&module, &port};
    }
  }
  return std::nullopt;
}

std::string advice(const Wiring& wiring, const End& from, const End& to, Comparison result) {
  const NeuralType &declared = type_of(to.port->type), &value = type_of(from.port->type);
  if (result != Comparison::kIncompatible) return type_advice(declared, value, result);
  if (declared.elements.cls == value.elements.cls) {
    return "both carry " + value.elements.cls->name +
           ", but over other axes: reshape between the two, or declare the axes as they are";
  }
  std::vector<std::string> fitting;
  for (const WiredModule& module : wiring.modules) {
    if (&module == to.module) continue;
    for (const WiredPort& port : sources_of(module)) {
      if (port.type != kNoType && port.list_depth == to.port->list_depth && accepted(compare(to.port->type, port.type)))
        fitting.push_back(module.name.empty() ? port.name : module.name + "." + port.name);
    }
  }
  if (fitting.empty()) return "no output of the model fits: convert the value between the two, or use other modules";
  return "outputs that fit: " + join(fitting, ", ");
}

std::optional<Error> edge_fault(const Wiring& wiring, const WiredEdge& edge, const End& from, const End& to) {
  const WiredPort &gives = *from.port, &takes = *to.port;
  if (gives.type == kNoType || takes.type == kNoType) return std::nullopt;
  const auto mismatch = [&](std::string_view why, const std::string& next) {
    return Error(Code::kFailed, "output " + quoted(gives.name) + " of " + title(*from.module) + " does not fit input " +
                                    quoted(takes.name) + " of " + title(*to.module) + " (" + std::string(why) + ")")
        .at("wiring: " + edge.from + " -> " + edge.to)
        .seen(type_text(gives))
        .expected(type_text(takes))
        .next(next);
  };
  if (gives.list_depth != takes.list_depth) {
    return mismatch("lists nested otherwise", "the one gives " + depth_text(gives.list_depth) + ", the other takes " +
                                                  depth_text(takes.list_depth) +
                                                  ": stack or split the values between the two");
  }
  if (const Comparison result = compare(takes.type, gives.type); !accepted(result))
    return mismatch(comparison_name(result), advice(wiring, from, to, result));
  const int given = rank_of(gives.type), taken = rank_of(takes.type);
  if (given >= 0 && taken >= 0 && given != taken)
    return mismatch("another number of dimensions", "reshape between the two, or declare the axes as they are");
  return std::nullopt;
}

}  // namespace

std::vector<WiredPort> wired_ports(std::span<const fathom_port> ports) {
  std::vector<WiredPort> out;
  for (const fathom_port& port : ports) {
    const bool optional = port.optional != 0 || (port.type != kNoType && type_of(port.type).optional);
    out.push_back({std::string(port.name.ptr, port.name.len), port.type, optional, port.list_depth, {}});
  }
  return out;
}

std::vector<Error> check_edges(const Wiring& wiring) {
  std::vector<Error> errors;
  for (const WiredEdge& edge : wiring.edges) {
    const auto from = find_end(wiring, edge.from, sources_of), to = find_end(wiring, edge.to, targets_of);
    if (!from || !to) continue;
    if (auto fault = edge_fault(wiring, edge, *from, *to)) errors.push_back(std::move(*fault));
  }
  return errors;
}

std::string wiring_text(const Wiring& wiring, const std::vector<std::pair<std::string, std::string>>& notes) {
  const auto note = [&](const std::string& key) {
    for (const auto& [at, text] : notes) {
      if (at == key) return "  " + text;
    }
    return std::string();
  };
  const auto sources = [&](const std::string& to) {
    std::vector<std::string> from;
    for (const auto& edge : wiring.edges) {
      if (edge.to == to) from.push_back(edge.from);
    }
    return from.empty() ? std::string() : "  <- " + join(from, ", ");
  };
  std::string out;
  for (const WiredModule& m : wiring.modules) {
    if (m.name.empty() || (m.inputs.empty() && m.outputs.empty())) continue;
    out += m.name + "  " + m.component + note(m.name) + "\n";
    size_t width = 0;
    for (const auto* ports : {&m.inputs, &m.outputs}) {
      for (const auto& port : *ports) width = std::max(width, port.name.size() + (port.optional ? 2 : 0));
    }
    const auto line = [&](const char* direction, const WiredPort& port, bool input) {
      const std::string name = port.optional ? "[" + port.name + "]" : port.name;
      const std::string key = m.name + "." + port.name;
      out += std::string("  ") + direction + "  " + name + std::string(width - name.size() + 2, ' ') +
             short_type_text(port) + (port.shape.empty() ? "" : "  " + port.shape) + (input ? sources(key) : "") + "\n";
    };
    for (const auto& port : m.inputs) line("in ", port, true);
    for (const auto& port : m.outputs) line("out", port, false);
  }
  return out;
}

}  // namespace fathom::typing
