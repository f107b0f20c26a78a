/* Kind `command`: what a plugin adds to the program's command line. A component named "tts.normalize" is run by
 * `fathom tts normalize`; its options are flags.
 */
#ifndef FATHOM_ABI_COMMAND_H_
#define FATHOM_ABI_COMMAND_H_

#include "fathom/abi/component.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a running command has of the program. All functions may be called from any thread. */
typedef struct fathom_command_io {
  uint32_t struct_size;
  void* ctx;
  /* Text for stdout, as it is. FATHOM_IO where it cannot be written. */
  fathom_status (*print)(void* ctx, fathom_str text);
  /* `done` of `total` of what `what` names ("clips"); total 0: not known. Drawn on a terminal, else told now and then.
   */
  void (*progress)(void* ctx, fathom_str what, uint64_t done, uint64_t total);
  /* 1 when the user asked to end (Ctrl-C): what is written is then brought to a good end. */
  int (*stopped)(void* ctx);
  int32_t threads; /* to use; at least 1 */
} fathom_command_io;

typedef struct fathom_command_v1 {
  uint32_t struct_size;
  /* Does the work; once for an object. */
  fathom_status (*run)(void* self, const fathom_command_io* io);
} fathom_command_v1;

#ifdef __cplusplus
}
#endif
#endif
