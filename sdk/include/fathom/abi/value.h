/* Values: what flows through ports and batches. */
#ifndef FATHOM_ABI_VALUE_H_
#define FATHOM_ABI_VALUE_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_tensor_opaque* fathom_tensor; /* at::Tensor*, borrowed for the call */
typedef uint32_t fathom_type_id;                    /* an interned neural type; 0 = none */

enum {
  FATHOM_VALUE_NONE = 0,
  FATHOM_VALUE_TENSOR = 1,
  FATHOM_VALUE_LIST = 2,
  FATHOM_VALUE_TEXT = 3,
  FATHOM_VALUE_INT = 4,
  FATHOM_VALUE_REAL = 5,
  FATHOM_VALUE_BOOL = 6,
  FATHOM_VALUE_MAP = 7,   /* named values, in order */
  FATHOM_VALUE_OPAQUE = 8 /* an object that only its maker and those who know its type can read */
};

/* An object of a type that the boundary does not know, shared: who keeps it calls retain, and release when done. */
typedef struct fathom_opaque {
  uint32_t struct_size;
  fathom_str type; /* "my_collection.Lattice/1": says what data points to, for those who know it */
  void* data;
  void* ctx;
  void (*retain)(void* ctx);
  void (*release)(void* ctx);
} fathom_opaque;

struct fathom_named_value;

/* fathom_value and fathom_named_value never grow: they are made by the dozen in every call, so they carry no size and
   their arrays no stride. What may be added is a kind; whatever it needs stands behind a pointer in the union, which
   stays at 16 bytes. */
typedef struct fathom_value {
  uint32_t kind;       /* FATHOM_VALUE_* */
  fathom_type_id type; /* the neural type the value carries */
  int32_t rank;        /* of a tensor; -1 = not a tensor, or not known */
  uint32_t source;     /* the output port that made it (host intern_source), for messages; 0 = not known */
  union {
    fathom_tensor tensor;
    struct {
      const struct fathom_value* items;
      size_t count;
    } list;
    fathom_str text;
    int64_t integer; /* of a bool: 0 or 1 */
    double real;
    struct {
      const struct fathom_named_value* items;
      size_t count;
    } map;
    const fathom_opaque* opaque; /* borrowed for the call */
  } as;
} fathom_value;

typedef struct fathom_named_value {
  fathom_str name;
  fathom_value value;
} fathom_named_value;

/* Receives values one by one; what it is given is borrowed for the call (tensors are kept by taking a reference). */
typedef struct fathom_sink {
  void* ctx;
  fathom_status (*emit)(void* ctx, const fathom_named_value* value);
} fathom_sink;

/* A typed port. `list_depth` counts the lists around the value: 1 for a list of tensors. `source` is an output port's
   own id (host intern_source), which its values carry. */
typedef struct fathom_port {
  fathom_str name;
  fathom_type_id type;
  uint32_t optional;
  uint32_t list_depth;
  uint32_t source;
} fathom_port;
FATHOM_ARRAY(fathom_ports, fathom_port);

#ifdef __cplusplus
}
#endif
#endif
