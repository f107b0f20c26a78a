#include "fathom/plugin.h"

#include "plugins/callbacks/delta_timing_callback.h"
#include "plugins/callbacks/device_stats_monitor.h"
#include "plugins/callbacks/early_stopping.h"
#include "plugins/callbacks/ema.h"
#include "plugins/callbacks/gradient_accumulation_scheduler.h"
#include "plugins/callbacks/gradient_norm_monitor.h"
#include "plugins/callbacks/learning_rate_monitor.h"
#include "plugins/callbacks/model_checkpoint.h"
#include "plugins/callbacks/model_summary.h"
#include "plugins/callbacks/nemo_model_checkpoint.h"
#include "plugins/callbacks/on_exception_checkpoint.h"
#include "plugins/callbacks/prediction_writer.h"
#include "plugins/callbacks/preemption_callback.h"
#include "plugins/callbacks/progress_bar.h"
#include "plugins/callbacks/stochastic_weight_averaging.h"
#include "plugins/callbacks/timer.h"
#include "plugins/callbacks/timing_callback.h"

namespace {

// The places a Lightning callback is imported from.
std::vector<std::string> lightning(const std::string& file, const std::string& name) {
  return {"lightning.pytorch.callbacks." + name, "pytorch_lightning.callbacks." + name,
          "lightning.pytorch.callbacks." + file + "." + name, "pytorch_lightning.callbacks." + file + "." + name};
}

}  // namespace

FATHOM_PLUGIN("callbacks", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::callbacks;
  r.add<ModelCheckpoint>("ModelCheckpoint", "saves checkpoints: the best by a metric, or the newest",
                         lightning("model_checkpoint", "ModelCheckpoint"));
  r.add<NeMoModelCheckpoint>(
      "NeMoModelCheckpoint", "ModelCheckpoint with NeMo's names, a -last.ckpt and a .nemo at the end",
      {"nemo.utils.callbacks.NeMoModelCheckpoint", "nemo.utils.callbacks.nemo_model_checkpoint.NeMoModelCheckpoint",
       "nemo.utils.exp_manager.NeMoModelCheckpoint"});
  r.add<Ema>("EMA", "keeps a moving average of the weights, validates it and saves it beside them",
             {"nemo.collections.common.callbacks.EMA", "nemo.collections.common.callbacks.ema.EMA"});
  r.add<EarlyStopping>("EarlyStopping", "stops when a metric no longer improves",
                       lightning("early_stopping", "EarlyStopping"));
  r.add<LearningRateMonitor>("LearningRateMonitor", "logs learning rates, and momenta and weight decays on request",
                             lightning("lr_monitor", "LearningRateMonitor"));
  r.add<ModelSummary>("ModelSummary", "prints modules and parameter counts before training",
                      lightning("model_summary", "ModelSummary"));
  auto bars = lightning("progress", "TQDMProgressBar");
  bars.push_back("lightning.pytorch.callbacks.RichProgressBar");
  bars.push_back("pytorch_lightning.callbacks.RichProgressBar");
  r.add<ProgressBar>("ProgressBar",
                     "where training stands: a line that is updated on a terminal, now and then a line elsewhere",
                     bars);
  r.add<Timer>("Timer", "stops after a time; the time used is kept in checkpoints", lightning("timer", "Timer"));
  r.add<DeltaTimingCallback>(
      "DeltaTimingCallback", "says in the log how long each step took, data included",
      {"nemo.utils.exp_manager.DeltaTimingCallback", "nemo.utils.callbacks.DeltaTimingCallback"});
  r.add<StatelessTimer>("StatelessTimer", "stops each run after a time of its own; a resumed run has all of it again",
                        {"nemo.utils.exp_manager.StatelessTimer", "nemo.utils.callbacks.StatelessTimer"});
  r.add<TimingCallback>("TimingCallback", "logs seconds of training, backward, validation and test steps",
                        {"nemo.utils.exp_manager.TimingCallback", "nemo.utils.callbacks.TimingCallback"});
  r.add<GradientAccumulationScheduler>("GradientAccumulationScheduler",
                                       "changes from epoch to epoch how many batches make an optimizer step",
                                       lightning("gradient_accumulation_scheduler", "GradientAccumulationScheduler"));
  r.add<StochasticWeightAveraging>("StochasticWeightAveraging",
                                   "ends with the mean of the weights at the starts of the last epochs",
                                   lightning("stochastic_weight_avg", "StochasticWeightAveraging"));
  r.add<DeviceStatsMonitor>("DeviceStatsMonitor", "logs how busy processors and memory are",
                            lightning("device_stats_monitor", "DeviceStatsMonitor"));
  r.add<GradientNormMonitor>("GradientNormMonitor", "logs norms of gradients before clipping, as track_grad_norm did");
  r.add<OnExceptionCheckpoint>("OnExceptionCheckpoint", "saves a checkpoint when training ends by an error or a signal",
                               lightning("on_exception_checkpoint", "OnExceptionCheckpoint"));
  r.add<PredictionWriter>("PredictionWriter", "writes predictions into a file, one JSON object an item",
                          lightning("prediction_writer", "BasePredictionWriter"));
  r.add<PreemptionCallback>(
      "PreemptionCallback", "saves and ends the run on a signal besides SIGTERM",
      {"nemo.utils.callbacks.PreemptionCallback", "nemo.utils.callbacks.preemption.PreemptionCallback"});
}
