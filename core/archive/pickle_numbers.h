// Numbers and bytes as pickles spell them. Internal to pickle_reader. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/archive/pickle_value.h"

namespace fathom::checkpoint {

// An integer in two's complement, little endian, as decimal digits. `bytes` must not be empty.
std::string decimal_of(std::string_view bytes);

// A numpy scalar: its type code ("f8", "i4", "b1") and its bytes. Null for a type that is no number of up to 8 bytes.
std::optional<PickleValue> numpy_number(std::string_view code, std::string bytes, bool big_endian);

// The bytes that Python's str.encode("latin1") gives. Error(kBadData) for a character beyond latin-1.
std::string latin1(const std::string& text);

}  // namespace fathom::checkpoint
