// The processes of this run, as plugins see them: the host extension fathom.distributed/1.
#pragma once

#include "fathom/abi/distributed.h"

namespace fathom {

// A run of one process: rank 0 of 1. Valid until the process ends; any thread.
const fathom_distributed_v1& process_group();

}  // namespace fathom
