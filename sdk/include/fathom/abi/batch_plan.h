/* Capability `fathom.batch_plan/1` of datasets that choose which items share a batch. Called once an epoch; the plan
 * depends on the request alone, so that a resumed run finds the same batches.
 */
#ifndef FATHOM_ABI_BATCH_PLAN_H_
#define FATHOM_ABI_BATCH_PLAN_H_

#include "fathom/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_BATCH_PLAN_EXTENSION "fathom.batch_plan/1"

typedef struct fathom_batch_request {
  uint32_t struct_size;
  uint64_t seed; /* of the run */
  int64_t epoch;
  int64_t batch_size; /* items in a batch at most */
  int32_t shuffle;    /* 0: the same plan in every epoch */
  int32_t drop_last;  /* batches that are not full are left out */
} fathom_batch_request;

typedef struct fathom_batch_sink {
  void* ctx;
  fathom_status (*emit)(void* ctx, const int64_t* indices, size_t count); /* one batch */
} fathom_batch_sink;

typedef struct fathom_batch_plan_v1 {
  uint32_t struct_size;
  fathom_status (*plan)(void* self, const fathom_batch_request* request, const fathom_batch_sink* batches);
} fathom_batch_plan_v1;

#ifdef __cplusplus
}
#endif
#endif
