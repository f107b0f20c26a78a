/* Kind `tokenizer`: text to ids and back. Thread-safe after creation. */
#ifndef FATHOM_ABI_TOKENIZER_H_
#define FATHOM_ABI_TOKENIZER_H_

#include "fathom/abi/component.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_ids_sink {
  void* ctx;
  void (*write)(void* ctx, const int64_t* ids, size_t count);
} fathom_ids_sink;

typedef struct fathom_tokenizer_v1 {
  uint32_t struct_size;
  fathom_status (*vocab_size)(void* self, int64_t* size);
  fathom_status (*encode)(void* self, fathom_str text, const fathom_ids_sink* ids);
  fathom_status (*decode)(void* self, const int64_t* ids, size_t count, const fathom_text_sink* text);
  /* The piece of one id, as stored ("▁the"). */
  fathom_status (*piece)(void* self, int64_t id, const fathom_text_sink* text);
} fathom_tokenizer_v1;

#ifdef __cplusplus
}
#endif
#endif
