#include "core/runs/curves.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

#include "core/base/file.h"
#include "tests/support/error_of.h"
#include "tests/support/folder_test.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CurvesTest : public FolderTest {
 protected:
  void SetUp() override {
    write("a/metrics.csv", "epoch,lr,step,t in s,val_loss\n0,0.1,0,1,\n0,0.2,1,1,\n0,,1,,2.5\n1,0.6,2,1,\n1,,2,,nan\n");
    write("b/metrics.csv", "epoch,step,t in s,val_loss,val_acc\n0,9,1,0.5,\n0,9,,,0.75\n");
  }
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((folder_ / file).parent_path());
    write_file_atomically(folder_ / file, text);
  }
  CurveSet make(const CurveOptions& options, std::vector<std::string> folders = {}) {
    if (folders.empty()) folders = {folder_ / "a", folder_ / "b"};
    return make_curves(folders, options, [&](const std::string& note) { notes_ += note + "\n"; });
  }
  std::string notes_;
};

TEST_F(CurvesTest, WhatAllRunsHaveIsDrawn) {
  const CurveSet set = make({});
  ASSERT_EQ(set.panels.size(), 1u) << "val_loss; times only when asked for";
  EXPECT_EQ(set.panels[0].metric, "val_loss");
  EXPECT_THAT(set.runs, ElementsAre("a", "b"));
  ASSERT_EQ(set.panels[0].curves.size(), 2u);
  EXPECT_THAT(set.panels[0].curves[0].x, ElementsAre(1, 2));
  EXPECT_EQ(set.panels[0].curves[0].y[0], 2.5);
  EXPECT_TRUE(std::isnan(set.panels[0].curves[0].y[1]));
  EXPECT_EQ(make({}, {folder_}).panels[0].curves.size(), 2u) << "a folder of runs";
  EXPECT_EQ(make({}, {folder_ / "a", folder_ / "a/metrics.csv"}).runs.size(), 1u);
}

TEST_F(CurvesTest, MetricsThatAreAskedFor) {
  const CurveSet set = make({.metrics = {"val_acc", "lr"}});
  ASSERT_EQ(set.panels.size(), 2u);
  EXPECT_EQ(set.panels[0].curves.size(), 1u);
  EXPECT_EQ(set.panels[0].curves[0].colour, 1u) << "a run has one colour in all panels";
  EXPECT_THAT(notes_, HasSubstr("val_acc: not in a"));
  EXPECT_THAT(error_of([&] { make({.metrics = {"val_los"}}); }), HasSubstr("did you mean: val_loss"));
}

TEST_F(CurvesTest, EpochsAreMeans) {
  const CurveSet set = make({.metrics = {"lr"}, .axis = CurveAxis::kEpoch}, {folder_ / "a"});
  EXPECT_THAT(set.panels[0].curves[0].x, ElementsAre(0, 1));
  EXPECT_THAT(set.panels[0].curves[0].y, ElementsAre(DoubleNear(0.15, 1e-12), 0.6));
}

TEST_F(CurvesTest, SmoothingStartsAtTheFirstValue) {
  write("c/metrics.csv", "step,x\n0,4\n1,nan\n2,8\n");
  const CurveSet set = make({.metrics = {"x"}, .smooth = 0.5}, {folder_ / "c"});
  const auto& smooth = set.panels[0].curves[0].smooth;
  ASSERT_EQ(smooth.size(), 3u);
  EXPECT_EQ(smooth[0], 4);
  EXPECT_TRUE(std::isnan(smooth[1]));
  EXPECT_NEAR(smooth[2], (0.5 * 2 + 0.5 * 8) / 0.75, 1e-12);
}

TEST_F(CurvesTest, TimeComesFromTensorBoardEvents) {
  EXPECT_THAT(error_of([&] { make({.metrics = {"val_loss"}, .axis = CurveAxis::kTime}); }), HasSubstr("--x step"));
  // Records: length, check, event, check. An event: wall time (field 1, 8 bytes), step (field 2, a varint).
  const auto record = [](double time, int step) {
    std::string event = "\x09";
    event.append(reinterpret_cast<const char*>(&time), 8);
    if (step > 0) event += std::string("\x10") + static_cast<char>(step);
    std::string out(8, '\0');
    out[0] = static_cast<char>(event.size());
    return out + "crc." + event + "crc.";
  };
  write("a/events.out.tfevents.1.host", record(99, 0) + record(100, 0) + record(103.5, 1) + record(104, 1) +
                                            record(110, 2) + record(1, 3).substr(0, 9));
  const CurveSet set = make({.metrics = {"lr"}, .axis = CurveAxis::kTime}, {folder_ / "a"});
  EXPECT_THAT(set.panels[0].curves[0].x, ElementsAre(0, 3.5, 10));
  write("a/events.out.tfevents.1.host", "no events at all");
  EXPECT_THAT(error_of([&] { make({.metrics = {"lr"}, .axis = CurveAxis::kTime}, {folder_ / "a"}); }),
              HasSubstr("tfevents.1.host"));
}

TEST_F(CurvesTest, WhatCannotBeDrawnIsSaid) {
  write("d/metrics.csv", "step,other\n0,1\n");
  EXPECT_THAT(error_of([&] { make({}, {folder_ / "a", folder_ / "d"}); }), HasSubstr("no metric in common"));
  write("e/metrics.csv", "step,other\n");
  EXPECT_EQ(make({}, {folder_ / "d", folder_ / "e"}).runs.size(), 1u);
  EXPECT_THAT(notes_, HasSubstr("e/metrics.csv: holds no metrics yet"));
  fs::create_directories(folder_ / "empty");
  EXPECT_THAT(error_of([&] { make({}, {folder_ / "empty"}); }), HasSubstr("no run with a metrics.csv"));
  EXPECT_THAT(error_of([&] { make({}, {folder_ / "nowhere"}); }), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace fathom::runs
