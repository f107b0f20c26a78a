// The trainer as a callback that only shows something sees it, for the progress bar's tests: numbers filled in by hand.
// It has no loop and saves nothing; whatever a callback does to a run is tried with the real trainer (tests/e2e).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fathom/callback.h"

namespace fathom::callbacks {

class TrainerViewStub {
 public:
  TrainerViewStub() {
    progress.struct_size = sizeof progress;
    progress.max_epochs = 1;
    progress.max_steps = -1;
    progress.training_batches = 4;
    progress.eval_batches = 1;
    progress.log_every_n_steps = 50;
    table.struct_size = sizeof table;
    table.ctx = this;
    table.progress = &progress;
    table.progress_bar_metrics = [](void* ctx, const fathom_metric_sink* out) {
      for (const auto& [name, value] : self(ctx).bar_metrics) out->emit(out->ctx, to_abi(name), value);
    };
    table.optimizer_count = [](void*) -> size_t { return 1; };
    table.group_count = [](void*, size_t) -> size_t { return 1; };
    table.optimizer_option = [](void*, size_t, size_t, fathom_str, double* value) -> fathom_status {
      *value = 0.01;
      return FATHOM_OK;
    };
    table.loss = [](void* ctx, double* value) -> fathom_status {
      ++self(ctx).losses_read;
      *value = 0.5;
      return FATHOM_OK;
    };
  }

  void add(Callback& callback) { callbacks.push_back(&callback); }
  void emit(Event event) {
    for (auto* callback : callbacks) {
      if ((callback->events() >> static_cast<uint32_t>(event) & 1) == 0) continue;
      Trainer view(&table);
      callback->handle(event, view);
    }
  }

  fathom_progress progress{};
  fathom_trainer table{};
  std::map<std::string, double> bar_metrics;
  std::vector<Callback*> callbacks;
  int losses_read = 0;

 private:
  static TrainerViewStub& self(void* ctx) { return *static_cast<TrainerViewStub*>(ctx); }
};

}  // namespace fathom::callbacks
