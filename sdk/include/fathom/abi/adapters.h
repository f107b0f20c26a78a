/* Capability `fathom.adapters/1` of modules: small modules beside trained ones, which alone are trained
 * (fathom/adapter.h). An object answers for all modules below it. One call at a time.
 */
#ifndef FATHOM_ABI_ADAPTERS_H_
#define FATHOM_ABI_ADAPTERS_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_ADAPTERS_EXTENSION "fathom.adapters/1"

typedef struct fathom_adapters_v1 {
  uint32_t struct_size;
  /* `config`: JSON, the adapter's section. */
  fathom_status (*add)(void* self, fathom_str name, fathom_str config);
  /* The names, one write each: enabled ones only, or all. */
  fathom_status (*names)(void* self, int32_t enabled_only, const fathom_text_sink* name);
  /* name.len == 0: all. */
  fathom_status (*set_enabled)(void* self, fathom_str name, int32_t enabled);
  /* Makes the enabled adapters trainable and sets them to training mode; the rest stays as it is. */
  fathom_status (*unfreeze_enabled)(void* self);
} fathom_adapters_v1;

#ifdef __cplusplus
}
#endif
#endif
