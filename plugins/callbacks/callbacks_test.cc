#include <gmock/gmock.h>

#include "plugins/callbacks/early_stopping.h"
#include "plugins/callbacks/model_summary.h"
#include "plugins/callbacks/system_stats.h"

namespace fathom::callbacks {
namespace {

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

}  // namespace
}  // namespace fathom::callbacks
