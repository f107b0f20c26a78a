#include "core/runs/run_report.h"

#include <gmock/gmock.h>

#include "core/base/file.h"
#include "tests/support/folder_test.h"

namespace fathom::runs {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RunReport : public FolderTest {
 protected:
  void write(const std::string& file, const std::string& text = "") const {
    std::filesystem::create_directories((folder_ / file).parent_path());
    write_file_atomically(folder_ / file, text);
  }
  RunSummary summary() const {
    RunSummary out;
    out.status = "finished";
    out.log_dir = folder_;
    out.metrics = {{"train_loss", 4}, {"val_acc", 0.5}, {"val_wer", 0.25}};
    out.monitors = {{"val_wer", "min"}, {"val_acc", "max"}};
    return out;
  }
};

TEST_F(RunReport, BestByTheMonitorsModesWhereItWas) {
  write("metrics.csv", "epoch,step,train_loss,val_acc,val_wer\n0,3,9,,\n0,3,,0.75,0.5\n1,7,5,,\n1,7,,0.5,0.3\n");
  EXPECT_THAT(run_report(summary()), AllOf(HasSubstr("Metric        | Last |  Min |  Max | Best\n"
                                                     "------------------------------------------------------------\n"
                                                     "train_loss    |    4 |    4 |    9 |\n"
                                                     "val_acc (max) |  0.5 |  0.5 | 0.75 | 0.75 at epoch 0, step 3\n"
                                                     "val_wer (min) | 0.25 | 0.25 |  0.5 | 0.25 at the end\n"),
                                           HasSubstr("logs            metrics.csv")));
}

TEST_F(RunReport, WithoutAReadableFileOfMetricsOnlyTheLastAreKnown) {
  for (const bool garbage : {false, true}) {
    if (garbage) write("metrics.csv", "nothing of the kind\n");
    EXPECT_THAT(run_report(summary()), HasSubstr("val_wer (min) | 0.25 |   - |   - |\n"));
  }
}

TEST_F(RunReport, TheLastCheckpointIsOneThatIsThere) {
  RunSummary run = summary();
  for (const char* name : {"a--val_wer=0.2-epoch=0.ckpt", "a--val_wer=0.2-epoch=1-last.ckpt", "a-epoch=2.ckpt"})
    run.checkpoints.push_back(folder_ / "checkpoints" / name);
  write("checkpoints/a--val_wer=0.2-epoch=0.ckpt");
  EXPECT_THAT(run_report(run), HasSubstr("last checkpoint " + run.checkpoints[0]));
  write("checkpoints/a-epoch=2.ckpt");
  EXPECT_THAT(run_report(run), HasSubstr("last checkpoint " + run.checkpoints[2]));
  write("checkpoints/a--val_wer=0.2-epoch=1-last.ckpt");
  EXPECT_THAT(run_report(run), HasSubstr("last checkpoint " + run.checkpoints[1]));
  EXPECT_THAT(run_report(run), Not(HasSubstr("best checkpoint")));
}

}  // namespace
}  // namespace fathom::runs
