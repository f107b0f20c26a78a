/* Components: one shape for every kind. A plugin registers descriptors; the host creates objects from them. */
#ifndef FATHOM_ABI_COMPONENT_H_
#define FATHOM_ABI_COMPONENT_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_create_args {
  uint32_t struct_size;
  fathom_str config;      /* JSON object: the component's section, resolved and checked, without `_target_`/`name` */
  fathom_str config_path; /* the section's full key ("model.encoder"), for messages */
  fathom_str context;     /* JSON object: what the host tells this kind (see the kind's header); may be empty */
  fathom_str component;   /* the registered name ("asr.ConvASREncoder"), for messages */
  fathom_str plugin;      /* the plugin that provides it, for messages */
} fathom_create_args;

typedef struct fathom_component {
  uint32_t struct_size;
  fathom_kind kind;
  fathom_str name;           /* "asr.ConvASREncoder" */
  const fathom_str* aliases; /* class paths of existing configs: "nemo.collections.asr.modules.ConvASREncoder" */
  size_t alias_count;
  fathom_str doc;    /* what it is, one sentence */
  fathom_str schema; /* JSON: {"options": [{name, type, default, unit, doc, options?}…], "extra": bool, …} */
  fathom_status (*create)(const fathom_create_args* args, void** self);
  void (*destroy)(void* self);
  const void* vtable; /* fathom_module_v1, fathom_optimizer_v1, …, by kind; starts with struct_size */
  /* A capability of an object of this component by id ("fathom.state/1"): a table that starts with struct_size, or null
     where this object has it not. Valid as long as the object. May be null: no capabilities. */
  const void* (*query)(void* self, fathom_str id);
} fathom_component;

/* An object and the descriptor it was made from. Freed with component->destroy(self). */
typedef struct fathom_object {
  const fathom_component* component;
  void* self;
} fathom_object;

#ifdef __cplusplus
}
#endif
#endif
