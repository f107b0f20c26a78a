/* Kind `model`: a module that also makes datasets, has training, validation, test and predict steps, and inference.
 *
 * Context given to create: {"restoring": bool, "restore_dir": "folder of an unpacked .nemo or empty", "world_size":
 * int, "seed": int}. Artifacts named "nemo:FILE" in the config are files of restore_dir.
 *
 * Capabilities: fathom.state/1, fathom.vocabulary/1, fathom.fine_tuning/1, fathom.adapters/1,
 * fathom.manual_optimization/1, fathom.stream/1.
 */
#ifndef FATHOM_ABI_MODEL_H_
#define FATHOM_ABI_MODEL_H_

#include "fathom/abi/media.h"
#include "fathom/abi/module.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FATHOM_STAGE_TRAIN = 0, FATHOM_STAGE_VALIDATE = 1, FATHOM_STAGE_TEST = 2, FATHOM_STAGE_PREDICT = 3 };

/* Where a metric goes; 0 takes the defaults of the hook (trainer: train steps log per step, evaluation per epoch). */
enum {
  FATHOM_METRIC_ON_STEP = 1,
  FATHOM_METRIC_ON_EPOCH = 2,
  FATHOM_METRIC_PROG_BAR = 4,
  FATHOM_METRIC_NO_LOGGER = 8,
  FATHOM_METRIC_REDUCE_SUM = 16, /* default: mean weighted by batch_size */
  FATHOM_METRIC_REDUCE_MIN = 32,
  FATHOM_METRIC_REDUCE_MAX = 64,
  FATHOM_METRIC_NO_DATALOADER_IDX = 128
};

/* What a step may ask of the trainer; valid during the call. */
typedef struct fathom_step {
  uint32_t struct_size;
  uint32_t stage; /* FATHOM_STAGE_* */
  int64_t epoch, global_step, batch_idx;
  int64_t dataloader_idx, dataloader_count;
  int64_t log_every_n_steps;
  double learning_rate; /* of the first optimizer's first group, for the step in hand; 0 in evaluation */
  void* ctx;
  /* Logs a number: `tensor` (one element, read only when the value is needed) or, when null, `value`.
     batch_size weights an epoch mean; 0 = 1. */
  fathom_status (*log)(void* ctx, fathom_str name, fathom_tensor tensor, double value, uint32_t flags,
                       double batch_size);
  fathom_str device; /* of the model and the batch, by libtorch's name: "cpu", "cuda:0" */

  /* For models with fathom.manual_optimization/1, in training; null elsewhere. `optimizer` is an index. */
  size_t optimizer_count;
  fathom_status (*backward)(void* ctx, fathom_tensor loss);
  fathom_status (*optimizer_step)(void* ctx, size_t optimizer); /* counts as one step of the run */
  fathom_status (*zero_grad)(void* ctx, size_t optimizer);
  /* on = 1: until on = 0 only this optimizer's parameters require gradients. */
  fathom_status (*toggle)(void* ctx, size_t optimizer, int32_t on);
  /* `algorithm`: "norm" or "value"; `norm` (may be null) receives the norm before clipping. */
  fathom_status (*clip_gradients)(void* ctx, size_t optimizer, double limit, fathom_str algorithm, double* norm);
  /* The optimizer's schedule moves on; `monitor` (may be null) is the metric for schedules that watch one. */
  fathom_status (*scheduler_step)(void* ctx, size_t optimizer, const double* monitor);

  const fathom_media_log* media; /* texts, histograms, audio and images, for the loggers */
} fathom_step;

typedef struct fathom_model_v1 {
  uint32_t struct_size;
  const fathom_module_v1* module; /* the model as a module: ports, forward, torch module */
  /* The dataset of a stage from its config section (train_ds, validation_ds, test_ds; for predict a section naming the
     inputs). *dataset stays empty (component null) when the section asks for none. */
  fathom_status (*make_dataset)(void* self, uint32_t stage, fathom_str config, fathom_str config_path,
                                fathom_object* dataset);
  /* `loss` receives one value named "loss"; none from a model with manual optimization is fine. */
  fathom_status (*training_step)(void* self, const fathom_named_value* batch, size_t count, const fathom_step* step,
                                 const fathom_sink* loss);
  fathom_status (*eval_step)(void* self, const fathom_named_value* batch, size_t count, const fathom_step* step);
  /* End of one loader of a validation or test epoch: log the epoch's metrics here and reset them. */
  fathom_status (*eval_epoch_end)(void* self, const fathom_step* step);
  /* One map per item of the batch, in order: what is known of it by name (texts, numbers, tensors). `options` is a JSON
     object ({"timestamps": true}). */
  fathom_status (*predict_step)(void* self, const fathom_named_value* batch, size_t count, fathom_str options,
                                const fathom_sink* items);
  /* The model's own config as it would go into model_config.yaml, JSON. */
  fathom_status (*config)(void* self, const fathom_text_sink* json);
  /* Files that belong to the model: values named by config key ("tokenizer.model_path"), text = path on disk. */
  fathom_status (*artifacts)(void* self, const fathom_sink* files);
  /* Child `index` (0, 1, …) of any kind (modules, losses, metrics, tokenizers): its name and the object, borrowed.
     FATHOM_OK with an empty object past the last. */
  fathom_status (*child)(void* self, size_t index, fathom_str* name, fathom_object* object);
  /* The names of the torch module's children that are typed modules (NeMo's NeuralModule), of this plugin or another,
     one write each: what can be frozen by name. May be null: those of child(). */
  fathom_status (*typed_children)(void* self, const fathom_text_sink* name);
} fathom_model_v1;

#ifdef __cplusplus
}
#endif
#endif
