/* Kind `metric`: accumulates over batches, computed at the end of an epoch. */
#ifndef FATHOM_ABI_METRIC_H_
#define FATHOM_ABI_METRIC_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_metric_v1 {
  uint32_t struct_size;
  fathom_status (*update)(void* self, const fathom_named_value* values, size_t count);
  /* Emits named FATHOM_VALUE_REAL values. */
  fathom_status (*compute)(void* self, const fathom_sink* results);
  fathom_status (*reset)(void* self);
  /* The sums to add over ranks and to keep in a checkpoint: JSON object of numbers. An empty object from a metric that
     has been updated means that it cannot be reduced: it is refused where several processes run. */
  fathom_status (*sums)(void* self, const fathom_text_sink* json);
  fathom_status (*set_sums)(void* self, fathom_str json);
} fathom_metric_v1;

#ifdef __cplusplus
}
#endif
#endif
