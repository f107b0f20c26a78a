/* Kind `callback`: hooks into the training loop, under Lightning's names. Called from the training thread only.
 *
 * Context given to create: {"run_dir": "folder of the run", "checkpoint_dir": "…/checkpoints", "name": experiment
 * name}.
 */
#ifndef FATHOM_ABI_CALLBACK_H_
#define FATHOM_ABI_CALLBACK_H_

#include "fathom/abi/component.h"
#include "fathom/abi/logger.h"
#include "fathom/abi/media.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Events; an event's bit in `events()` is 1 << value. A callback is called only for events it asked for. */
enum {
  FATHOM_ON_SETUP = 0,
  FATHOM_ON_FIT_START = 1,
  FATHOM_ON_SANITY_CHECK_START = 2,
  FATHOM_ON_SANITY_CHECK_END = 3,
  FATHOM_ON_TRAIN_START = 4,
  FATHOM_ON_TRAIN_EPOCH_START = 5,
  FATHOM_ON_TRAIN_BATCH_START = 6,
  FATHOM_ON_BEFORE_ZERO_GRAD = 7,
  FATHOM_ON_BEFORE_BACKWARD = 8,
  FATHOM_ON_AFTER_BACKWARD = 9,
  FATHOM_ON_BEFORE_OPTIMIZER_STEP = 10,
  FATHOM_ON_TRAIN_BATCH_END = 11,
  FATHOM_ON_TRAIN_EPOCH_END = 12,
  FATHOM_ON_TRAIN_END = 13,
  FATHOM_ON_FIT_END = 14,
  FATHOM_ON_VALIDATION_START = 15,
  FATHOM_ON_VALIDATION_EPOCH_START = 16,
  FATHOM_ON_VALIDATION_BATCH_START = 17,
  FATHOM_ON_VALIDATION_BATCH_END = 18,
  FATHOM_ON_VALIDATION_EPOCH_END = 19,
  FATHOM_ON_VALIDATION_END = 20,
  FATHOM_ON_TEST_START = 21,
  FATHOM_ON_TEST_EPOCH_START = 22,
  FATHOM_ON_TEST_BATCH_START = 23,
  FATHOM_ON_TEST_BATCH_END = 24,
  FATHOM_ON_TEST_EPOCH_END = 25,
  FATHOM_ON_TEST_END = 26,
  FATHOM_ON_EXCEPTION = 27,
  FATHOM_ON_TEARDOWN = 28,
  FATHOM_ON_INTERRUPT = 29, /* the user or the scheduler asked to stop: save now */
  FATHOM_ON_PREDICT_START = 30,
  FATHOM_ON_PREDICT_EPOCH_START = 31,
  FATHOM_ON_PREDICT_BATCH_START = 32,
  FATHOM_ON_PREDICT_BATCH_END = 33,
  FATHOM_ON_PREDICT_EPOCH_END = 34,
  FATHOM_ON_PREDICT_END = 35,
  FATHOM_EVENT_COUNT = 36
};

/* Callbacks of one event run in this order, within it as configured: those that watch a monitored value after those
   that may change one, and those that save after all others, so that what they save is complete. */
enum { FATHOM_ORDER_NORMAL = 0, FATHOM_ORDER_MONITORING = 1, FATHOM_ORDER_CHECKPOINT = 2 };

/* Where the run stands. A plain struct so that reading it costs nothing; kept up to date by the trainer. */
typedef struct fathom_progress {
  uint32_t struct_size;
  int64_t epoch;                /* 0-based */
  int64_t global_step;          /* optimizer steps taken */
  int64_t batch_idx;            /* of the batch in hand, in its loader */
  int64_t batches_that_stepped; /* Lightning's x-axis of step metrics, zero-based + 1 */
  int64_t training_batches;     /* batches of an epoch after limits; -1 = unknown */
  int64_t eval_batches;         /* of the running evaluation; -1 = unknown */
  int64_t dataloader_idx;
  int64_t max_epochs, max_steps; /* -1 = none */
  double val_check_interval;     /* as configured; check_every_n_epoch beside it */
  int64_t check_val_every_n_epoch;
  int64_t log_every_n_steps;
  int32_t sanity_checking, validating, should_stop, fast_dev_run;
  int32_t has_validation, val_check_at_epoch_end; /* validation runs once, at the end of each epoch */
  int64_t resumed_global_step;                    /* 0 unless resumed */
  int32_t val_check_counts_batches;               /* val_check_interval is an int: 1, not 1.0 */
  int64_t items_trained;                          /* items of this process's training batches, since it began */
  double seconds_trained; /* of audio in them; 0 where the dataset does not tell (fathom.lengths/1) */
} fathom_progress;

typedef struct fathom_metric_sink {
  void* ctx;
  void (*emit)(void* ctx, fathom_str name, double value);
} fathom_metric_sink;

/* Flags of save_checkpoint. */
enum {
  FATHOM_SAVE_WEIGHTS_ONLY = 1, /* no optimizers, callbacks and loops */
  FATHOM_SAVE_AVERAGE = 2       /* the averaged weights in place of the weights, in the layout of NeMo's -EMA files */
};

/* What a callback may ask of the trainer; valid as long as the callback. */
typedef struct fathom_trainer {
  uint32_t struct_size;
  void* ctx;
  const fathom_progress* progress;
  /* Callback metrics (Lightning's trainer.callback_metrics); 0 = not there. */
  int32_t (*metric)(void* ctx, fathom_str name, double* value);
  void (*metrics)(void* ctx, const fathom_metric_sink* out);
  void (*progress_bar_metrics)(void* ctx, const fathom_metric_sink* out);
  fathom_status (*log)(void* ctx, fathom_str name, double value, uint32_t flags);
  void (*stop)(void* ctx, fathom_str reason);
  /* Writes atomically. `flags`: FATHOM_SAVE_*. Without FATHOM_SAVE_AVERAGE it is the weights that are saved, also while
     the model computes with averages. */
  fathom_status (*save_checkpoint)(void* ctx, fathom_str path, int32_t flags);
  fathom_status (*save_nemo)(void* ctx, fathom_str path);
  /* Loads weights only, e.g. of the best checkpoint before the final .nemo. */
  fathom_status (*load_weights)(void* ctx, fathom_str path);
  /* Optimizers (none before training and in an evaluation), their groups, then any option by name. */
  size_t (*optimizer_count)(void* ctx);
  size_t (*group_count)(void* ctx, size_t optimizer);
  fathom_status (*optimizer_option)(void* ctx, size_t optimizer, size_t group, fathom_str name, double* value);
  fathom_str (*optimizer_name)(void* ctx, size_t optimizer); /* class name as in "lr-Novograd" */
  /* The loss of the training batch in hand; forces a read of the tensor. */
  fathom_status (*loss)(void* ctx, double* value);
  /* 2-norm of all gradients, before clipping; meaningful at ON_BEFORE_OPTIMIZER_STEP and until the next backward. */
  fathom_status (*gradient_norm)(void* ctx, double* value);
  /* JSON: {"modules": [{name, type, params, trainable, training, inputs, outputs}…], "total", "trainable",
   * "non_trainable"}. */
  void (*model_summary)(void* ctx, int32_t depth, const fathom_text_sink* json);
  fathom_str (*resumed_from)(void* ctx); /* checkpoint path of this run's start, or empty */
  /* Keeps an exponential moving average of the parameters from now on, beside the optimizer: after an optimizer step
     average = decay * average + (1 - decay) * weight. One per run; it is part of every checkpoint. */
  fathom_status (*keep_average)(void* ctx, double decay, int64_t every_n_steps);
  int32_t (*has_average)(void* ctx);
  /* on = 1: the model computes with the averages from now on; 0: with its weights again. Nothing without an average. */
  fathom_status (*use_average)(void* ctx, int32_t on);

  /* --- windows of accumulation, a mean of the weights, schedules, rows of one's own, ways to stop --- */
  /* At ON_SETUP, before the optimizers are made: from the 0-based epoch epochs[i] on, batches[i] batches make an
     optimizer step; before the first of them one does. `epochs` ascend. One such plan a run, and only where
     trainer.accumulate_grad_batches says nothing else. */
  fathom_status (*plan_accumulation)(void* ctx, const int64_t* epochs, const int64_t* batches, size_t count);
  /* At ON_FIT_START: a mean of all parameters beside them, which begins as the parameters are. Checkpoints hold it in
     the callback's state, under "average_model_state" as Lightning does. One a run, of a model with one optimizer that
     the trainer steps. */
  fathom_status (*keep_mean)(void* ctx, fathom_str state_key);
  /* mean += (weight - mean) / (taken + 1), where `taken` weights are in it so far; with 0 the mean is the weight. */
  fathom_status (*add_to_mean)(void* ctx, int64_t taken);
  /* The weights are the mean from now on. */
  fathom_status (*take_mean)(void* ctx);
  /* At ON_FIT_START: *added = 1 where the model has batch norm, and one epoch more then follows max_epochs, in which
     nothing is learnt: the statistics of batch norm start anew and are the mean over its batches. */
  fathom_status (*add_statistics_epoch)(void* ctx, int32_t* added);
  /* From now on the rates of the one optimizer follow another scheduler: `section` (JSON) names it with its options, as
     model.optim.sched does. It starts from the rates in force and is part of every checkpoint. */
  fathom_status (*replace_schedule)(void* ctx, fathom_str section);
  fathom_str (*schedule_interval)(void* ctx, size_t optimizer); /* "step" or "epoch"; empty without a schedule */
  size_t (*logger_count)(void* ctx);
  /* A row of its own to every logger, at once; `metrics`: callbacks see the values as metrics, too. */
  fathom_status (*log_row)(void* ctx, const fathom_metric_values* row, int64_t step, int32_t metrics);
  /* The norm of each gradient that is there, by its parameter's name, before clipping; at last, under the name "", the
     norm of those norms. `norm_type` is positive, or infinity. */
  fathom_status (*gradient_norms)(void* ctx, double norm_type, const fathom_metric_sink* out);
  /* As stop(), for this run alone: one that is resumed trains on. */
  void (*stop_this_run)(void* ctx, fathom_str reason);
  /* Ends the run after the step in hand as if the process had got this signal: ON_INTERRUPT, then the signal's exit. */
  void (*interrupt)(void* ctx, int32_t signal);
  /* --- */
  const fathom_media_log* media; /* texts, histograms, audio and images, for the loggers */
  /* At ON_PREDICT_BATCH_END: what the model's predict step knows of each item of the batch, one write a JSON object. */
  void (*predictions)(void* ctx, const fathom_text_sink* item);
} fathom_trainer;

typedef struct fathom_callback_v1 {
  uint32_t struct_size;
  uint64_t (*events)(void* self);
  fathom_status (*on_event)(void* self, uint32_t event, const fathom_trainer* trainer);
  /* Key of this callback's state in a checkpoint (Lightning's state_key); the state is the capability fathom.state/1.
   */
  void (*state_key)(void* self, const fathom_text_sink* key);
  /* FATHOM_ORDER_*: who is called after whom at one event. */
  int32_t (*order)(void* self);
} fathom_callback_v1;

#ifdef __cplusplus
}
#endif
#endif
