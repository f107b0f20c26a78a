#include <gmock/gmock.h>

#include "plugins/callbacks/early_stopping.h"
#include "plugins/callbacks/fake_trainer.h"
#include "plugins/callbacks/learning_rate_monitor.h"
#include "plugins/callbacks/model_summary.h"
#include "plugins/callbacks/system_stats.h"
#include "plugins/callbacks/timer.h"
#include "plugins/callbacks/timing_callback.h"

namespace fathom::callbacks {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// Epochs that are trained before it stops.
int64_t epochs(const Json& config, std::vector<double> val_loss, std::string* reason = nullptr) {
  FakeTrainer trainer;
  trainer.progress.max_epochs = 20;
  trainer.val_loss = std::move(val_loss);
  EarlyStopping callback(parse_options<EarlyStopping::Options>(config, "callback"));
  trainer.add(callback);
  trainer.fit();
  if (reason != nullptr) *reason = trainer.stop_reason;
  return trainer.progress.epoch;
}

TEST(EarlyStopping, PatienceCountsChecksWithoutImprovement) {
  EXPECT_EQ(epochs({}, {3, 2, 2, 2, 2}), 5);
  EXPECT_EQ(epochs({{"patience", 1}}, {3, 2, 2, 1}), 3);
  EXPECT_EQ(epochs({{"patience", 0}}, {3, 4}), 2);
  EXPECT_EQ(epochs({{"patience", 2}, {"mode", "max"}}, {1, 2, 1, 1, 9}), 4);
  EXPECT_EQ(epochs({{"patience", 2}, {"min_delta", 0.5}}, {3, 2.6, 2.4, 2.3, 2.2}), 5);
  EXPECT_EQ(
      epochs({}, {5, 4, 3, 2, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04}), 20);
}

TEST(EarlyStopping, ThresholdsAndFiniteness) {
  std::string reason;
  EXPECT_EQ(epochs({}, {3, std::nan("")}, &reason), 2);
  EXPECT_THAT(reason, HasSubstr("not finite"));
  EXPECT_EQ(epochs({{"stopping_threshold", 1.0}}, {3, 1, 0.5}), 3);
  EXPECT_EQ(epochs({{"divergence_threshold", 10.0}}, {3, 11}), 2);
  EXPECT_EQ(epochs({{"check_finite", false}, {"patience", 2}}, {3, std::nan(""), INFINITY}), 3);
}

TEST(EarlyStopping, MissingMetric) {
  EXPECT_THROW(epochs({{"monitor", "nope"}}, {1}), Error);
  EXPECT_EQ(epochs({{"monitor", "nope"}, {"strict", false}}, {1}), 20);
}

TEST(EarlyStopping, StateGoesOn) {
  EarlyStopping first(EarlyStopping::Options{});
  EXPECT_EQ(first.state_key(), "EarlyStopping{'monitor': 'val_loss', 'mode': 'min'}");
  EXPECT_EQ(first.save_state()["best_score"], "inf");
  EXPECT_EQ(first.judge(1), "");
  EXPECT_EQ(first.judge(2), "");
  EarlyStopping second(EarlyStopping::Options{});
  second.load_state(parse_text(json_text(first.save_state())));
  EXPECT_EQ(second.save_state(), (Json{{"wait_count", 1}, {"stopped_epoch", 0}, {"best_score", 1.0}, {"patience", 3}}));
  EXPECT_EQ(second.judge(1), "");
  EXPECT_NE(second.judge(1), "");
}

// Rows of their own are written down like logged values, by a run with one logger and a schedule that moves with steps.
void offer_rows(FakeTrainer& trainer) {
  trainer.table.logger_count = [](void*) -> size_t { return 1; };
  trainer.table.schedule_interval = [](void*, size_t) { return to_abi("step"); };
  trainer.table.log_row = [](void* ctx, const fathom_metric_values* row, int64_t, int32_t) -> fathom_status {
    const ArrayView<fathom_metric_values> values(*row);
    for (size_t i = 0; i < values.size(); ++i)
      static_cast<FakeTrainer*>(ctx)->logged.emplace_back(to_string(values[i].name), values[i].value);
    return FATHOM_OK;
  };
}

TEST(LearningRateMonitor, NamesAndValues) {
  FakeTrainer trainer;
  offer_rows(trainer);
  trainer.groups = 2;
  trainer.progress.log_every_n_steps = 2;
  trainer.progress.max_epochs = 1;
  LearningRateMonitor callback(
      parse_options<LearningRateMonitor::Options>({{"log_momentum", true}, {"log_weight_decay", true}}, "c"));
  trainer.add(callback);
  trainer.fit();
  ASSERT_EQ(trainer.logged.size(), 12u);  // steps 2 and 4
  trainer.logged.resize(6);
  EXPECT_THAT(trainer.logged,
              ElementsAre(Pair("lr-Novograd/pg1", 0.01), Pair("lr-Novograd/pg1-momentum", 0.9),
                          Pair("lr-Novograd/pg1-weight_decay", 0.001), Pair("lr-Novograd/pg2", 1.01),
                          Pair("lr-Novograd/pg2-momentum", 1.9), Pair("lr-Novograd/pg2-weight_decay", 1.001)));
  EXPECT_THROW(LearningRateMonitor(parse_options<LearningRateMonitor::Options>({{"logging_interval", "batch"}}, "c")),
               Error);
}

TEST(LearningRateMonitor, EpochIntervalTakesTheRateAtItsStart) {
  FakeTrainer trainer;
  offer_rows(trainer);
  trainer.progress.max_epochs = 2;
  trainer.after = [&](const char*) { trainer.optimizer["lr"] /= 2; };
  LearningRateMonitor callback(parse_options<LearningRateMonitor::Options>({{"logging_interval", "epoch"}}, "c"));
  trainer.add(callback);
  trainer.fit();
  ASSERT_EQ(trainer.logged.size(), 2u);
  EXPECT_THAT(trainer.logged[0], Pair("lr-Novograd", 0.01));
}

TEST(SystemStats, ReadsWhatTheKernelSays) {
  const CpuTimes times = read_cpu_times("cpu  100 5 50 800 40 3 2 0 90 1\ncpu0 1 2 3 4 5 6 7 8 9 0\n");
  EXPECT_EQ(times.total, 1000u) << "the time of guests is in that of users";
  EXPECT_EQ(times.busy, 160u);
  const MemoryUse use = read_memory_use(
      "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    333 kB\nSwapTotal:       50 kB\n"
      "SwapFree:        20 kB\n");
  EXPECT_DOUBLE_EQ(use.memory, 66.7);
  EXPECT_DOUBLE_EQ(use.swap, 60.0);
  EXPECT_DOUBLE_EQ(read_memory_use("MemTotal: 4 kB\nMemAvailable: 2 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n").swap, 0);
  SystemStats stats;
  std::map<std::string, double> now;
  for (const auto& [name, value] : stats.read()) now[name] = value;
  EXPECT_EQ(now.size(), 5u);
  EXPECT_GT(now.at("cpu_vm_percent"), 0);
  EXPECT_GT(now.at("process_memory_percent"), 0);
  EXPECT_LT(now.at("process_memory_percent"), 100);
}

TEST(ModelSummary, Table) {
  const Json summary = {
      {"modules",
       {{{"name", "encoder"},
         {"type", "ConvASREncoder"},
         {"params", 18924381},
         {"trainable", 18900000},
         {"training", true}},
        {{"name", "loss"}, {"type", "CTCLoss"}, {"params", 0}, {"trainable", 0}, {"training", true}}}},
      {"total", 18924381},
      {"trainable", 18900000},
      {"non_trainable", 24381}};
  EXPECT_EQ(ModelSummary::table(summary),
            "  | Name    | Type           | Params | Mode\n"
            "---------------------------------------------\n"
            "0 | encoder | ConvASREncoder | 18.9 M | train\n"
            "1 | loss    | CTCLoss        | 0      | train\n"
            "---------------------------------------------\n"
            "18.9 M    Trainable params\n"
            "24.4 K    Non-trainable params\n"
            "18.9 M    Total params\n"
            "75.698    Total estimated model params size (MB)");
}

TEST(ModelSummary, ParametersOfTheModelItselfSizesAndModes) {
  const Json summary = {
      {"modules",
       {{{"name", "a"}, {"type", "A"}, {"params", 999999}, {"trainable", 999999}, {"training", true}},
        {{"name", "a.b"}, {"type", "B"}, {"params", 123456}, {"trainable", 123456}, {"training", false}}}},
      {"total", 1000999},
      {"trainable", 1000999},
      {"non_trainable", 0},
      {"bytes", 8007992},
      {"modules_in_train_mode", 1},
      {"modules_in_eval_mode", 1}};
  EXPECT_EQ(ModelSummary::table(summary),
            "  | Name         | Type | Params | Mode\n"
            "----------------------------------------\n"
            "0 | a            | A    | 999 K  | train\n"
            "1 | a.b          | B    | 123 K  | eval\n"
            "  | other params | n/a  | 1.0 K  | n/a\n"
            "----------------------------------------\n"
            "1.0 M     Trainable params\n"
            "0         Non-trainable params\n"
            "1.0 M     Total params\n"
            "8.008     Total estimated model params size (MB)\n"
            "1         Modules in train mode\n"
            "1         Modules in eval mode");
}

TEST(TimingCallback, LogsEveryStep) {
  FakeTrainer trainer;
  trainer.val_loss = {1};
  TimingCallback callback(parse_options<TimingCallback::Options>({{"buffer_size", 2}}, "c"));
  trainer.add(callback);
  trainer.fit();
  std::map<std::string, int> counts;
  for (const auto& [name, value] : trainer.logged) {
    ++counts[name];
    EXPECT_GE(value, 0);
    EXPECT_LT(value, 5);
  }
  EXPECT_THAT(counts, ElementsAre(Pair("train_step_timing in s", 4), Pair("validation_step_timing in s", 1)));
  EXPECT_THROW(TimingCallback(parse_options<TimingCallback::Options>({{"reduction", "mode"}}, "c")), Error);
}

TEST(Timer, TimeUsedBeforeCounts) {
  FakeTrainer trainer;
  Timer timer(parse_options<Timer::Options>({{"duration", "00:00:01:00"}}, "c"));
  timer.load_state({{"time_elapsed", {{"train", 61.0}}}});
  trainer.add(timer);
  trainer.fit();
  EXPECT_EQ(trainer.progress.global_step, 0);
  EXPECT_NE(trainer.stop_reason, "");
  EXPECT_GE(timer.save_state()["time_elapsed"]["train"].get<double>(), 61.0);
}

}  // namespace
}  // namespace fathom::callbacks
