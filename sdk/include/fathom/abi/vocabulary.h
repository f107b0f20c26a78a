/* Capability `fathom.vocabulary/1` of models: another vocabulary for a trained model. What depends on it (a decoder, a
 * loss) is rebuilt with new weights, and the model's config changes. Training thread, between steps.
 */
#ifndef FATHOM_ABI_VOCABULARY_H_
#define FATHOM_ABI_VOCABULARY_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_VOCABULARY_EXTENSION "fathom.vocabulary/1"

typedef struct fathom_vocabulary_v1 {
  uint32_t struct_size;
  /* A JSON list of texts: the labels of a character model. */
  fathom_status (*change_vocabulary)(void* self, fathom_str labels);
  /* The section of another tokenizer ({"dir": …, "type": "bpe"}), JSON. Null in models without a tokenizer. */
  fathom_status (*replace_tokenizer)(void* self, fathom_str section);
} fathom_vocabulary_v1;

#ifdef __cplusplus
}
#endif
#endif
