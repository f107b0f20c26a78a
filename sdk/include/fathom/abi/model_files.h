/* Host extension `fathom.model_files/1`: models and tensors in files, for plugins that need another model (the
 * recogniser that judges a synthesis) or keep tensors beside their data. Offered wherever models are computed. Any
 * thread.
 */
#ifndef FATHOM_ABI_MODEL_FILES_H_
#define FATHOM_ABI_MODEL_FILES_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_MODEL_FILES_EXTENSION "fathom.model_files/1"

typedef struct fathom_model_files_v1 {
  uint32_t struct_size;
  /* A model of kind model, in evaluation mode, of a .nemo file or the name of a pretrained model that is on this
   *machine. restored is given back with release(), which frees the model too. */
  fathom_status (*restore)(fathom_str path, fathom_object* model, void** restored);
  void (*release)(void* restored);
  /* The tensors of a file of torch.save, numpy.save or safetensors, told apart by content; nothing in it is ever run. A
     file of one tensor gives one of the name "". Others than tensors, and lists and dicts of them, are FATHOM_BAD_DATA.
   */
  fathom_status (*load_tensors)(fathom_str path, const fathom_sink* tensors);
  /* A safetensors file, written in place of `path` in one step. */
  fathom_status (*save_tensors)(fathom_str path, const fathom_named_value* tensors, size_t count);
} fathom_model_files_v1;

#ifdef __cplusplus
}
#endif
#endif
