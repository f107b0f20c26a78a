/* Capability `fathom.state/1`: what an object keeps besides its config, as JSON, so that a checkpoint holds it and a
 * resumed run goes on with the same bits. Of models, datasets, schedulers, loggers and callbacks. Training thread only.
 */
#ifndef FATHOM_ABI_STATE_H_
#define FATHOM_ABI_STATE_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_STATE_EXTENSION "fathom.state/1"

typedef struct fathom_state_v1 {
  uint32_t struct_size;
  fathom_status (*save)(void* self, const fathom_text_sink* json); /* writes nothing: no state at the moment */
  fathom_status (*load)(void* self, fathom_str json);              /* what save wrote, before the first step */
} fathom_state_v1;

#ifdef __cplusplus
}
#endif
#endif
