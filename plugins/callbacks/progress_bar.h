// ProgressBar: where training stands, on stderr. On a terminal one line that is updated a few times a second: epoch,
// batch, speed, time left of the epoch and of the whole fit, loss, learning rate, the metrics logged with prog_bar,
// resident memory and the run's v_num. Elsewhere (a file, a pipe, TERM=dumb, CI) a plain line at most every 10 seconds,
// without carriage returns. NO_COLOR is followed. A step that draws nothing costs a clock read; the loss is read from
// its device only to be shown.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "fathom/callback.h"

namespace fathom::callbacks {

class ProgressBar final : public Callback {
 public:
  struct Options {
    int64_t refresh_rate = 1;
    double plain_interval = 10;
    bool leave = true;
    int64_t process_position = 0;
    static void describe(OptionSet<Options>& o);
  };
  using Clock = std::chrono::steady_clock;
  // Where it draws; replaced in tests.
  struct Output {
    bool terminal = false, colour = false;
    std::function<void(std::string_view)> write;
    std::function<int()> width = [] { return 80; };
    std::function<Clock::time_point()> now = [] { return Clock::now(); };
    std::function<int64_t()> memory = [] { return int64_t{0}; };  // bytes; 0: not known
  };

  // `context`: the host's, of which it shows `version`, where it is known.
  ProgressBar(const Options& options, const Json& context);
  ProgressBar(const Options& options, const Json& context, Output output);

 private:
  void start_training(Trainer& trainer);
  void start_epoch(Trainer& trainer);
  void end_batch(Trainer& trainer);
  void end_epoch(Trainer& trainer);
  void start_evaluation(Trainer& trainer);
  void end_eval_batch(Trainer& trainer);
  void end_evaluation(Trainer& trainer);
  void finish(Trainer& trainer);

  bool due(int64_t batches_done, int64_t total);
  void draw(Trainer& trainer, const char* stage, int64_t done, int64_t total);
  std::string numbers(Trainer& trainer, bool training);
  // The time left until the last epoch or step, validations and checkpoints included; NaN where there is no last one.
  double seconds_left(const fathom_progress& progress, int64_t done, Clock::time_point now) const;
  void clear_line();

  Options options_;
  Output output_;
  Clock::duration interval_;
  std::string v_num_;
  Clock::time_point last_drawn_, stage_started_, training_started_;
  int64_t first_batch_ = 0;   // of this epoch, where this process started in it
  int64_t items_before_ = 0;  // trained by this process before this epoch, and their seconds of audio
  double audio_before_ = 0;
  int64_t batches_done_ = 0;  // by this process
  int64_t steps_before_ = 0;  // of the runs that it goes on from
  int64_t eval_done_ = 0;
  Clock::duration evaluation_time_{};  // within the epoch, not part of the training speed
  Clock::time_point evaluation_started_;
  bool drawn_ = false;
};

}  // namespace fathom::callbacks
