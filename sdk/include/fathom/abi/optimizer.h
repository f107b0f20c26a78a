/* Kind `optimizer`. One thread. The host owns parameters and gradients and passes both, so that an optimizer needs no
 * autograd header. State keeps PyTorch's names and shapes: it goes into a checkpoint as `state` and `param_groups`.
 */
#ifndef FATHOM_ABI_OPTIMIZER_H_
#define FATHOM_ABI_OPTIMIZER_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_parameter {
  fathom_str name; /* full name in the model, for messages and patterns */
  fathom_tensor tensor;
} fathom_parameter;
FATHOM_ARRAY(fathom_parameters, fathom_parameter);

/* Receives optimizer state: of parameter `index` (in order of addition), one key. */
typedef struct fathom_state_sink {
  void* ctx;
  fathom_status (*emit)(void* ctx, int64_t parameter, const fathom_named_value* value);
} fathom_state_sink;

typedef struct fathom_optimizer_v1 {
  uint32_t struct_size;
  /* Adds a parameter group; `options` (JSON object) overrides the options given at creation for this group. */
  fathom_status (*add_group)(void* self, const fathom_parameters* parameters, fathom_str options);
  /* One update. gradients[i] belongs to the i-th parameter in order of addition; null = no gradient, skipped. */
  fathom_status (*step)(void* self, const fathom_tensor* gradients, size_t count);
  fathom_status (*group_count)(void* self, size_t* count);
  /* Numeric hyper-parameters of a group by PyTorch's name ("lr", "momentum", "betas[0]"). Unknown names fail. */
  fathom_status (*get_option)(void* self, size_t group, fathom_str name, double* value);
  fathom_status (*set_option)(void* self, size_t group, fathom_str name, double value);
  /* All hyper-parameters of a group as JSON, as PyTorch's param_groups entry without `params`. */
  fathom_status (*group_options)(void* self, size_t group, const fathom_text_sink* json);
  fathom_status (*save_state)(void* self, const fathom_state_sink* state);
  /* Loads one value; tensors are copied. Unknown keys and other shapes fail. */
  fathom_status (*load_state)(void* self, int64_t parameter, const fathom_named_value* value);
  /* Takes over a group's hyper-parameters from JSON as group_options() writes it, or PyTorch's param_groups entry. */
  fathom_status (*load_group)(void* self, size_t group, fathom_str options);
} fathom_optimizer_v1;

#ifdef __cplusplus
}
#endif
#endif
