/* Kind `dataset`: indexed items and how to batch them. Samples are opaque to the host: only the dataset reads them.
 * Capabilities: fathom.iterable/1 (items that only come one after another), fathom.batch_plan/1 (batches of its own
 * choice), fathom.lengths/1 (how long an item is, in seconds or tokens), fathom.state/1.
 */
#ifndef FATHOM_ABI_DATASET_H_
#define FATHOM_ABI_DATASET_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_dataset_v1 {
  uint32_t struct_size;
  /* Number of items; -1 for an iterable that does not know. */
  fathom_status (*size)(void* self, int64_t* size);
  /* Loads item `index`; `seed` is the only source of randomness (it depends on the run's seed, the epoch and the index,
     never on the thread). Called from many threads at once. */
  fathom_status (*get)(void* self, int64_t index, uint64_t seed, void** sample);
  void (*free_sample)(void* self, void* sample);
  /* Batches samples in the given order. Called from many threads at once. */
  fathom_status (*collate)(void* self, void* const* samples, size_t count, const fathom_sink* batch);
  /* How long the item is, in any one unit, for bucketing; negative = unknown. Must not load the item. */
  fathom_status (*length_hint)(void* self, int64_t index, double* length);
  fathom_status (*ports)(void* self, fathom_ports* outputs);
} fathom_dataset_v1;

#ifdef __cplusplus
}
#endif
#endif
