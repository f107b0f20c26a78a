#include "plugins/callbacks/progress_bar.h"

#include <gmock/gmock.h>

#include "plugins/callbacks/trainer_view_stub.h"

namespace fathom::callbacks {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

struct Screen {
  std::string text;
  ProgressBar::Clock::time_point now{};
  int64_t memory = 0;
  ProgressBar::Output output(bool terminal, bool colour = false, int width = 200) {
    return {terminal,
            colour,
            [this](std::string_view t) { text += t; },
            [width] { return width; },
            [this] { return now; },
            [this] { return memory; }};
  }
};

TEST(ProgressBar, PlainLinesAtMostEveryTenSeconds) {
  Screen screen;
  ProgressBar bar({}, Json::object(), screen.output(false));
  TrainerViewStub trainer;
  trainer.progress.training_batches = 100;
  trainer.bar_metrics = {{"val_loss", 0.25}};
  trainer.add(bar);
  trainer.emit(Event::kTrainStart);
  trainer.emit(Event::kTrainEpochStart);
  for (int i = 0; i < 25; ++i) {
    trainer.progress.batch_idx = i;
    trainer.progress.global_step = i + 1;
    screen.now += 1s;
    trainer.emit(Event::kTrainBatchEnd);
  }
  EXPECT_EQ(screen.text,
            "epoch 0/0 10/100  step 10  1.0 it/s  ETA 01:30  loss 0.5000  lr 0.0100  val_loss 0.2500\n"
            "epoch 0/0 20/100  step 20  1.0 it/s  ETA 01:20  loss 0.5000  lr 0.0100  val_loss 0.2500\n");
  EXPECT_EQ(trainer.losses_read, 2);  // only when it draws
}

TEST(ProgressBar, ShowsSamplesTheWholeFitMemoryAndVersion) {
  Screen screen;
  screen.memory = 1'234'000'000;
  ProgressBar bar({}, {{"version", "version_3"}}, screen.output(false));
  TrainerViewStub trainer;
  trainer.progress.training_batches = 100;
  trainer.progress.max_epochs = 3;
  trainer.progress.items_trained = 1000;  // of epochs before
  trainer.progress.seconds_trained = 500;
  trainer.add(bar);
  trainer.emit(Event::kTrainStart);
  trainer.emit(Event::kTrainEpochStart);
  const auto train = [&](int64_t batch) {
    trainer.progress.batch_idx = batch;
    trainer.progress.global_step = batch + 1;
    trainer.progress.items_trained += 16;
    trainer.progress.seconds_trained += 2.5;
    screen.now += 1s;
    trainer.emit(Event::kTrainBatchEnd);
  };
  for (int64_t i = 0; i < 10; ++i) train(i);
  EXPECT_EQ(screen.text,
            "epoch 0/2 10/100  step 10  1.0 it/s  16 samples/s  2.5 s audio/s  ETA 01:30  fit 04:50  loss 0.5000  "
            "lr 0.0100  mem 1.23 GB  v_num 3\n");
  // A limit of steps that comes first, and a validation, which takes its time but no batch.
  trainer.progress.max_steps = 40;
  trainer.emit(Event::kValidationStart);
  screen.now += 20s;
  trainer.emit(Event::kValidationEnd);
  screen.text.clear();
  train(10);
  EXPECT_THAT(screen.text,
              HasSubstr("1.0 it/s  16 samples/s  2.5 s audio/s  ETA 01:29  fit 01:22"));  // 29 of 31 / 11 s
}

TEST(ProgressBar, OtherVersionsAreTheirLastFourCharacters) {
  for (const auto& [version, shown] :
       {std::pair{"2026-01-02_03-04-05", "  v_num 4-05\n"}, {"957", "  v_num 957\n"}, {"", "lr 0.0100\n"}}) {
    Screen screen;
    ProgressBar bar({}, {{"version", version}}, screen.output(false));
    TrainerViewStub trainer;
    trainer.add(bar);
    trainer.emit(Event::kTrainStart);
    screen.now += 10s;
    trainer.emit(Event::kTrainBatchEnd);
    EXPECT_THAT(screen.text, ::testing::EndsWith(shown));
  }
}

TEST(ProgressBar, RefreshRateIsKept) {
  for (const auto& [rate, lines] : {std::pair<int64_t, int64_t>{0, 0}, {1, 10}, {3, 4}}) {  // and the last batch
    Screen screen;
    ProgressBar bar(parse_options<ProgressBar::Options>({{"refresh_rate", rate}, {"plain_interval", 0.0}}, "c"),
                    Json::object(), screen.output(false));
    TrainerViewStub trainer;
    trainer.progress.training_batches = 10;
    trainer.add(bar);
    trainer.emit(Event::kTrainStart);
    for (int64_t i = 0; i < 10; ++i) {
      trainer.progress.batch_idx = i;
      screen.now += 1s;
      trainer.emit(Event::kTrainBatchEnd);
    }
    EXPECT_EQ(std::count(screen.text.begin(), screen.text.end(), '\n'), lines) << rate;
    EXPECT_EQ(screen.text.find('\r'), std::string::npos);
  }
}

TEST(ProgressBar, TerminalLineIsUpdatedAndFits) {
  Screen screen;
  ProgressBar bar({}, Json::object(), screen.output(true, false, 40));
  TrainerViewStub trainer;
  trainer.add(bar);
  trainer.emit(Event::kTrainStart);
  trainer.emit(Event::kTrainEpochStart);
  screen.now += 150ms;
  trainer.emit(Event::kTrainBatchEnd);
  screen.now += 10ms;
  trainer.emit(Event::kTrainBatchEnd);  // too soon
  EXPECT_EQ(screen.text, "\x1b[2Kepoch 0/0 [#####...............] 1/4  s\r");
  trainer.emit(Event::kTrainEpochEnd);
  EXPECT_THAT(screen.text, ::testing::EndsWith("\n"));
}

TEST(ProgressBar, AfterTheLastEpochThereIsNone) {
  Screen screen;
  ProgressBar bar({}, Json::object(), screen.output(false));
  TrainerViewStub trainer;
  trainer.add(bar);
  trainer.progress.epoch = 1;  // of one
  trainer.emit(Event::kTestStart);
  screen.now += 15s;
  trainer.emit(Event::kTestBatchEnd);
  EXPECT_THAT(screen.text, ::testing::StartsWith("eval 1/1"));
}

TEST(ProgressBar, ColourOnlyWhenAllowed) {
  for (const bool colour : {false, true}) {
    Screen screen;
    ProgressBar bar({}, Json::object(), screen.output(true, colour));
    TrainerViewStub trainer;
    trainer.add(bar);
    trainer.emit(Event::kTrainStart);
    screen.now += 1s;
    trainer.emit(Event::kTrainBatchEnd);
    EXPECT_EQ(screen.text.find("\x1b[1m") != std::string::npos, colour);
  }
}

TEST(ProgressBar, AStepThatDoesNotDrawIsCheap) {
  Screen screen;
  auto output = screen.output(true);
  output.now = [] { return ProgressBar::Clock::now(); };
  ProgressBar bar({}, Json::object(), output);
  TrainerViewStub trainer;
  trainer.add(bar);
  trainer.emit(Event::kTrainStart);
  Trainer view(&trainer.table);
  constexpr int kSteps = 100000;
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < kSteps; ++i) bar.handle(Event::kTrainBatchEnd, view);
  const double us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count() / kSteps;
  std::printf("progress bar: %.3f us per step\n", us);
  EXPECT_LT(us, 5);  // loose: other work may share the machine
}

}  // namespace
}  // namespace fathom::callbacks
