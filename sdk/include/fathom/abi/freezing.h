/* Host extension: freezing modules (NeuralModule::freeze and its like), with what was trained before remembered in one
   place for all plugins. Given by the engine. `module` is a torch::nn::Module* that a shared_ptr holds. */
#ifndef FATHOM_ABI_FREEZING_H_
#define FATHOM_ABI_FREEZING_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_FREEZING_EXTENSION "fathom.freezing/1"

typedef struct fathom_freezing_v1 {
  uint32_t struct_size;
  fathom_status (*freeze)(void* module);
  /* partial: back to what was remembered when it was frozen, an error without that; otherwise everything trains. */
  fathom_status (*unfreeze)(void* module, int32_t partial);
} fathom_freezing_v1;

#ifdef __cplusplus
}
#endif
#endif
