#include "core/runs/metric_table.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/base/file.h"
#include "tests/support/error_of.h"
#include "tests/support/folder_test.h"

namespace fathom::runs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MetricTableTest : public FolderTest {
 protected:
  MetricTable read(const std::string& text) const {
    write_file_atomically(folder_ / "metrics.csv", text);
    return read_metrics(folder_ / "metrics.csv");
  }
};

TEST_F(MetricTableTest, CellsAreWhereTheirColumnsAre) {
  const MetricTable table = read(
      "epoch,\"lr, \"\"a\"\"\",step,val_loss\r\n"
      "0,0.1,4,\r\n"
      "0,,4,2.5\r\n"
      "1,1e-3,9,\n"
      "1,,9,-inf\n"
      "1,,9,nan\n"
      "2,0.0");  // was being written
  EXPECT_THAT(table.names(), ElementsAre("lr, \"a\"", "val_loss"));
  EXPECT_THAT(table.find("lr, \"a\"")->values, ElementsAre(0.1, 1e-3));
  EXPECT_THAT(table.find("lr, \"a\"")->rows, ElementsAre(0, 2));
  EXPECT_EQ(table.find("val_loss")->values.size(), 3u);
  EXPECT_EQ(table.last_epoch(), 1);
  EXPECT_EQ(table.last_step(), 9);
  EXPECT_EQ(table.find("loss"), nullptr);
}

TEST_F(MetricTableTest, ExtremesAreThoseOfFiniteValuesWhereTheyCameFirst) {
  const MetricTable table = read("step,a,b\n0,3,nan\n1,inf,inf\n2,-1,nan\n3,3,nan\n4,-1,nan\n");
  const auto extremes = table.find("a")->extremes();
  ASSERT_TRUE(extremes);
  EXPECT_EQ(extremes->least, -1);
  EXPECT_EQ(extremes->least_row, 2u);
  EXPECT_EQ(extremes->greatest, 3);
  EXPECT_EQ(extremes->greatest_row, 0u);
  EXPECT_FALSE(table.find("b")->extremes());
}

TEST_F(MetricTableTest, WhatIsNoSuchFileIsRefusedWithItsLine) {
  EXPECT_THAT(error_of([&] { read("a,b\n1,2\n"); }), HasSubstr("metrics.csv:1"));
  EXPECT_THAT(error_of([&] { read(std::string("\0\1\2\n\xff\n", 6)); }),
              HasSubstr("neither the column step nor epoch"));
  EXPECT_THAT(error_of([&] { read("step,a\n1,2\n2\n"); }), HasSubstr("metrics.csv:3"));
  EXPECT_THAT(error_of([&] { read("step,a\n1,2\n2,two\n"); }), HasSubstr("a = two"));
  EXPECT_THAT(error_of([&] { read_metrics(folder_ / "none.csv"); }), HasSubstr("none.csv"));
  EXPECT_TRUE(read("").metrics.empty());
  EXPECT_TRUE(read("step,a\n").names().empty());
}

}  // namespace
}  // namespace fathom::runs
