/* Capability `fathom.training_hooks/1` of models that act between their steps, as a LightningModule's hooks do. */
#ifndef FATHOM_ABI_TRAINING_HOOKS_H_
#define FATHOM_ABI_TRAINING_HOOKS_H_

#include "fathom/abi/callback.h"
#include "fathom/abi/model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_TRAINING_HOOKS_EXTENSION "fathom.training_hooks/1"

typedef struct fathom_training_hooks_v1 {
  uint32_t struct_size;
  /* `event`: FATHOM_ON_TRAIN_EPOCH_START, FATHOM_ON_AFTER_BACKWARD or FATHOM_ON_TRAIN_EPOCH_END, after the callbacks of
     that event (before those that monitor and save). Others may come: what is not known is left alone. */
  fathom_status (*on_event)(void* self, uint32_t event, const fathom_step* step);
} fathom_training_hooks_v1;

#ifdef __cplusplus
}
#endif
#endif
