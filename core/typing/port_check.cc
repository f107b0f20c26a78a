#include "core/typing/port_check.h"

#include <array>

#include "core/base/text.h"
#include "core/typing/port_errors.h"
#include "core/typing/switches.h"

namespace fathom::typing {
namespace {

std::string_view view(fathom_str text) { return {text.ptr, text.len}; }

bool is_optional(const fathom_port& port) {
  return port.optional != 0 || (port.type != kNoType && type_of(port.type).optional);
}

size_t mandatory_count(std::span<const fathom_port> ports) {
  size_t count = 0;
  for (const auto& port : ports) count += is_optional(port) ? 0 : 1;
  return count;
}

// Only a call with fewer values than ports has to look at which ports are optional.
bool count_fits(std::span<const fathom_port> ports, size_t count) {
  return count == ports.size() || (count < ports.size() && count >= mandatory_count(ports));
}

constexpr size_t kNotFound = ~size_t{0};

// Values mostly come in the order of the ports: `hint` is tried first.
size_t find_port(std::span<const fathom_port> ports, std::string_view name, size_t hint) {
  if (hint < ports.size() && view(ports[hint].name) == name) return hint;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (view(ports[i].name) == name) return i;
  }
  return kNotFound;
}

// Which ports were given already. Ports beyond the 64th are compared by name.
class Given {
 public:
  bool add(size_t index, std::span<const fathom_named_value> earlier, std::string_view name) {
    if (index < 64) {
      const uint64_t bit = uint64_t{1} << index;
      const bool fresh = (mask_ & bit) == 0;
      mask_ |= bit;
      return fresh;
    }
    for (const auto& value : earlier) {
      if (view(value.name) == name) return false;
    }
    return true;
  }

 private:
  uint64_t mask_ = 0;
};

struct Call {
  std::string_view owner;
  bool outputs;
  bool semantic;
  bool ignore_collections;
  const Attach* attach;
  bool refuse_none = false;
};

void check_leaf(const Call& call, const fathom_port& port, int declared_rank, const fathom_value& value) {
  if (call.semantic && value.type != kNoType && value.type != port.type && port.type != kNoType) {
    const Comparison result = compare(port.type, value.type);
    if (!accepted(result)) throw semantic_error(call.owner, port, value, result);
  }
  if (call.attach != nullptr) (*call.attach)(value, port.type);
  if (value.rank >= 0 && declared_rank >= 0 && value.rank != declared_rank) {
    throw rank_error(call.owner, call.outputs, port, value.rank);
  }
}

void check_nested(const Call& call, const fathom_port& port, int declared_rank, const fathom_value& value,
                  uint32_t depth) {
  if (value.kind == FATHOM_VALUE_LIST) {
    for (size_t i = 0; i < value.as.list.count; ++i) {
      check_nested(call, port, declared_rank, value.as.list.items[i], depth + 1);
    }
    return;
  }
  if (!call.ignore_collections && depth != port.list_depth) {
    throw depth_error(call.owner, call.outputs, port, depth);
  }
  check_leaf(call, port, declared_rank, value);
}

// A whole input: unlike what lies inside a list, a bare value is not asked for its depth.
void check_input(const Call& call, const fathom_port& port, const fathom_value& value) {
  const int declared_rank = rank_of(port.type);
  if (call.refuse_none && value.kind == FATHOM_VALUE_NONE && !is_optional(port)) throw none_error(call.owner, port);
  if (value.kind != FATHOM_VALUE_LIST) return check_leaf(call, port, declared_rank, value);
  if (call.semantic && value.type != kNoType && value.type != port.type && port.type != kNoType) {
    const Comparison result = compare(port.type, value.type);
    if (!accepted(result)) throw semantic_error(call.owner, port, value, result);
  }
  check_nested(call, port, declared_rank, value, 0);
}

}  // namespace

void check_inputs(std::string_view owner, std::span<const fathom_port> ports,
                  std::span<const fathom_named_value> values, CheckOptions options) {
  if (!typecheck_enabled()) return;
  for (const auto& value : values) {
    if (value.name.len == 0) throw positional_error(owner, ports);
  }
  if (!count_fits(ports, values.size())) {
    throw count_error(owner, false, ports, mandatory_count(ports), values.size(), values);
  }
  const Call call{owner, false, semantic_checks_enabled(), options.ignore_collections, nullptr, options.refuse_none};
  Given given;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string_view name = view(values[i].name);
    const size_t index = find_port(ports, name, i);
    if (index == kNotFound) throw name_error(owner, PortFault::kUnknownName, ports, name);
    if (!given.add(index, values.first(i), name)) throw name_error(owner, PortFault::kDuplicateName, ports, name);
    check_input(call, ports[index], values[i].value);
  }
}

void check_outputs(std::string_view owner, std::span<const fathom_port> ports,
                   std::span<const fathom_named_value> values, CheckOptions options, const Attach* attach) {
  if (!typecheck_enabled()) return;
  if (!count_fits(ports, values.size())) {
    throw count_error(owner, true, ports, mandatory_count(ports), values.size(), values);
  }
  const Call call{owner, true, false, options.ignore_collections, attach};
  Given given;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string_view name = view(values[i].name);
    const size_t index = find_port(ports, name, i);
    if (index == kNotFound) throw name_error(owner, PortFault::kUnknownOutput, ports, name);
    if (!given.add(index, values.first(i), name)) throw name_error(owner, PortFault::kDuplicateName, ports, name);
    check_nested(call, ports[index], rank_of(ports[index].type), values[i].value, 0);
  }
}

void check_returned(std::string_view owner, std::span<const fathom_port> ports, const fathom_value& returned,
                    bool is_tuple, CheckOptions options, const Attach* attach) {
  if (!typecheck_enabled()) return;
  const Call call{owner, true, false, options.ignore_collections, attach};
  const bool is_list = returned.kind == FATHOM_VALUE_LIST;
  const size_t count = is_list ? returned.as.list.count : 1;
  // Python wraps several results into a tuple but leaves a single list as it is: then its length says nothing. Only a
  // tuple of one is surely the wrapper.
  const bool one_list_port = ports.size() == 1 && ports[0].list_depth > 0 && !(is_list && is_tuple && count == 1);
  if (!one_list_port && !count_fits(ports, count)) {
    throw count_error(owner, true, ports, mandatory_count(ports), count, {});
  }
  if (!is_list) {
    check_leaf(call, ports[0], rank_of(ports[0].type), returned);
  } else if (one_list_port) {
    check_nested(call, ports[0], rank_of(ports[0].type), returned, 0);
  } else {
    for (size_t i = 0; i < count; ++i) {
      check_nested(call, ports[i], rank_of(ports[i].type), returned.as.list.items[i], 0);
    }
  }
}

void check_typed_owner(std::string_view owner, bool declares_types, bool declares_old_ports) {
  if (!typecheck_enabled()) return;
  if (!declares_types) throw owner_error(owner, PortFault::kNotTyping);
  if (declares_old_ports) throw owner_error(owner, PortFault::kOldPorts);
}

}  // namespace fathom::typing
