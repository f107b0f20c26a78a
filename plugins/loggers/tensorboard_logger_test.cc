#include "plugins/loggers/tensorboard_logger.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "plugins/loggers/event_reader.h"
#include "tests/support/folder_test.h"
#include "tests/support/python_check.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class TensorBoardTest : public FolderTest {
 protected:
  void SetUp() override {
    static fathom_host host{};
    host.log = [](int32_t, fathom_str, fathom_str) {};
    host_slot() = &host;
  }
  std::unique_ptr<TensorBoardLogger> make(const Json& config = Json::object()) {
    return std::make_unique<TensorBoardLogger>(parse_options<TensorBoardLogger::Options>(config, "logger"),
                                               Json{{"save_dir", folder_.string()}});
  }
  static void row(TensorBoardLogger& logger, int64_t step, double loss) {
    const Metric metrics[] = {{"train_loss", loss}, {"epoch", 0}};
    logger.log_metrics(metrics, step);
  }
};

// RFC 3720, B.4.
TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

TEST_F(TensorBoardTest, WhatIsLoggedIsReadBack) {
  auto logger = make();
  logger->log_hyperparams({{"model", {{"lr", 0.5}}}});
  row(*logger, 3, 0.25);
  logger->log_text("note", "hello", 4);
  logger->finalize("success");
  EXPECT_THAT(fs::path(logger->path()).filename().string(), HasSubstr("events.out.tfevents."));

  const auto events = read_events(read_whole_file(logger->path()), logger->path());
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_GT(events[0].wall_time, 1.6e9);
  EXPECT_THAT(events[1].texts, ElementsAre(Pair("hparams/text_summary", "    model:\n      lr: 0.5\n")));
  EXPECT_THAT(events[2].scalars, ElementsAre(Pair("hp_metric", -1.0f)));
  EXPECT_EQ(events[3].step, 3);
  EXPECT_THAT(events[3].scalars, ElementsAre(Pair("train_loss", 0.25f), Pair("epoch", 0.0f)));
  EXPECT_EQ(events[4].step, 4);
  EXPECT_THAT(events[4].texts, ElementsAre(Pair("note/text_summary", "hello")));
}

TEST_F(TensorBoardTest, ResumedFileHasTheSameEvents) {
  const auto steps = [](TensorBoardLogger& l, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) row(l, i, 1.0 / static_cast<double>(i + 1));
  };
  Json state;
  {
    auto killed = make();
    killed->log_hyperparams({{"a", 1}});
    steps(*killed, 0, 3);
    killed->save();
    state = killed->save_state();
    steps(*killed, 3, 9);
    killed->save();
  }
  std::ofstream(folder_ / state["file"].get<std::string>(), std::ios::app) << "half a record";
  auto resumed = make();
  resumed->log_hyperparams({{"a", 1}});  // comes before load_state in a run; the file has it already
  resumed->load_state(state);
  steps(*resumed, 3, 5);
  resumed->finalize("success");

  const auto events = read_events(read_whole_file(resumed->path()), resumed->path());
  std::vector<int64_t> seen;
  size_t texts = 0;
  for (const auto& event : events) {
    texts += event.texts.size();
    if (!event.scalars.empty() && event.scalars[0].first == "train_loss") seen.push_back(event.step);
  }
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(texts, 1u);
}

TEST_F(TensorBoardTest, EarlierFileElsewhereStartsANewOne) {
  auto logger = make();
  logger->load_state({{"file", "events.out.tfevents.1.h.2.0"}, {"bytes", 100}});
  row(*logger, 5, 1);
  logger->save();
  EXPECT_EQ(read_events(read_whole_file(logger->path()), "").size(), 2u);
}

TEST(EventReader, RefusesDamage) {
  std::string bytes;
  append_version_event(bytes, 1);
  const Scalar scalar{"x", 1};
  append_scalars_event(bytes, 2, 1, {&scalar, 1});
  EXPECT_EQ(read_events(bytes, "f").size(), 2u);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 4;
    EXPECT_THROW(read_events(damaged, "f"), Error) << "byte " << i;
  }
  for (size_t n = 1; n < bytes.size(); ++n) {
    if (n == static_cast<size_t>(valid_prefix(std::string_view(bytes).substr(0, n)))) continue;
    EXPECT_THROW(read_events(std::string_view(bytes).substr(0, n), "f"), Error) << n << " bytes";
  }
}

TEST_F(TensorBoardTest, OptionsThatAreNotThereAreRefused) {
  EXPECT_THROW(make({{"log_graph", true}}), Error);
  EXPECT_THROW(make({{"purge_step", 3}}), Error);
}

TEST_F(TensorBoardTest, ARowCostsMicroseconds) {
  auto logger = make();
  const Metric metrics[] = {
      {"epoch", 0}, {"learning_rate", 1e-3}, {"train_loss", 0.123456}, {"train_step_timing in s", 0.25}};
  constexpr int kRows = 20000;
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < kRows; ++i) logger->log_metrics(metrics, i);
  const double us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count() / kRows;
  std::printf("tensorboard: %.2f us per row\n", us);
  EXPECT_LT(us, 30);  // loose: other work may share the machine
}

TEST_F(TensorBoardTest, TensorBoardReadsIt) {
  if (!python_has(folder_, "tensorboard.backend.event_processing.event_accumulator"))
    GTEST_SKIP() << "no tensorboard package in " << python_program() << "; set FATHOM_PYTHON to one that has it";
  auto logger = make();
  logger->log_hyperparams({{"model", {{"lr", 0.5}}}});
  row(*logger, 3, 0.25);
  row(*logger, 1LL << 40, 0.125);
  logger->finalize("success");
  const PythonResult read = run_python(
      folder_,
      "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
      "a = EventAccumulator('" +
          logger->path() +
          "'); a.Reload()\n"
          "assert [(e.step, e.value) for e in a.Scalars('train_loss')] == [(3, .25), (2**40, .125)]\n"
          "assert a.Tensors('hparams/text_summary')[0].tensor_proto.string_val[0] == b'    model:\\n      lr: 0.5\\n'\n"
          "assert a.PluginTagToContent('text').keys() == {'hparams/text_summary'}\n");
  EXPECT_EQ(read.status, 0) << read.errors;
}

}  // namespace
}  // namespace fathom::loggers
