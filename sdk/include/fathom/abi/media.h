/* What can be logged besides numbers: texts, and arrays that are counted, heard or seen. What a model's step and a
 * callback are given to log them with (fathom_step, fathom_trainer).
 */
#ifndef FATHOM_ABI_MEDIA_H_
#define FATHOM_ABI_MEDIA_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers, borrowed for the call: the last dimension is contiguous, without gaps. */
typedef struct fathom_float_array {
  uint32_t struct_size;
  const float* data;
  const int64_t* shape; /* `rank` sizes */
  size_t rank;
} fathom_float_array;

/* They are logged at the run's global step. Training thread only. A shape that is not one of those named here is an
   error; a logger that cannot take them, or that fails, is not. */
typedef struct fathom_media_log {
  uint32_t struct_size;
  void* ctx;
  fathom_status (*log_text)(void* ctx, fathom_str name, fathom_str text);
  /* Of any shape, at least one value. */
  fathom_status (*log_histogram)(void* ctx, fathom_str name, const fathom_float_array* values);
  /* [frames] or [channels, frames], from -1 to 1; sample_rate in Hz. */
  fathom_status (*log_audio)(void* ctx, fathom_str name, const fathom_float_array* samples, int64_t sample_rate);
  /* [height, width] or [channels, height, width] with 1 (grey), 3 (RGB) or 4 (RGBA) channels, from 0 to 1. */
  fathom_status (*log_image)(void* ctx, fathom_str name, const fathom_float_array* pixels);
} fathom_media_log;

#ifdef __cplusplus
}
#endif
#endif
