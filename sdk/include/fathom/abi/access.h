/* Inner tensors that modules hand out without returning them through their ports (fathom/access.h): a host extension
 * for whether they do, and a capability of modules for what they have handed out.
 */
#ifndef FATHOM_ABI_ACCESS_H_
#define FATHOM_ABI_ACCESS_H_

#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the host. By model guid; the empty guid is the default. Any thread. */
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

/* Of a module, for itself and all modules of its plugin below it. The thread that calls the module. */
#define FATHOM_TENSOR_ACCESS_EXTENSION "fathom.tensor_access/1"

typedef struct fathom_tensor_access_v1 {
  uint32_t struct_size;
  /* Emits one list of tensors per name, called "PATH:NAME"; the path is empty for the module itself. */
  fathom_status (*registry)(void* self, const fathom_sink* tensors);
  fathom_status (*reset)(void* self);                     /* forgets everything */
  fathom_status (*forget)(void* self, fathom_str name);   /* forgets one name */
  fathom_status (*set_guid)(void* self, fathom_str guid); /* whose settings hold from now on */
} fathom_tensor_access_v1;

#ifdef __cplusplus
}
#endif
#endif
