// Kind `callback`: hooks into the training loop, under Lightning's names. Uses no torch. Called from the training
// thread.
//
//   class StopAtLoss final : public fathom::Callback {
//    public:
//     struct Options { double loss = 0.1; … };
//     explicit StopAtLoss(const Options& o) : options_(o) { on(Event::kTrainBatchEnd, &StopAtLoss::look); }
//    private:
//     void look(fathom::Trainer& trainer) { if (trainer.loss() < options_.loss) trainer.stop("loss reached"); }
//   };
//
// A callback is called only for the events it has handlers for; an event without any costs the loop nothing. One that
// is also fathom::Stateful keeps its state in checkpoints, under state_key().
#pragma once

#include <array>
#include <map>
#include <span>

#include "fathom/abi/callback.h"
#include "fathom/media.h"
#include "fathom/plugin.h"

namespace fathom {

enum class Event : uint32_t {
  kSetup = FATHOM_ON_SETUP,
  kFitStart = FATHOM_ON_FIT_START,
  kSanityCheckStart = FATHOM_ON_SANITY_CHECK_START,
  kSanityCheckEnd = FATHOM_ON_SANITY_CHECK_END,
  kTrainStart = FATHOM_ON_TRAIN_START,
  kTrainEpochStart = FATHOM_ON_TRAIN_EPOCH_START,
  kTrainBatchStart = FATHOM_ON_TRAIN_BATCH_START,
  kBeforeZeroGrad = FATHOM_ON_BEFORE_ZERO_GRAD,
  kBeforeBackward = FATHOM_ON_BEFORE_BACKWARD,
  kAfterBackward = FATHOM_ON_AFTER_BACKWARD,
  kBeforeOptimizerStep = FATHOM_ON_BEFORE_OPTIMIZER_STEP,
  kTrainBatchEnd = FATHOM_ON_TRAIN_BATCH_END,
  kTrainEpochEnd = FATHOM_ON_TRAIN_EPOCH_END,
  kTrainEnd = FATHOM_ON_TRAIN_END,
  kFitEnd = FATHOM_ON_FIT_END,
  kValidationStart = FATHOM_ON_VALIDATION_START,
  kValidationEpochStart = FATHOM_ON_VALIDATION_EPOCH_START,
  kValidationBatchStart = FATHOM_ON_VALIDATION_BATCH_START,
  kValidationBatchEnd = FATHOM_ON_VALIDATION_BATCH_END,
  kValidationEpochEnd = FATHOM_ON_VALIDATION_EPOCH_END,
  kValidationEnd = FATHOM_ON_VALIDATION_END,
  kTestStart = FATHOM_ON_TEST_START,
  kTestEpochStart = FATHOM_ON_TEST_EPOCH_START,
  kTestBatchStart = FATHOM_ON_TEST_BATCH_START,
  kTestBatchEnd = FATHOM_ON_TEST_BATCH_END,
  kTestEpochEnd = FATHOM_ON_TEST_EPOCH_END,
  kTestEnd = FATHOM_ON_TEST_END,
  kException = FATHOM_ON_EXCEPTION,
  kTeardown = FATHOM_ON_TEARDOWN,
  kInterrupt = FATHOM_ON_INTERRUPT,
  kPredictStart = FATHOM_ON_PREDICT_START,
  kPredictEpochStart = FATHOM_ON_PREDICT_EPOCH_START,
  kPredictBatchStart = FATHOM_ON_PREDICT_BATCH_START,
  kPredictBatchEnd = FATHOM_ON_PREDICT_BATCH_END,
  kPredictEpochEnd = FATHOM_ON_PREDICT_EPOCH_END,
  kPredictEnd = FATHOM_ON_PREDICT_END,
};

// Who is called after whom at one event: watchers of a metric late, savers last.
enum class Order : int32_t {
  kNormal = FATHOM_ORDER_NORMAL,
  kMonitoring = FATHOM_ORDER_MONITORING,
  kCheckpoint = FATHOM_ORDER_CHECKPOINT
};

// What a callback sees of the trainer. What an older program does not offer is an error in words when it is asked for.
class Trainer {
 public:
  explicit Trainer(const fathom_trainer* table) : own_(filled(table)), t_(&own_) {}
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  // Where the run stands now. Fields that the program does not know yet are zero.
  fathom_progress progress() const { return filled(t_->progress); }

  // Lightning's trainer.callback_metrics.
  std::optional<double> metric(std::string_view name) const {
    double value = 0;
    if (need(&fathom_trainer::metric)(t_->ctx, to_abi(name), &value) == 0) return std::nullopt;
    return value;
  }
  std::vector<std::pair<std::string, double>> metrics() const { return collect(need(&fathom_trainer::metrics)); }
  std::vector<std::pair<std::string, double>> progress_bar_metrics() const {
    return collect(need(&fathom_trainer::progress_bar_metrics));
  }
  void log(std::string_view name, double value, uint32_t flags = 0) const {
    check(need(&fathom_trainer::log)(t_->ctx, to_abi(name), value, flags));
  }
  void stop(std::string_view reason) const { need (&fathom_trainer::stop)(t_->ctx, to_abi(reason)); }

  void save_checkpoint(const std::string& path, bool weights_only = false) const {
    check(need(&fathom_trainer::save_checkpoint)(t_->ctx, to_abi(path), weights_only ? FATHOM_SAVE_WEIGHTS_ONLY : 0));
  }
  // The averaged weights, as NeMo's -EMA files hold them.
  void save_average_checkpoint(const std::string& path, bool weights_only = false) const {
    check(need(&fathom_trainer::save_checkpoint)(t_->ctx, to_abi(path),
                                                 FATHOM_SAVE_AVERAGE | (weights_only ? FATHOM_SAVE_WEIGHTS_ONLY : 0)));
  }
  void save_nemo(const std::string& path) const { check(need(&fathom_trainer::save_nemo)(t_->ctx, to_abi(path))); }
  void load_weights(const std::string& path) const {
    check(need(&fathom_trainer::load_weights)(t_->ctx, to_abi(path)));
  }

  // Optimizers by index: one, unless the model optimizes by hand. None before training and in an evaluation.
  size_t optimizer_count() const { return need(&fathom_trainer::optimizer_count)(t_->ctx); }
  size_t group_count(size_t optimizer = 0) const { return need(&fathom_trainer::group_count)(t_->ctx, optimizer); }
  double optimizer_option(size_t optimizer, size_t group, std::string_view name) const {
    double value = 0;
    check(need(&fathom_trainer::optimizer_option)(t_->ctx, optimizer, group, to_abi(name), &value));
    return value;
  }
  std::string optimizer_name(size_t optimizer = 0) const {
    return to_string(need(&fathom_trainer::optimizer_name)(t_->ctx, optimizer));
  }
  // Of the training batch in hand.
  double loss() const {
    double value = 0;
    check(need(&fathom_trainer::loss)(t_->ctx, &value));
    return value;
  }
  // 2-norm of all gradients before clipping.
  double gradient_norm() const {
    double value = 0;
    check(need(&fathom_trainer::gradient_norm)(t_->ctx, &value));
    return value;
  }
  Json model_summary(int depth) const {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    need (&fathom_trainer::model_summary)(t_->ctx, depth, &sink);
    return parse_text(text);
  }
  std::string resumed_from() const { return to_string(need(&fathom_trainer::resumed_from)(t_->ctx)); }

  // An exponential moving average of the parameters beside the optimizer, from now on; one per run.
  void keep_average(double decay, int64_t every_n_steps) const {
    check(need(&fathom_trainer::keep_average)(t_->ctx, decay, every_n_steps));
  }
  bool has_average() const { return t_->has_average != nullptr && t_->has_average(t_->ctx) != 0; }
  // The model computes with the averages (true) or with its weights (false). Without an average nothing happens.
  void use_average(bool on) const {
    if (has_average()) check(need(&fathom_trainer::use_average)(t_->ctx, on ? 1 : 0));
  }

  // --- windows of accumulation, a mean of the weights, schedules, rows of one's own, ways to stop ---
  // At setup: from each 0-based epoch on so many batches make an optimizer step. Throws Error(kFailed) where the
  // trainer or another callback says something else.
  void plan_accumulation(const std::map<int64_t, int64_t>& batches_from_epoch) const {
    std::vector<int64_t> epochs, batches;
    for (const auto& [epoch, count] : batches_from_epoch) {
      epochs.push_back(epoch);
      batches.push_back(count);
    }
    check(need(&fathom_trainer::plan_accumulation)(t_->ctx, epochs.data(), batches.data(), epochs.size()));
  }
  // At the start of fit: a mean of all parameters, kept in checkpoints in the state under this key; one per run.
  void keep_mean(std::string_view state_key) const {
    check(need(&fathom_trainer::keep_mean)(t_->ctx, to_abi(state_key)));
  }
  // The weights as they are go into the mean, which holds `taken` of them so far.
  void add_to_mean(int64_t taken) const { check(need(&fathom_trainer::add_to_mean)(t_->ctx, taken)); }
  void take_mean() const { check(need(&fathom_trainer::take_mean)(t_->ctx)); }
  // At the start of fit: with batch norm in the model one epoch is added at the end, which renews its statistics.
  bool add_statistics_epoch() const {
    int32_t added = 0;
    check(need(&fathom_trainer::add_statistics_epoch)(t_->ctx, &added));
    return added != 0;
  }
  // From now on: `section` names a scheduler as model.optim.sched does.
  void replace_schedule(const Json& section) const {
    const std::string text = json_text(section);
    check(need(&fathom_trainer::replace_schedule)(t_->ctx, to_abi(text)));
  }
  // "step" or "epoch"; "" without a schedule.
  std::string schedule_interval(size_t optimizer = 0) const {
    return to_string(need(&fathom_trainer::schedule_interval)(t_->ctx, optimizer));
  }
  size_t logger_count() const { return need(&fathom_trainer::logger_count)(t_->ctx); }
  // A row of its own to every logger, at once. `as_metrics`: callbacks see the values as metrics, too.
  void log_row(std::span<const std::pair<std::string, double>> row, int64_t step, bool as_metrics = false) const {
    std::vector<fathom_metric_value> values;
    for (const auto& [name, value] : row) values.push_back({to_abi(name), value});
    const auto array = array_of<fathom_metric_values>(values.data(), values.size());
    check(need(&fathom_trainer::log_row)(t_->ctx, &array, step, as_metrics ? 1 : 0));
  }
  // Before clipping: each gradient's norm by its parameter's name, and last, under "", the norm of those.
  std::vector<std::pair<std::string, double>> gradient_norms(double norm_type) const {
    std::vector<std::pair<std::string, double>> out;
    const fathom_metric_sink sink = metric_sink(out);
    check(need(&fathom_trainer::gradient_norms)(t_->ctx, norm_type, &sink));
    return out;
  }
  // As stop(), for this run alone: one that is resumed trains on.
  void stop_this_run(std::string_view reason) const { need (&fathom_trainer::stop_this_run)(t_->ctx, to_abi(reason)); }
  // As if the process had got this signal: the run saves after the step in hand and ends.
  void interrupt(int signal) const { need (&fathom_trainer::interrupt)(t_->ctx, signal); }
  // ---
  // At the end of a predict batch: what is known of each of its items, a JSON object as text.
  std::vector<std::string> predictions() const {
    std::vector<std::string> items;
    const fathom_text_sink sink = {&items, [](void* ctx, fathom_str text) {
                                     static_cast<std::vector<std::string>*>(ctx)->push_back(to_string(text));
                                   }};
    need (&fathom_trainer::predictions)(t_->ctx, &sink);
    return items;
  }
  // For the loggers that can take them, at progress().global_step; see Step in model.h.
  void log_text(std::string_view name, std::string_view text) const { media().log_text(name, text); }
  void log_histogram(std::string_view name, const FloatArray& values) const { media().log_histogram(name, values); }
  void log_audio(std::string_view name, const FloatArray& samples, int64_t sample_rate) const {
    media().log_audio(name, samples, sample_rate);
  }
  void log_image(std::string_view name, const FloatArray& pixels) const { media().log_image(name, pixels); }

 private:
  static fathom_metric_sink metric_sink(std::vector<std::pair<std::string, double>>& out) {
    return {&out, [](void* c, fathom_str name, double value) {
              static_cast<std::vector<std::pair<std::string, double>>*>(c)->emplace_back(to_string(name), value);
            }};
  }
  static std::vector<std::pair<std::string, double>> collect_from(void (*list)(void*, const fathom_metric_sink*),
                                                                  void* ctx) {
    std::vector<std::pair<std::string, double>> out;
    const fathom_metric_sink sink = metric_sink(out);
    list(ctx, &sink);
    return out;
  }
  std::vector<std::pair<std::string, double>> collect(void (*list)(void*, const fathom_metric_sink*)) const {
    return collect_from(list, t_->ctx);
  }
  MediaLog media() const { return MediaLog(t_->media); }
  // A function of the table, or an error where the program is older than this plugin and has it not.
  template <typename F>
  F need(F fathom_trainer::*function) const {
    if (t_->*function != nullptr) return t_->*function;
    throw Error(Code::kUnavailable, "this program's trainer lacks a function that the callback needs")
        .next("update the program, or use the callback built for it");
  }
  const fathom_trainer own_, *t_;
};

namespace callback_detail {
const void* table();
}

class Callback {
 public:
  using ComponentKind = SimpleKind<Callback, FATHOM_KIND_CALLBACK, &callback_detail::table>;

  virtual ~Callback() = default;
  // Key of the state in a checkpoint; two stateful callbacks must not share one. "" = keeps no state.
  virtual std::string state_key() const { return ""; }
  virtual Order order() const { return Order::kNormal; }

  uint64_t events() const { return events_; }
  void handle(Event event, Trainer& trainer) {
    if (auto& handler = handlers_[static_cast<size_t>(event)]) handler(trainer);
  }

 protected:
  template <typename T>
  void on(Event event, void (T::*method)(Trainer&)) {
    events_ |= uint64_t{1} << static_cast<uint32_t>(event);
    handlers_[static_cast<size_t>(event)] = [this, method](Trainer& trainer) {
      (static_cast<T*>(this)->*method)(trainer);
    };
  }

 private:
  uint64_t events_ = 0;
  std::array<std::function<void(Trainer&)>, FATHOM_EVENT_COUNT> handlers_;
};

namespace callback_detail {
inline Callback& callback(void* self) { return *static_cast<Callback*>(self); }

inline const void* table() {
  static const fathom_callback_v1 table = {
      sizeof(fathom_callback_v1), [](void* self) { return callback(self).events(); },
      [](void* self, uint32_t event, const fathom_trainer* trainer) {
        return guard([&] {
          Trainer view(trainer);
          if (event < FATHOM_EVENT_COUNT) callback(self).handle(static_cast<Event>(event), view);
        });
      },
      [](void* self, const fathom_text_sink* key) { write(key, callback(self).state_key()); },
      [](void* self) { return static_cast<int32_t>(callback(self).order()); }};
  return &table;
}
}  // namespace callback_detail

// A callback on the host's side.
class CallbackHandle {
 public:
  explicit CallbackHandle(fathom_object object) : handle_(object), events_(handle_.vtable().events(handle_.self())) {}
  std::string name() const { return handle_.name(); }
  bool wants(uint32_t event) const { return (events_ >> event & 1) != 0; }
  void on_event(uint32_t event, const fathom_trainer& trainer) const {
    check(handle_.vtable().on_event(handle_.self(), event, &trainer));
  }
  // Empty for one that keeps no state.
  std::string state_key() const {
    if (handle_.vtable().state_key == nullptr || !has_state(handle_.object())) return {};
    std::string key;
    const fathom_text_sink sink = text_sink(key);
    handle_.vtable().state_key(handle_.self(), &sink);
    return key;
  }
  Json save_state() const { return fathom::save_state(handle_.object()); }
  void load_state(const Json& state) const { fathom::load_state(handle_.object(), state); }
  Order order() const {
    return handle_.vtable().order == nullptr ? Order::kNormal
                                             : static_cast<Order>(handle_.vtable().order(handle_.self()));
  }

 private:
  Handle<fathom_callback_v1> handle_;
  uint64_t events_;
};

}  // namespace fathom
