/* The boundary between the host and a plugin: what every other abi header builds on.
 *
 * Plain C11, no includes but <stdint.h> and <stddef.h>. Nothing else crosses: no std types, no exceptions, no
 * vtables. Authors do not use these headers directly; the C++ layer in <fathom/...> hides them on both sides.
 *
 * Rules (binding once 1.0 is declared; until then the boundary may change with its users):
 *   - every struct that may grow starts with `uint32_t struct_size`, and fields are only appended. Whoever receives one
 *     copies what struct_size covers into a zeroed struct of the version it was built with, and then needs only a null
 *     test: the host does so with a component's table when it is registered, and refuses one without its mandatory
 *     slots; the C++ layer does so with every table of the host (fathom::filled). C code may test with FATHOM_HAS;
 *   - arrays of structs that may grow cross with the distance between their elements (FATHOM_ARRAY);
 *   - what not every object of a kind has is a capability, asked of the object by id: component->query(self,
 *     "fathom.state/1") gives a table whose functions take the same self, or null. A change of meaning is a new id;
 *   - enum values are explicit and only appended; an unknown value is an error, never undefined behaviour;
 *   - strings are UTF-8 {ptr, len}, not terminated, and borrowed for the call unless said otherwise;
 *   - who creates an object destroys it, through the `destroy` it came with;
 *   - a function that can fail returns a fathom_status; on failure it has described the error with
 *     fathom_host.set_error on the same thread;
 *   - tensors cross as borrowed pointers to at::Tensor (fathom_tensor), so autograd flows through.
 */
#ifndef FATHOM_ABI_BASE_H_
#define FATHOM_ABI_BASE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_ABI_MAJOR 0
#define FATHOM_ABI_MINOR 2

/* True where the struct at `t` was built with field `f` and has it filled. */
#define FATHOM_HAS(t, f) \
  ((t) != NULL && (size_t)((const char*)&(t)->f - (const char*)(t)) + sizeof((t)->f) <= (t)->struct_size && (t)->f)

typedef struct fathom_str {
  const char* ptr;
  size_t len;
} fathom_str;

/* An array of structs that may grow: element i stands at (const char*)data + i * stride, and an element holds only the
   first `stride` bytes of what the reader knows. */
#define FATHOM_ARRAY(name, type) \
  typedef struct name {          \
    const type* data;            \
    size_t count;                \
    size_t stride;               \
  } name

/* Status codes are the exit codes of the command line: one vocabulary from a plugin to the shell. */
typedef int32_t fathom_status;
enum {
  FATHOM_OK = 0,
  FATHOM_FAILED = 1,       /* the run failed; also configuration errors */
  FATHOM_USAGE = 2,        /* unknown command or flag */
  FATHOM_BAD_DATA = 65,    /* input is there but malformed */
  FATHOM_NO_INPUT = 66,    /* no such input */
  FATHOM_UNAVAILABLE = 69, /* a plugin or a device is missing or was refused */
  FATHOM_INTERNAL = 70,    /* a bug */
  FATHOM_CANT_CREATE = 73, /* cannot create output */
  FATHOM_IO = 74,          /* read or write failed */
  FATHOM_INTERRUPTED = 75  /* stopped after a checkpoint was written */
};

/* An error in words. Empty fields are left out of the printed text. */
typedef struct fathom_error {
  uint32_t struct_size;
  fathom_status code;
  fathom_str what;       /* one sentence */
  fathom_str where;      /* file:line:column, config key, plugin file */
  fathom_str seen;       /* the value found */
  fathom_str expected;   /* what would have been right */
  fathom_str candidates; /* nearest names, comma separated */
  fathom_str next;       /* what to do now */
} fathom_error;

/* Receives text of any length; called once or several times. */
typedef struct fathom_text_sink {
  void* ctx;
  void (*write)(void* ctx, fathom_str text);
} fathom_text_sink;

enum { FATHOM_LOG_DEBUG = 1, FATHOM_LOG_INFO = 2, FATHOM_LOG_WARNING = 3, FATHOM_LOG_ERROR = 4 };

/* What a component can be. */
typedef uint32_t fathom_kind;
enum {
  FATHOM_KIND_MODULE = 1,
  FATHOM_KIND_MODEL = 2,
  FATHOM_KIND_DATASET = 3,
  FATHOM_KIND_LOSS = 4,
  FATHOM_KIND_METRIC = 5,
  FATHOM_KIND_TOKENIZER = 6,
  FATHOM_KIND_OPTIMIZER = 7,
  FATHOM_KIND_SCHEDULER = 8,
  FATHOM_KIND_LOGGER = 9,
  FATHOM_KIND_CALLBACK = 10,
  FATHOM_KIND_RESOLVER = 11,
  FATHOM_KIND_EXPORTER = 12,
  FATHOM_KIND_ACCELERATOR = 13,
  FATHOM_KIND_COMMAND = 14
};

#ifdef __cplusplus
}
#endif
#endif /* FATHOM_ABI_BASE_H_ */
