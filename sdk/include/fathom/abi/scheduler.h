/* Kind `scheduler`: learning rates from the step. Uses no torch. One thread. Its state is the capability
 * fathom.state/1.
 *
 * Context given to create: {"max_steps": int or null, "base_lrs": [..], "optimizer": {option: value of group 0}}.
 */
#ifndef FATHOM_ABI_SCHEDULER_H_
#define FATHOM_ABI_SCHEDULER_H_

#include "fathom/abi/component.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_schedule_step {
  uint32_t struct_size;
  int64_t step;           /* steps taken so far: 0 at construction (PyTorch's last_epoch) */
  const double* base_lrs; /* the optimizer's initial rates, one per group */
  const double* lrs;      /* the rates in force */
  size_t group_count;
  const double* monitor; /* the monitored metric, for schedulers that ask for one; else null */
} fathom_schedule_step;

typedef struct fathom_scheduler_v1 {
  uint32_t struct_size;
  /* Writes group_count rates. Called once with step 0 before training, then after every optimizer step (or epoch). */
  fathom_status (*rates)(void* self, const fathom_schedule_step* at, double* lrs);
  /* Also writes another hyper-parameter per group that a schedule cycles (CyclicLR's and OneCycleLR's momentum):
   *name stays empty when there is none. May be null. */
  fathom_status (*second_option)(void* self, const fathom_schedule_step* at, fathom_str* name, double* values);
  /* "step" or "epoch": when the host calls it by default. */
  fathom_str (*interval)(void* self);
  /* Nonzero when it needs a monitored metric (ReduceLROnPlateau). */
  int32_t (*needs_monitor)(void* self);
} fathom_scheduler_v1;

#ifdef __cplusplus
}
#endif
#endif
