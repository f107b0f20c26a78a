// The process's state of AccessMixin (fathom/access.h): on or off, and the settings, by model guid.
#pragma once

#include <string>

#include "fathom/abi/access.h"
#include "fathom/support.h"

namespace fathom::plugins {

// The host extension "fathom.access/1". Any thread.
const fathom_access_v1* access_table();

// {"default": {…}, GUID: {…}}: every guid that has settings of its own.
Json all_access_settings();
// Back to the state a process starts with.
void reset_access_state();

}  // namespace fathom::plugins
