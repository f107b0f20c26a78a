/* Capability `fathom.fine_tuning/1` of models that a run on their restored weights may change beyond these: other
 * labels, another tokenizer. Training thread, once, before the first step.
 */
#ifndef FATHOM_ABI_FINE_TUNING_H_
#define FATHOM_ABI_FINE_TUNING_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_FINE_TUNING_EXTENSION "fathom.fine_tuning/1"

typedef struct fathom_fine_tuning_v1 {
  uint32_t struct_size;
  /* The weights are those of the file, and the model's config is that of the file with the run's above it. Does what
   * the config asks for, and takes the keys that asked out of it. `config_path`: of the section, for messages. */
  fathom_status (*start)(void* self, fathom_str config_path);
} fathom_fine_tuning_v1;

#ifdef __cplusplus
}
#endif
#endif
