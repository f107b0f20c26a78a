#include "plugins/loggers/jsonl_logger.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "plugins/loggers/logger_test.h"

namespace fathom::loggers {
namespace {

using ::testing::HasSubstr;

class JsonlLoggerTest : public LoggerTest {
 protected:
  std::string text() const { return read_whole_file(folder_ / "metrics.jsonl"); }
};

TEST_F(JsonlLoggerTest, ARowIsALineOfJson) {
  auto logger = make_logger<JsonlLogger>();
  log_row(*logger, 0, {{"train_loss", 0.5}, {"epoch", 0}});
  log_row(*logger, 3, {{"a \"quoted\", \n name", 1}, {"gone", std::nan("")}, {"up", INFINITY}, {"down", -INFINITY}});
  logger->log_text("note", "two\nlines", 4);
  logger->save();
  EXPECT_EQ(text(),
            "{\"step\": 0, \"train_loss\": 0.5, \"epoch\": 0}\n"
            "{\"step\": 3, \"a \\\"quoted\\\", \\n name\": 1.0, \"gone\": \"NaN\", \"up\": \"Infinity\", "
            "\"down\": \"-Infinity\"}\n"
            "{\"step\": 4, \"note\": \"two\\nlines\"}\n");
  std::ifstream file(folder_ / "metrics.jsonl");
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) EXPECT_TRUE(parse_text(line).is_object());
  EXPECT_EQ(lines, 3);
}

TEST_F(JsonlLoggerTest, NumbersReadBackAsTheyWere) {
  auto logger = make_logger<JsonlLogger>();
  const std::vector<double> numbers = {1e-7, 1e300, 0.1, -3, 123456789012345680.0, 5e-324, 0};
  for (const double number : numbers) log_row(*logger, 1, {{"x", number}});
  logger->save();
  std::istringstream stream(text());
  std::string line;
  for (const double number : numbers) {
    ASSERT_TRUE(std::getline(stream, line));
    EXPECT_EQ(parse_text(line)["x"].get<double>(), number) << line;
  }
}

TEST_F(JsonlLoggerTest, PrefixAndFolder) {
  auto logger =
      make_logger<JsonlLogger>({{"prefix", "run"}, {"save_dir", (folder_ / "logs").string()}, {"version", 3}});
  log_row(*logger, 0, {{"loss", 1}, {"epoch", 0}});
  logger->finalize("success");
  EXPECT_EQ(read_whole_file(folder_ / "logs/lightning_logs/version_3/metrics.jsonl"),
            "{\"step\": 0, \"run-loss\": 1.0, \"epoch\": 0}\n");
}

TEST_F(JsonlLoggerTest, ResumedFileEqualsAnUninterruptedOne) {
  const auto head = [](Logger& l) {
    log_row(l, 0, {{"loss", 1}});
    log_row(l, 1, {{"loss", 0.5}});
  };
  const auto tail = [](Logger& l) {
    log_row(l, 2, {{"loss", 0.25}, {"new", 1}});
    log_row(l, 3, {{"loss", 0.125}});
  };
  std::string whole;
  {
    auto logger = make_logger<JsonlLogger>();
    head(*logger);
    tail(*logger);
    logger->finalize("success");
    whole = text();
  }
  Json state;
  {
    auto killed = make_logger<JsonlLogger>();
    head(*killed);
    killed->save();
    state = killed->save_state();
    tail(*killed);
    log_row(*killed, 4, {{"never", 1}});
    killed->save();
  }
  std::ofstream(folder_ / "metrics.jsonl", std::ios::app) << "{\"step\": 5, \"lo";
  auto resumed = make_logger<JsonlLogger>();
  resumed->load_state(state);
  tail(*resumed);
  resumed->finalize("success");
  EXPECT_EQ(text(), whole);
  EXPECT_TRUE(messages().empty());
}

TEST_F(JsonlLoggerTest, AFileThatIsShorterThanItWasGoesOnAfterItsLastWholeLine) {
  {
    auto logger = make_logger<JsonlLogger>();
    log_row(*logger, 0, {{"loss", 1}});
    logger->save();
  }
  std::ofstream(folder_ / "metrics.jsonl", std::ios::app) << "{\"step\": 1, \"lo";
  auto resumed = make_logger<JsonlLogger>();
  resumed->load_state({{"bytes", 500}});
  log_row(*resumed, 1, {{"loss", 2}});
  resumed->save();
  EXPECT_EQ(text(), "{\"step\": 0, \"loss\": 1.0}\n{\"step\": 1, \"loss\": 2.0}\n");
  ASSERT_EQ(messages().size(), 1u);
  EXPECT_THAT(messages()[0], HasSubstr("the others are lost"));
}

TEST_F(JsonlLoggerTest, AnEarlierFileElsewhereIsNoError) {
  auto logger = make_logger<JsonlLogger>();
  logger->load_state({{"bytes", 100}});
  log_row(*logger, 5, {{"loss", 1}});
  logger->save();
  EXPECT_EQ(text(), "{\"step\": 5, \"loss\": 1.0}\n");
}

TEST_F(JsonlLoggerTest, AFolderThatCannotBeMadeIsAnErrorThatNamesIt) {
  std::ofstream(folder_ / "file") << "x";
  auto logger = make_logger<JsonlLogger>({{"save_dir", (folder_ / "file").string()}});
  try {
    log_row(*logger, 0, {{"loss", 1}});
    FAIL() << "a folder below a file was made";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCantCreate);
    EXPECT_THAT(error.where(), HasSubstr("file/lightning_logs"));
  }
  EXPECT_THROW(make_logger<JsonlLogger>({{"flush_logs_every_n_steps", 0}}), Error);
}

TEST_F(JsonlLoggerTest, TenThousandKeysAreNoTrouble) {
  auto logger = make_logger<JsonlLogger>();
  std::vector<std::string> names;
  for (int i = 0; i < 10000; ++i) names.push_back("layer." + std::to_string(i) + "/norm");
  std::vector<Metric> metrics;
  for (const auto& name : names) metrics.push_back({name, 0.5});
  const auto started = std::chrono::steady_clock::now();
  for (int step = 0; step < 10; ++step) logger->log_metrics(metrics, step);
  logger->save();
  const double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count() / 1e5;
  std::printf("jsonl: %.2f us per value\n", us);
  EXPECT_LT(us, 20);  // loose: other work may share the machine
}

}  // namespace
}  // namespace fathom::loggers
