// How important a message is. On its own, so that the program's log and the authoring layer share it.
#pragma once

#include "fathom/abi/base.h"

namespace fathom {

enum class LogLevel : int32_t {
  kDebug = FATHOM_LOG_DEBUG,
  kInfo = FATHOM_LOG_INFO,
  kWarning = FATHOM_LOG_WARNING,
  kError = FATHOM_LOG_ERROR
};

}  // namespace fathom
