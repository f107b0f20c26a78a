/* Capability `fathom.manual_optimization/1` of models that step their optimizers themselves (Lightning's
 * automatic_optimization = False): several optimizers, or an order of their own, as in a GAN. Their training step uses
 * fathom_step's backward, optimizer_step, zero_grad, toggle, clip_gradients and scheduler_step.
 */
#ifndef FATHOM_ABI_MANUAL_OPTIMIZATION_H_
#define FATHOM_ABI_MANUAL_OPTIMIZATION_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_MANUAL_OPTIMIZATION_EXTENSION "fathom.manual_optimization/1"

typedef struct fathom_manual_optimization_v1 {
  uint32_t struct_size;
  /* The optimizers, in the order of their indices: JSON [{"modules": ["generator"], "section": {…}, "config_path":
     "model.optim"}…]. `modules` are paths of modules of the model, whose parameters are the optimizer's; `section` is
     as model.optim, with `sched` in it. */
  fathom_status (*optimizers)(void* self, const fathom_text_sink* json);
} fathom_manual_optimization_v1;

#ifdef __cplusplus
}
#endif
#endif
