/* Kind `resolver`: a function for ${name:args} in configs. Its registered name is the resolver's name. Thread-safe. */
#ifndef FATHOM_ABI_RESOLVER_H_
#define FATHOM_ABI_RESOLVER_H_

#include "fathom/abi/component.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_resolver_v1 {
  uint32_t struct_size;
  /* `arguments`: JSON array; the result is one JSON value. */
  fathom_status (*call)(void* self, fathom_str arguments, const fathom_text_sink* result);
} fathom_resolver_v1;

#ifdef __cplusplus
}
#endif
#endif
