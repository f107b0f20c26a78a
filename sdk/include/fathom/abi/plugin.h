/* The one symbol a plugin exports: `fathom_plugin_entry_v1`, a constant descriptor. No work happens at load time. */
#ifndef FATHOM_ABI_PLUGIN_H_
#define FATHOM_ABI_PLUGIN_H_

#include "fathom/abi/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_PLUGIN_MAGIC 0x4d4f4854u /* "THOM", the first word of every descriptor */
#define FATHOM_PLUGIN_ENTRY_NAME "fathom_plugin_entry_v1"

/* What a plugin uses of libtorch, hence what it must match. */
enum {
  FATHOM_TORCH_NONE = 0,   /* nothing: survives any libtorch */
  FATHOM_TORCH_STABLE = 1, /* LibTorch Stable ABI only: survives a libtorch upgrade */
  FATHOM_TORCH_CXX = 2     /* torch C++ headers: libtorch major.minor and C++ tag must match */
};

typedef struct fathom_registrar {
  uint32_t struct_size;
  void* ctx;
  /* The component must stay valid until the process ends. */
  fathom_status (*add)(void* ctx, const fathom_component* component);
} fathom_registrar;

typedef struct fathom_plugin_entry {
  uint32_t magic;
  uint32_t struct_size;
  uint32_t abi_major, abi_minor;
  fathom_str name, version, licence, vendor, url;
  uint32_t torch_use;          /* FATHOM_TORCH_* */
  fathom_str libtorch_version; /* "2.11.0"; empty for FATHOM_TORCH_NONE */
  fathom_str cxx_tag;          /* "itanium-libstdc++-cxx11"; empty for FATHOM_TORCH_NONE */
  fathom_status (*register_all)(const fathom_host* host, const fathom_registrar* registrar);
  const void* (*query)(fathom_str extension_id); /* null when unknown */
  void (*shutdown)(void);                        /* before the process ends, in reverse order of loading */
} fathom_plugin_entry;

#ifdef __cplusplus
}
#endif
#endif
