/* Kind `logger`: receives metrics. Called from the training thread only. With the capability fathom.state/1 it tells
 * what it has written so far (rows, bytes), kept in checkpoints; load then comes before any other call of a resumed run
 * and drops what a killed run wrote after the checkpoint, so that files equal an uninterrupted run's.
 *
 * A function that fails is the end of this logger: the program warns once, calls it no more, and goes on. What a logger
 * has no function for is not told to it.
 *
 * Context given to create: {"save_dir": "folder of the run", "name": str, "version": str}.
 */
#ifndef FATHOM_ABI_LOGGER_H_
#define FATHOM_ABI_LOGGER_H_

#include "fathom/abi/component.h"
#include "fathom/abi/media.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fathom_metric_value {
  fathom_str name;
  double value;
} fathom_metric_value;
FATHOM_ARRAY(fathom_metric_values, fathom_metric_value);

typedef struct fathom_logger_v1 {
  uint32_t struct_size;
  fathom_status (*log_metrics)(void* self, const fathom_metric_values* metrics, int64_t step);
  fathom_status (*log_hyperparams)(void* self, fathom_str json);
  fathom_status (*log_text)(void* self, fathom_str name, fathom_str text, int64_t step);
  fathom_status (*save)(void* self);                        /* flush to disk */
  fathom_status (*finalize)(void* self, fathom_str status); /* "success", "failed", "interrupted" */
  /* Arrays are borrowed for the call, and have one of the shapes of media.h. */
  fathom_status (*log_histogram)(void* self, fathom_str name, const fathom_float_array* values, int64_t step);
  fathom_status (*log_audio)(void* self, fathom_str name, const fathom_float_array* samples, int64_t sample_rate,
                             int64_t step);
  fathom_status (*log_image)(void* self, fathom_str name, const fathom_float_array* pixels, int64_t step);
} fathom_logger_v1;

#ifdef __cplusplus
}
#endif
#endif
