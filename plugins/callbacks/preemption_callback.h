// PreemptionCallback: NeMo's. A signal of the scheduler makes the run save its -last checkpoint after the step in hand
// and end. A run does so on SIGTERM and SIGINT in any case; this adds another signal.
#pragma once

#include <csignal>

#include "fathom/callback.h"

namespace fathom::callbacks {

class PreemptionCallback final : public Callback {
 public:
  struct Options {
    Json sig = nullptr, checkpoint_callback = nullptr;
    static void describe(OptionSet<Options>& o) {
      o("sig", &Options::sig, "signal to save and end on, a number or a name such as SIGUSR1; null: SIGTERM");
      o("checkpoint_callback", &Options::checkpoint_callback, "only null: every checkpoint callback of the run saves");
    }
  };
  explicit PreemptionCallback(const Options& options);
  ~PreemptionCallback() override { restore(); }

 private:
  void start(Trainer& trainer);
  void look(Trainer& trainer);
  void end(Trainer&) { restore(); }
  void restore();

  int signal_ = SIGTERM;
  bool catches_ = false;
  struct sigaction before_ {};
};

}  // namespace fathom::callbacks
