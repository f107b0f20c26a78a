/* Host extension `fathom.distributed/1`: the processes of one run. There with the engine, also for a single process.
 * Every function but rank and world_size is called by all processes together, in the same order; training thread only.
 */
#ifndef FATHOM_ABI_DISTRIBUTED_H_
#define FATHOM_ABI_DISTRIBUTED_H_

#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_DISTRIBUTED_EXTENSION "fathom.distributed/1"

enum { FATHOM_REDUCE_SUM = 0, FATHOM_REDUCE_MEAN = 1, FATHOM_REDUCE_MIN = 2, FATHOM_REDUCE_MAX = 3 };

typedef struct fathom_distributed_v1 {
  uint32_t struct_size;
  int32_t (*rank)(void);       /* 0 … world_size - 1 */
  int32_t (*world_size)(void); /* 1: alone */
  fathom_status (*barrier)(void);
  /* In place; every process gets the same result. `op`: FATHOM_REDUCE_*. */
  fathom_status (*all_reduce_numbers)(double* numbers, size_t count, uint32_t op);
  fathom_status (*all_reduce_tensor)(fathom_tensor tensor, uint32_t op);
} fathom_distributed_v1;

#ifdef __cplusplus
}
#endif
#endif
