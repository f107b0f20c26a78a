/* Capability `fathom.lengths/1` of datasets that know how long an item is, and in what unit, without loading it. Units
 * that mean something to the program: "seconds" (of audio; max_seconds fills batches by it, progress counts it) and
 * "tokens" (max_tokens). Called from many threads at once.
 */
#ifndef FATHOM_ABI_LENGTHS_H_
#define FATHOM_ABI_LENGTHS_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_LENGTHS_EXTENSION "fathom.lengths/1"

typedef struct fathom_lengths_v1 {
  uint32_t struct_size;
  void (*units)(void* self, const fathom_text_sink* unit); /* one write a unit */
  /* `unit`: one of units(). Negative: not known of this item. */
  fathom_status (*length)(void* self, int64_t index, fathom_str unit, double* length);
} fathom_lengths_v1;

#ifdef __cplusplus
}
#endif
#endif
