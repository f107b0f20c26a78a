/* Host extension: whether modules hand out inner tensors, and how (fathom/access.h). By model guid; the empty guid is
   the default. Any thread. */
#ifndef FATHOM_ABI_ACCESS_H_
#define FATHOM_ABI_ACCESS_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_ACCESS_EXTENSION "fathom.access/1"

typedef struct fathom_access_v1 {
  uint32_t struct_size;
  int32_t (*is_enabled)(fathom_str guid);
  void (*set_enabled)(fathom_str guid, int32_t enabled);
  /* `json`: an object whose keys replace those of the guid's settings. */
  fathom_status (*update_config)(fathom_str guid, fathom_str json);
  /* The guid's settings as JSON, the default ones where it has none. */
  fathom_status (*config)(fathom_str guid, const fathom_text_sink* json);
} fathom_access_v1;

#ifdef __cplusplus
}
#endif
#endif
