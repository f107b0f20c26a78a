// Values of element type parameters: AudioSignal(freq=16000). Small scalars only, compared as Python compares them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fathom::typing {

// None, bool, integer, real or text. None means "not given" and matches everything in a comparison.
using ParamValue = std::variant<std::monostate, bool, int64_t, double, std::string>;

// Sorted by name, names unique.
using Params = std::vector<std::pair<std::string, ParamValue>>;

// Python's ==: numbers by value across bool, int and float (1 == 1.0 == True); text only equals text; None equals None.
bool params_equal(const ParamValue& a, const ParamValue& b);

// Python's repr: None, True, 16000, 16000.0, 'text'.
std::string param_repr(const ParamValue& value);

const ParamValue* find_param(const Params& params, std::string_view name);
// Adds or replaces, keeping the order.
void set_param(Params& params, std::string_view name, ParamValue value);

}  // namespace fathom::typing
