/* Kind `accelerator`: devices of one type that models can run on. Any thread. */
#ifndef FATHOM_ABI_ACCELERATOR_H_
#define FATHOM_ABI_ACCELERATOR_H_

#include "fathom/abi/component.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_accelerator_v1 {
  uint32_t struct_size;
  fathom_str (*device_type)(void* self); /* libtorch's name: "cuda" */
  /* 0: none usable here; `reason` then says why. */
  fathom_status (*device_count)(void* self, int32_t* count, const fathom_text_sink* reason);
  /* Facts about one device: JSON {"name", "memory_total", "memory_used" (bytes), …}. May be null. */
  fathom_status (*device_info)(void* self, int32_t index, const fathom_text_sink* json);
  fathom_status (*synchronize)(void* self, int32_t index); /* waits for everything queued on it; may be null */
} fathom_accelerator_v1;

#ifdef __cplusplus
}
#endif
#endif
