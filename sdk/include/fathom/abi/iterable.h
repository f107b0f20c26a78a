/* Capability `fathom.iterable/1` of datasets whose items only come one after another (a stream of shards, a generator).
 * Such a dataset's size may be -1, and its get is not called. One thread at a time, not always the same one.
 */
#ifndef FATHOM_ABI_ITERABLE_H_
#define FATHOM_ABI_ITERABLE_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_ITERABLE_EXTENSION "fathom.iterable/1"

typedef struct fathom_iterable_v1 {
  uint32_t struct_size;
  /* Begins an epoch, whose items depend on `seed` alone, after its first `skip` items. */
  fathom_status (*start)(void* self, uint64_t seed, int64_t skip);
  /* The next item, to be freed with free_sample; null at the end. */
  fathom_status (*next)(void* self, void** sample);
} fathom_iterable_v1;

#ifdef __cplusplus
}
#endif
#endif
