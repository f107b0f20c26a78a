#include "core/runs/run_record.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/error_of.h"
#include "tests/support/folder_test.h"

namespace fathom::runs {
namespace {

using ::testing::HasSubstr;

class RunRecord : public FolderTest {
 protected:
  RunStart start() const { return {folder_, "digits", "version_3", "", {{"val_wer", "min"}}, {"train", "-cn", "x"}}; }
};

TEST_F(RunRecord, SaysRunningUntilTheRunIsOver) {
  RunSummary summary;
  keep_record(start(), summary, [&] {
    const Json record = read_record(folder_).value();
    EXPECT_EQ(text_at(record, "status"), "running");
    EXPECT_EQ(count_at(record, "pid"), ::getpid());
    EXPECT_EQ(is_at_work(record), true);
    summary.status = "finished";
    summary.epochs = 2;
    summary.best_path = "a.ckpt";
    summary.best_score = 0.5;
    summary.best_metric = "val_wer";
    summary.metrics = {{"val_wer", 0.5}};
  });
  const Json record = read_record(folder_).value();
  EXPECT_EQ(text_at(record, "status"), "finished");
  EXPECT_EQ(text_at(record, "name"), "digits");
  EXPECT_EQ(count_at(record, "epochs"), 2);
  EXPECT_EQ(record["best"], (Json{{"path", "a.ckpt"}, {"score", 0.5}, {"metric", "val_wer"}}));
  EXPECT_EQ(record["monitors"], (Json{{{"metric", "val_wer"}, {"mode", "min"}}}));
  EXPECT_EQ(record["metrics"]["val_wer"], 0.5);
  EXPECT_FALSE(text_at(record, "ended").empty());
}

TEST_F(RunRecord, KeepsTheErrorOfAFailedRunAndPassesItOn) {
  RunSummary summary;
  const auto fail = [] { throw Error(Code::kIo, "the disk is gone").at("/data"); };
  EXPECT_THAT(error_of([&] { keep_record(start(), summary, fail); }), HasSubstr("the disk is gone"));
  const Json record = read_record(folder_).value();
  EXPECT_EQ(text_at(record, "status"), "failed");
  EXPECT_THAT(text_at(record, "error"), HasSubstr("/data"));
  EXPECT_THROW(keep_record(start(), summary, [] { throw 3; }), int);
  EXPECT_EQ(text_at(read_record(folder_).value(), "status"), "failed");
}

TEST_F(RunRecord, AProcessThatIsGoneIsNotAtWork) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    RunSummary summary;
    keep_record(start(), summary, [] { ::_exit(0); });
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  Json record = read_record(folder_).value();
  EXPECT_EQ(text_at(record, "status"), "running");
  EXPECT_EQ(count_at(record, "pid"), child);
  EXPECT_EQ(is_at_work(record), false);
  // Its number is another's now, which began later.
  record["pid"] = ::getpid();
  EXPECT_EQ(is_at_work(record), false);
  record["process_start"] = "";
  EXPECT_EQ(is_at_work(record), true);
  record["boot"] = "another";
  EXPECT_EQ(is_at_work(record), false);
  record["host"] = "elsewhere.example";
  EXPECT_EQ(is_at_work(record), std::nullopt);
}

TEST_F(RunRecord, WhatIsNoRecordIsRefusedByName) {
  EXPECT_EQ(read_record(folder_), std::nullopt);
  for (const char* text : {"", "{", "[1]", "{\"format\": 2, \"status\": \"running\"}", "{\"format\": 1}", "\xff\xfe"}) {
    write_file_atomically(folder_ / kRunFile, text);
    EXPECT_THAT(error_of([&] { read_record(folder_); }), HasSubstr("run.json")) << text;
  }
}

TEST_F(RunRecord, BytesThatAreNoTextDoNotStopARun) {
  RunStart odd = start();
  odd.command_line.push_back("x=\xff");
  RunSummary summary;
  keep_record(odd, summary, [&] { summary.status = "finished"; });
  EXPECT_EQ(read_record(folder_).value()["command_line"].back(), "x=\xef\xbf\xbd");
}

TEST_F(RunRecord, AFolderThatCannotBeWrittenDoesNotStopARun) {
  RunStart nowhere = start();
  nowhere.folder += "/no/such";
  RunSummary summary;
  bool ran = false;
  keep_record(nowhere, summary, [&] { ran = true; });
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace fathom::runs
