/* Host extension: switching the checks of typed calls off for the calling thread (fathom/typecheck.h). */
#ifndef FATHOM_ABI_TYPECHECK_H_
#define FATHOM_ABI_TYPECHECK_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_TYPECHECK_EXTENSION "fathom.typecheck/1"

/* 0 = off, 1 = on, -1 = as the process has it. */
typedef struct fathom_typecheck_v1 {
  uint32_t struct_size;
  void (*get)(int32_t* checks, int32_t* semantic_checks);
  void (*set)(int32_t checks, int32_t semantic_checks);
} fathom_typecheck_v1;

#ifdef __cplusplus
}
#endif
#endif
