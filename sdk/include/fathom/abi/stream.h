/* Capability `fathom.stream/1` of models: inference while the input still comes. A stream is an object of the model's;
 * streams are independent of each other. One call at a time per model unless it says otherwise.
 */
#ifndef FATHOM_ABI_STREAM_H_
#define FATHOM_ABI_STREAM_H_

#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_STREAM_EXTENSION "fathom.stream/1"

typedef struct fathom_stream_v1 {
  uint32_t struct_size;
  /* `options`: JSON object. *stream is closed with close(), also after an error. */
  fathom_status (*open)(void* self, fathom_str options, void** stream);
  /* More input, of any length; results that are new since the last call, if any. */
  fathom_status (*push)(void* self, void* stream, const fathom_named_value* input, size_t count,
                        const fathom_sink* results);
  /* No more input: the results that waited for it. Nothing may be pushed afterwards. */
  fathom_status (*finish)(void* self, void* stream, const fathom_sink* results);
  void (*close)(void* self, void* stream);
  /* Everything the stream keeps, as named values, and a stream that goes on from there. May be null. */
  fathom_status (*save)(void* self, void* stream, const fathom_sink* state);
  fathom_status (*load)(void* self, void* stream, const fathom_named_value* state, size_t count);
} fathom_stream_v1;

#ifdef __cplusplus
}
#endif
#endif
