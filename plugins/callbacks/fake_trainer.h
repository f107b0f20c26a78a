// A trainer without a model, for tests: the table that callbacks see, filled by hand, and a loop that sends Lightning's
// events in their order. Checkpoints are small files; metrics are what the test says.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fathom/callback.h"

namespace fathom::callbacks {

class FakeTrainer {
 public:
  FakeTrainer() {
    progress.struct_size = sizeof progress;
    progress.max_epochs = 1;
    progress.max_steps = -1;
    progress.training_batches = 4;
    progress.eval_batches = 1;
    progress.val_check_interval = 1.0;
    progress.check_val_every_n_epoch = 1;
    progress.log_every_n_steps = 50;
    progress.has_validation = progress.val_check_at_epoch_end = 1;
    table.struct_size = sizeof table;
    table.ctx = this;
    table.progress = &progress;
    table.metric = [](void* ctx, fathom_str name, double* value) -> int32_t {
      const auto& metrics = self(ctx).metrics;
      const auto found = metrics.find(to_string(name));
      if (found != metrics.end()) *value = found->second;
      return found != metrics.end();
    };
    table.metrics = [](void* ctx, const fathom_metric_sink* out) {
      for (const auto& [name, value] : self(ctx).metrics) out->emit(out->ctx, to_abi(name), value);
    };
    table.progress_bar_metrics = [](void* ctx, const fathom_metric_sink* out) {
      for (const auto& [name, value] : self(ctx).bar_metrics) out->emit(out->ctx, to_abi(name), value);
    };
    table.log = [](void* ctx, fathom_str name, double value, uint32_t) -> fathom_status {
      self(ctx).logged.emplace_back(to_string(name), value);
      return FATHOM_OK;
    };
    table.stop = [](void* ctx, fathom_str reason) {
      self(ctx).progress.should_stop = 1;
      self(ctx).stop_reason = to_string(reason);
    };
    table.save_checkpoint = [](void* ctx, fathom_str path, int32_t flags) {
      return guard([&] { self(ctx).save(to_string(path), flags); });
    };
    table.keep_average = [](void* ctx, double, int64_t) { return guard([&] { self(ctx).averaging = true; }); };
    table.has_average = [](void* ctx) -> int32_t { return self(ctx).averaging; };
    table.use_average = [](void* ctx, int32_t on) { return guard([&] { self(ctx).average_in_use = on != 0; }); };
    table.save_nemo = [](void* ctx, fathom_str path) -> fathom_status {
      FakeTrainer& t = self(ctx);
      t.note("save_nemo", to_string(path));
      std::ofstream(to_string(path)) << t.weights << (t.average_in_use ? " average" : "");
      return FATHOM_OK;
    };
    table.load_weights = [](void* ctx, fathom_str path) {
      return guard([&] {
        std::ifstream file(to_string(path));
        if (!(file >> self(ctx).weights)) throw Error(Code::kNoInput, "no such checkpoint").at(to_string(path));
      });
    };
    table.optimizer_count = [](void*) -> size_t { return 1; };
    table.group_count = [](void* ctx, size_t) -> size_t { return self(ctx).groups; };
    table.optimizer_option = [](void* ctx, size_t, size_t group, fathom_str name, double* value) {
      return guard([&] {
        const auto found = self(ctx).optimizer.find(to_string(name));
        if (found == self(ctx).optimizer.end()) throw Error(Code::kFailed, "no such option");
        *value = found->second + static_cast<double>(group);
      });
    };
    table.optimizer_name = [](void*, size_t) { return to_abi("Novograd"); };
    table.loss = [](void* ctx, double* value) -> fathom_status {
      ++self(ctx).losses_read;
      *value = 0.5;
      return FATHOM_OK;
    };
    table.gradient_norm = [](void*, double* value) -> fathom_status { return *value = 1, FATHOM_OK; };
    table.model_summary = [](void* ctx, int32_t, const fathom_text_sink* json) {
      write(json, json_text(self(ctx).summary));
    };
    table.resumed_from = [](void* ctx) { return to_abi(self(ctx).resumed_from); };
    // The errors that cross the boundary need a host that keeps them.
    static fathom_host host{};
    host.struct_size = sizeof host;
    host.set_error = [](const fathom_error* error) {
      texts() = {to_string(error->what),     to_string(error->where),      to_string(error->seen),
                 to_string(error->expected), to_string(error->candidates), to_string(error->next)};
      auto& t = texts();
      last() = {sizeof(fathom_error), error->code,  to_abi(t[0]), to_abi(t[1]),
                to_abi(t[2]),         to_abi(t[3]), to_abi(t[4]), to_abi(t[5])};
    };
    host.last_error = []() -> const fathom_error* { return &last(); };
    host.log = [](int32_t, fathom_str, fathom_str text) { messages().push_back(to_string(text)); };
    host_slot() = &host;
    messages().clear();
  }

  static std::vector<std::string>& messages() {
    static std::vector<std::string> list;
    return list;
  }

  void add(Callback& callback) { callbacks.push_back(&callback); }
  void emit(Event event) {
    for (auto* callback : callbacks) {
      if ((callback->events() >> static_cast<uint32_t>(event) & 1) == 0) continue;
      Trainer view(&table);
      callback->handle(event, view);
    }
  }

  // --- the loop
  // ---------------------------------------------------------------------------------------------------------
  int64_t accumulate = 1, sanity_steps = 0;
  int64_t validate_every = 0;  // batches; 0: at the end of the epoch
  bool validation_every_n_epochs = true;
  std::vector<double> val_loss, train_x;
  std::string val_name = "val_loss";
  int64_t stop_epoch = -1, stop_batch = -1;
  std::function<void(const char* hook)> after;  // called after an event's callbacks

  void validate() {
    emit(Event::kValidationStart);
    emit(Event::kValidationBatchStart);
    emit(Event::kValidationBatchEnd);
    if (!val_loss.empty()) {
      const double value = val_loss[std::min(validations++, val_loss.size() - 1)];
      if (progress.sanity_checking == 0) metrics[val_name] = value;
    }
    emit(Event::kValidationEnd);
    if (after) after("validation_end");
  }

  void fit() {
    emit(Event::kFitStart);
    const bool validates = progress.has_validation != 0;
    if (sanity_steps > 0 && validates) {
      progress.sanity_checking = 1;
      validate();
      progress.sanity_checking = 0;
    }
    if (progress.max_epochs >= 0 && progress.epoch >= progress.max_epochs) return;
    emit(Event::kTrainStart);
    const int64_t every = validate_every > 0 ? validate_every : progress.training_batches;
    progress.val_check_at_epoch_end = every == progress.training_batches && progress.check_val_every_n_epoch == 1;
    bool max_steps = false;
    while (!max_steps && progress.should_stop == 0 &&
           (progress.max_epochs < 0 || progress.epoch < progress.max_epochs)) {
      emit(Event::kTrainEpochStart);
      for (progress.batch_idx = 0;
           progress.batch_idx < progress.training_batches && !max_steps && progress.should_stop == 0;
           ++progress.batch_idx) {
        emit(Event::kTrainBatchStart);
        if (!train_x.empty()) metrics["x"] = train_x[batches % train_x.size()];
        ++batches;
        if ((progress.batch_idx + 1) % accumulate == 0 || progress.batch_idx + 1 == progress.training_batches) {
          ++progress.global_step;
          ++progress.batches_that_stepped;
        }
        max_steps = progress.max_steps >= 0 && progress.global_step >= progress.max_steps;
        if (progress.epoch == stop_epoch && progress.batch_idx == stop_batch) progress.should_stop = 1;
        emit(Event::kTrainBatchEnd);
        if (after) after("train_batch_end");
        const bool epoch_validates = (progress.epoch + 1) % std::max<int64_t>(1, progress.check_val_every_n_epoch) == 0;
        if (validates && epoch_validates && ((progress.batch_idx + 1) % every == 0 || progress.should_stop != 0))
          validate();
      }
      emit(Event::kTrainEpochEnd);
      if (after) after("train_epoch_end");
      ++progress.epoch;
      progress.batch_idx = 0;
    }
    emit(Event::kTrainEnd);
    if (after) after("train_end");
    emit(Event::kFitEnd);
  }

  // --- what callbacks see and do
  // ----------------------------------------------------------------------------------------
  fathom_progress progress{};
  fathom_trainer table{};
  std::map<std::string, double> metrics, bar_metrics,
      optimizer = {{"lr", 0.01}, {"betas[0]", 0.9}, {"weight_decay", 0.001}};
  std::vector<std::pair<std::string, double>> logged;
  std::vector<Callback*> callbacks;
  std::string stop_reason, resumed_from;
  std::vector<std::string> saved;  // in order
  size_t groups = 1, validations = 0, batches = 0;
  int losses_read = 0, weights = 0;
  bool disk_full = false, averaging = false, average_in_use = false;
  Json summary;

 private:
  static FakeTrainer& self(void* ctx) { return *static_cast<FakeTrainer*>(ctx); }
  static std::vector<std::string>& texts() {
    static std::vector<std::string> list;
    return list;
  }
  static fathom_error& last() {
    static fathom_error error{};
    return error;
  }
  void note(const char*, const std::string& path) { saved.push_back(path); }
  void save(const std::string& path, int32_t flags) {
    if (disk_full) throw Error(Code::kIo, "cannot write: No space left on device").at(path);
    std::filesystem::remove(path);
    std::ofstream(path) << progress.global_step << ((flags & FATHOM_SAVE_WEIGHTS_ONLY) != 0 ? " weights" : " all")
                        << ((flags & FATHOM_SAVE_AVERAGE) != 0 ? " average" : "");
    saved.push_back(path);
  }
};

}  // namespace fathom::callbacks
