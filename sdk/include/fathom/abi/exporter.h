/* Kind `exporter`: writes a model in a form that other programs run. One call at a time. */
#ifndef FATHOM_ABI_EXPORTER_H_
#define FATHOM_ABI_EXPORTER_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_exporter_v1 {
  uint32_t struct_size;
  /* What files of this form are called by default: ".onnx". */
  fathom_str (*extension)(void* self);
  /* Writes `model` (an object of kind model or module) to `path`, atomically; emits the path of each file written. */
  fathom_status (*write)(void* self, const fathom_object* model, fathom_str path, const fathom_sink* files);
} fathom_exporter_v1;

#ifdef __cplusplus
}
#endif
#endif
