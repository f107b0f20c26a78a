// The errors of a typed call in words. Not for use outside core/typing: kept apart from the checks, which never get
// here while all is well.
#pragma once

#include "core/typing/port_check.h"

namespace fathom::typing {

PortError positional_error(std::string_view owner, std::span<const fathom_port> ports);
PortError count_error(std::string_view owner, bool outputs, std::span<const fathom_port> ports, size_t mandatory,
                      size_t count, std::span<const fathom_named_value> values);
PortError name_error(std::string_view owner, PortFault fault, std::span<const fathom_port> ports,
                     std::string_view name);
PortError semantic_error(std::string_view owner, const fathom_port& port, const fathom_value& value, Comparison result);
PortError rank_error(std::string_view owner, bool outputs, const fathom_port& port, int rank);
PortError depth_error(std::string_view owner, bool outputs, const fathom_port& port, uint32_t depth);
PortError none_error(std::string_view owner, const fathom_port& port);
PortError declaration_error(std::string_view port, const std::string& seen);
PortError owner_error(std::string_view owner, PortFault fault);

// What to do about a value whose type was refused.
std::string type_advice(const NeuralType& declared, const NeuralType& value, Comparison result);

}  // namespace fathom::typing
