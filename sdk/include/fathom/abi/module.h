/* Kind `module` and kind `loss`: a typed forward. */
#ifndef FATHOM_ABI_MODULE_H_
#define FATHOM_ABI_MODULE_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_module_v1 {
  uint32_t struct_size;
  /* Ports of this object (they may depend on its options). Borrowed, valid as long as the object. */
  fathom_status (*ports)(void* self, fathom_ports* inputs, fathom_ports* outputs);
  /* One typed call by port names. Checks names, counts, ranks and types unless switched off. Any thread, but one call
     at a time per object. */
  fathom_status (*forward)(void* self, const fathom_named_value* inputs, size_t count, const fathom_sink* outputs);
  /* std::shared_ptr<torch::nn::Module>*, owned by the object; null from a plugin that does not use torch's C++.
     Only between binaries whose libtorch major.minor and C++ tag agree (the loader has made sure). */
  void* (*torch_module)(void* self);
  /* Example inputs for tracing, export and summaries; may be null. */
  fathom_status (*input_example)(void* self, const fathom_sink* inputs);
} fathom_module_v1;

#ifdef __cplusplus
}
#endif
#endif
