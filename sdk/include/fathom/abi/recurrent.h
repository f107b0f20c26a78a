/* Capability `fathom.recurrent/1` of modules: one step at a time with a state of named values, for searches that extend
 * and choose hypotheses (the prediction network of a transducer, a language model, a decoder with a cache).
 * States are values: a search may keep several and go back to one. One call at a time.
 */
#ifndef FATHOM_ABI_RECURRENT_H_
#define FATHOM_ABI_RECURRENT_H_

#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_RECURRENT_EXTENSION "fathom.recurrent/1"

typedef struct fathom_recurrent_v1 {
  uint32_t struct_size;
  /* The state of `batch` new hypotheses. */
  fathom_status (*initial_state)(void* self, int64_t batch, const fathom_sink* state);
  /* One step of all hypotheses: outputs, and the state after it. */
  fathom_status (*step)(void* self, const fathom_named_value* inputs, size_t input_count,
                        const fathom_named_value* state, size_t state_count, const fathom_sink* outputs,
                        const fathom_sink* next_state);
  /* The state of hypotheses rows[0], rows[1], …, each any number of times. */
  fathom_status (*select)(void* self, const fathom_named_value* state, size_t state_count, const int64_t* rows,
                          size_t row_count, const fathom_sink* selected);
} fathom_recurrent_v1;

#ifdef __cplusplus
}
#endif
#endif
