// For tests of refusals: what a call throws, as users read it; empty when it throws nothing.
#pragma once

#include <string>

#include "fathom/error.h"

namespace fathom {

template <typename Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace fathom
