// EMA: an exponential moving average of the weights, kept beside them while training (Polyak averaging). Validation and
// test use the averages; checkpoints get a twin with them (NeMoModelCheckpoint). Parameters are averaged, buffers such
// as batch norm statistics are those of the trained weights, as in NeMo.
#pragma once

#include "fathom/callback.h"

namespace fathom::callbacks {

class Ema final : public Callback {
 public:
  struct Options {
    double decay = 0.999;
    bool validate_original_weights = false, cpu_offload = false;
    int64_t every_n_steps = 1;
    static void describe(OptionSet<Options>& o) {
      o("decay", &Options::decay, "of the average: average = decay * average + (1 - decay) * weight");
      o("validate_original_weights", &Options::validate_original_weights, "validate and test the weights as trained");
      o("every_n_steps", &Options::every_n_steps, "optimizer steps between updates of the average", "steps");
      o("cpu_offload", &Options::cpu_offload, "keep the averages in CPU memory, where they always are here");
    }
  };
  explicit Ema(const Options& options);

 private:
  void start(Trainer& trainer) { trainer.keep_average(options_.decay, options_.every_n_steps); }
  void start_evaluation(Trainer& trainer) { trainer.use_average(true); }
  void end_evaluation(Trainer& trainer) { trainer.use_average(false); }

  Options options_;
};

}  // namespace fathom::callbacks
