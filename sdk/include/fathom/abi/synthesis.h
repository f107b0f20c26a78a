/* Capabilities of models that speak: `fathom.speech_synthesis/1`, text to a spectrogram or to audio, and
 * `fathom.vocoder/1`, a spectrogram to audio. The keys of the JSON objects stand in fathom/synthesis.h. One call at a
 * time per model.
 */
#ifndef FATHOM_ABI_SYNTHESIS_H_
#define FATHOM_ABI_SYNTHESIS_H_

#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_SPEECH_SYNTHESIS_EXTENSION "fathom.speech_synthesis/1"
#define FATHOM_VOCODER_EXTENSION "fathom.vocoder/1"

typedef struct fathom_speech_synthesis_v1 {
  uint32_t struct_size;
  fathom_status (*info)(void* self, const fathom_text_sink* json);
  /* What is spoken of a text. `options`: JSON object. */
  fathom_status (*parse)(void* self, fathom_str text, fathom_str options, const fathom_sink* parsed);
  /* What parse() gave, spoken. */
  fathom_status (*synthesize)(void* self, const fathom_named_value* parsed, size_t count, fathom_str options,
                              const fathom_sink* spoken);
} fathom_speech_synthesis_v1;

typedef struct fathom_vocoder_v1 {
  uint32_t struct_size;
  fathom_status (*info)(void* self, const fathom_text_sink* json);
  fathom_status (*vocode)(void* self, const fathom_named_value* input, size_t count, fathom_str options,
                          const fathom_sink* output);
} fathom_vocoder_v1;

#ifdef __cplusplus
}
#endif
#endif
