/* Capability `fathom.properties/1` of modules: facts that others need to fit to it, as a JSON object ("feat_in",
 * "feat_out", "subsampling_factor", …). Any thread; the same for the life of the object.
 */
#ifndef FATHOM_ABI_PROPERTIES_H_
#define FATHOM_ABI_PROPERTIES_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_PROPERTIES_EXTENSION "fathom.properties/1"

typedef struct fathom_properties_v1 {
  uint32_t struct_size;
  fathom_status (*properties)(void* self, const fathom_text_sink* json);
} fathom_properties_v1;

#ifdef __cplusplus
}
#endif
#endif
