#include "core/typing/wiring.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/base/text.h"
#include "core/typing/port_errors.h"

namespace fathom::typing {
namespace {

enum class Direction { kSource, kTarget };

struct End {
  size_t module;
  const WiredPort* port;
};

std::string quoted(const std::string& text) { return "'" + text + "'"; }

std::string module_of(const std::string& end) {
  const size_t dot = end.rfind('.');
  return dot == std::string::npos ? "" : end.substr(0, dot);
}

std::string port_names(const std::vector<WiredPort>& ports) {
  std::vector<std::string> names;
  for (const auto& port : ports) names.push_back(port.optional ? "[" + port.name + "]" : port.name);
  return names.empty() ? "no ports" : join(names, ", ");
}

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

class Checker {
 public:
  explicit Checker(const Wiring& wiring) : wiring_(wiring) {}

  std::vector<Error> run() {
    for (const auto& edge : wiring_.edges) check_edge(edge);
    for (size_t i = 0; i < wiring_.modules.size(); ++i) check_inputs(i);
    check_circles();
    return std::move(errors_);
  }

 private:
  const WiredModule& module(size_t i) const { return wiring_.modules[i]; }

  static Error fault(const WiredEdge& edge, const std::string& what) {
    return Error(Code::kFailed, what).at("wiring: " + edge.from + " -> " + edge.to);
  }
  void add(Error&& error) { errors_.push_back(std::move(error)); }

  std::optional<End> resolve(const WiredEdge& edge, Direction direction) {
    const bool source = direction == Direction::kSource;
    const std::string& text = source ? edge.from : edge.to;
    const size_t dot = text.rfind('.');
    const std::string module_name = dot == std::string::npos ? "" : text.substr(0, dot);
    const std::string port_name = dot == std::string::npos ? text : text.substr(dot + 1);
    const auto found = std::find_if(wiring_.modules.begin(), wiring_.modules.end(),
                                    [&](const WiredModule& m) { return m.name == module_name; });
    if (found == wiring_.modules.end()) {
      std::vector<std::string> known;
      for (const auto& m : wiring_.modules) {
        if (!m.name.empty()) known.push_back(m.name);
      }
      if (module_name.empty()) {
        add(fault(edge, "the model declares no ports of its own")
                .seen(text)
                .expected("MODULE.PORT")
                .next("name the module, or declare the port in the model"));
      } else {
        add(fault(edge, "the model has no module " + quoted(module_name))
                .seen(text)
                .expected(join(known, ", "))
                .candidates(nearest_names(module_name, known))
                .next("correct the name, or make that module"));
      }
      if (!source) {  // most likely meant: then its inputs are not missed as well
        for (const auto& name : nearest_names(module_name, known)) excused_.insert(name);
      }
      return std::nullopt;
    }
    // The model's own inputs are where values start, its outputs where they end.
    const bool wants_outputs = source != module_name.empty();
    const auto& ports = wants_outputs ? found->outputs : found->inputs;
    const auto& others = wants_outputs ? found->inputs : found->outputs;
    for (const auto& port : ports) {
      if (port.name == port_name) return End{static_cast<size_t>(found - wiring_.modules.begin()), &port};
    }
    if (found->open) {
      static const WiredPort any{"", kNoType, false, 0};
      return End{static_cast<size_t>(found - wiring_.modules.begin()), &any};
    }
    if (!source) excused_.insert(found->name);
    const std::string noun = wants_outputs ? "output" : "input";
    for (const auto& port : others) {
      if (port.name != port_name) continue;
      add(fault(edge, quoted(port_name) + " is no " + noun + " of " + title(*found) + " but an " +
                          (wants_outputs ? "input" : "output"))
              .seen(text)
              .expected("one of its " + noun + "s: " + port_names(ports))
              .next(source ? "start the edge where the value comes from" : "end the edge where the value goes to"));
      return std::nullopt;
    }
    std::vector<std::string> known;
    for (const auto& port : ports) known.push_back(port.name);
    add(fault(edge, title(*found) + " has no " + noun + " " + quoted(port_name))
            .seen(text)
            .expected(port_names(ports))
            .candidates(nearest_names(port_name, known))
            .next("name one of its " + noun + "s"));
    return std::nullopt;
  }

  void check_edge(const WiredEdge& edge) {
    const auto from = resolve(edge, Direction::kSource), to = resolve(edge, Direction::kTarget);
    if (to) {
      const auto [earlier, fresh] = fed_.emplace(std::pair(to->module, to->port->name), edge.from);
      if (!fresh) {
        add(fault(edge, "input " + quoted(to->port->name) + " of " + title(module(to->module)) + " is fed twice")
                .seen(earlier->second + " and " + edge.from)
                .expected("one source")
                .next("remove one of the two edges"));
      }
    }
    if (!from || !to) return;
    if (from->module == to->module && !module(from->module).name.empty()) {
      add(fault(edge, title(module(from->module)) + " feeds itself")
              .seen(edge.from + " -> " + edge.to)
              .expected("an output of another module")
              .next("remove the edge"));
      return;
    }
    flows_[from->module].insert(to->module);
    check_types(edge, *from, *to);
  }

  void check_types(const WiredEdge& edge, const End& from, const End& to) {
    const auto mismatch = [&](const std::string& why) {
      return fault(edge, "output " + quoted(from.port->name) + " of " + title(module(from.module)) +
                             " does not fit input " + quoted(to.port->name) + " of " + title(module(to.module)) + " (" +
                             why + ")")
          .seen(type_text(*from.port))
          .expected(type_text(*to.port));
    };
    if (from.port->list_depth != to.port->list_depth && from.port->type != kNoType && to.port->type != kNoType) {
      add(mismatch("lists nested otherwise")
              .next("the one gives " + depth_text(from.port->list_depth) + ", the other takes " +
                    depth_text(to.port->list_depth) + ": stack or split the values between the two"));
      return;
    }
    if (from.port->type == kNoType || to.port->type == kNoType) return;
    const Comparison result = compare(to.port->type, from.port->type);
    if (!accepted(result)) {
      add(mismatch(std::string(comparison_name(result))).next(advice(from, to, result)));
      return;
    }
    const int gives = rank_of(from.port->type), takes = rank_of(to.port->type);
    if (gives >= 0 && takes >= 0 && gives != takes) {
      add(mismatch("another number of dimensions").next("reshape between the two, or declare the axes as they are"));
    }
  }

  std::string advice(const End& from, const End& to, Comparison result) const {
    const NeuralType &declared = type_of(to.port->type), &value = type_of(from.port->type);
    if (result != Comparison::kIncompatible) return type_advice(declared, value, result);
    if (declared.elements.cls == value.elements.cls) {
      return "both carry " + value.elements.cls->name +
             ", but over other axes: reshape between the two, or declare the axes as they are";
    }
    std::vector<std::string> fitting;
    for (size_t i = 0; i < wiring_.modules.size(); ++i) {
      const WiredModule& m = module(i);
      if (i == to.module) continue;
      for (const auto& port : m.name.empty() ? m.inputs : m.outputs) {
        if (port.type != kNoType && port.list_depth == to.port->list_depth &&
            accepted(compare(to.port->type, port.type)))
          fitting.push_back(m.name.empty() ? port.name : m.name + "." + port.name);
      }
    }
    if (fitting.empty()) return "no output of the model fits: convert the value between the two, or use other modules";
    return "outputs that fit: " + join(fitting, ", ");
  }

  static std::string depth_text(uint32_t depth) {
    if (depth == 0) return "single values";
    return depth == 1 ? "lists" : "lists nested " + std::to_string(depth) + " deep";
  }

  void check_inputs(size_t index) {
    const WiredModule& m = module(index);
    if (m.name.empty() || excused_.contains(m.name)) return;  // a model may compute its own outputs
    std::vector<std::string> fed, missing;
    for (const auto& port : m.inputs) {
      if (fed_.contains({index, port.name}))
        fed.push_back(port.name);
      else if (!port.optional)
        missing.push_back(port.name);
    }
    if (fed.empty() || missing.empty()) return;
    add(Error(Code::kFailed, title(m) + ": nothing feeds " + (missing.size() == 1 ? "input " : "inputs ") +
                                 quoted(join(missing, "', '")))
            .at("wiring: " + m.name)
            .seen("edges to " + (fed.empty() ? "none" : join(fed, ", ")))
            .expected("edges to all of " + port_names(m.inputs))
            .next("add an edge from an output, or from a port of the model: PORT -> " + m.name + "." +
                  missing.front()));
  }

  // A circle of modules: found by taking away, again and again, modules that nothing feeds any more.
  void check_circles() {
    std::set<size_t> left;
    for (size_t i = 0; i < wiring_.modules.size(); ++i) {
      if (!module(i).name.empty()) left.insert(i);
    }
    for (bool removed = true; removed;) {
      removed = false;
      for (const size_t candidate : std::vector<size_t>(left.begin(), left.end())) {
        const auto feeds = [&](size_t from, size_t to) { return flows_.contains(from) && flows_[from].contains(to); };
        const bool is_fed = std::any_of(left.begin(), left.end(), [&](size_t o) { return feeds(o, candidate); });
        const bool does_feed = std::any_of(left.begin(), left.end(), [&](size_t o) { return feeds(candidate, o); });
        if (!is_fed || !does_feed) removed = left.erase(candidate) != 0 || removed;
      }
    }
    if (left.empty()) return;
    std::vector<std::string> names, edges;
    for (const size_t i : left) names.push_back(module(i).name);
    for (const auto& edge : wiring_.edges) {
      const auto is_left = [&](const std::string& end) {
        return std::find(names.begin(), names.end(), module_of(end)) != names.end();
      };
      if (is_left(edge.from) && is_left(edge.to)) edges.push_back(edge.from + " -> " + edge.to);
    }
    add(Error(Code::kFailed, "modules feed each other in a circle: " + join(names, ", "))
            .at("wiring")
            .seen(join(edges, ", "))
            .expected("values that flow one way")
            .next("remove an edge between them, or make one module of them"));
  }

  const Wiring& wiring_;
  std::vector<Error> errors_;
  std::map<std::pair<size_t, std::string>, std::string> fed_;
  std::map<size_t, std::set<size_t>> flows_;
  std::set<std::string> excused_;  // modules that an edge to no port of theirs was meant for
};

}  // namespace

std::vector<WiredPort> wired_ports(std::span<const fathom_port> ports) {
  std::vector<WiredPort> out;
  for (const fathom_port& port : ports) {
    const bool optional = port.optional != 0 || (port.type != kNoType && type_of(port.type).optional);
    out.push_back({std::string(port.name.ptr, port.name.len), port.type, optional, port.list_depth});
  }
  return out;
}

std::vector<Error> check_wiring(const Wiring& wiring) { return Checker(wiring).run(); }

std::vector<size_t> flow_order(const Wiring& wiring) {
  std::vector<size_t> order;
  std::vector<bool> placed(wiring.modules.size(), false);
  const auto is_ready = [&](size_t i) {
    return std::none_of(wiring.edges.begin(), wiring.edges.end(), [&](const WiredEdge& edge) {
      if (module_of(edge.to) != wiring.modules[i].name) return false;
      const std::string from = module_of(edge.from);
      for (size_t j = 0; j < wiring.modules.size(); ++j) {
        if (wiring.modules[j].name == from && !from.empty() && !placed[j] && j != i) return true;
      }
      return false;
    });
  };
  while (order.size() < wiring.modules.size()) {
    size_t next = wiring.modules.size();
    for (size_t i = 0; i < wiring.modules.size() && next == wiring.modules.size(); ++i) {
      if (!placed[i] && is_ready(i)) next = i;
    }
    for (size_t i = 0; i < wiring.modules.size() && next == wiring.modules.size(); ++i) {
      if (!placed[i]) next = i;
    }
    placed[next] = true;
    order.push_back(next);
  }
  return order;
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
  for (const size_t i : flow_order(wiring)) {
    const WiredModule& m = wiring.modules[i];
    if (m.name.empty() || m.open) continue;
    out += m.name + "  " + m.component + note(m.name) + "\n";
    size_t width = 0;
    for (const auto* ports : {&m.inputs, &m.outputs}) {
      for (const auto& port : *ports) width = std::max(width, port.name.size() + (port.optional ? 2 : 0));
    }
    const auto line = [&](const char* direction, const WiredPort& port, bool input) {
      const std::string name = port.optional ? "[" + port.name + "]" : port.name;
      const std::string key = m.name + "." + port.name;
      out += std::string("  ") + direction + "  " + name + std::string(width - name.size() + 2, ' ') +
             short_type_text(port) + note(key) + (input ? sources(key) : "") + "\n";
    };
    for (const auto& port : m.inputs) line("in ", port, true);
    for (const auto& port : m.outputs) line("out", port, false);
  }
  return out;
}

}  // namespace fathom::typing
