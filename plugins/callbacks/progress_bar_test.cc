#include "plugins/callbacks/progress_bar.h"

#include <gmock/gmock.h>

#include "plugins/callbacks/fake_trainer.h"

namespace fathom::callbacks {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

struct Screen {
  std::string text;
  ProgressBar::Clock::time_point now{};
  ProgressBar::Output output(bool terminal, bool colour = false, int width = 200) {
    return {terminal, colour, [this](std::string_view t) { text += t; }, [width] { return width; },
            [this] { return now; }};
  }
};

TEST(ProgressBar, PlainLinesAtMostEveryTenSeconds) {
  Screen screen;
  ProgressBar bar({}, screen.output(false));
  FakeTrainer trainer;
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

TEST(ProgressBar, TerminalLineIsUpdatedAndFits) {
  Screen screen;
  ProgressBar bar({}, screen.output(true, false, 40));
  FakeTrainer trainer;
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
  ProgressBar bar({}, screen.output(false));
  FakeTrainer trainer;
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
    ProgressBar bar({}, screen.output(true, colour));
    FakeTrainer trainer;
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
  ProgressBar bar({}, output);
  FakeTrainer trainer;
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
