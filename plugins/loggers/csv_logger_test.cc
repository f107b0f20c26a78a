#include "plugins/loggers/csv_logger.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "plugins/loggers/hparams_yaml.h"
#include "tests/support/folder_test.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;
using Row = std::vector<std::pair<const char*, double>>;

class CsvLoggerTest : public FolderTest {
 protected:
  void SetUp() override {
    static fathom_host host{};
    host.log = [](int32_t, fathom_str, fathom_str) {};
    host_slot() = &host;
  }
  std::unique_ptr<CsvLogger> make(const Json& config = Json::object()) {
    return std::make_unique<CsvLogger>(parse_options<CsvLogger::Options>(config, "logger"),
                                       Json{{"save_dir", folder_.string()}});
  }
  static void row(CsvLogger& logger, int64_t step, const Row& values) {
    std::vector<Metric> metrics;
    for (const auto& [name, value] : values) metrics.push_back({name, value});
    logger.log_metrics(metrics, step);
  }
  std::string text() const { return read_whole_file(folder_ / "metrics.csv"); }
};

TEST_F(CsvLoggerTest, HeaderIsSortedAndCellsAreEmptyWhereNothingWasLogged) {
  auto logger = make();
  row(*logger, 0, {{"train_loss", 0.5}, {"epoch", 0}});
  row(*logger, 1, {{"val_loss", 1e-5}, {"epoch", 0}});
  row(*logger, 2, {{"train_loss", 3}, {"epoch", 1}});
  logger->save();
  EXPECT_EQ(text(), "epoch,step,train_loss,val_loss\n0,0,0.5,\n0,1,,1e-05\n1,2,3.0,\n");
}

TEST_F(CsvLoggerTest, NumbersAreWrittenAsPythonWritesThem) {
  auto logger = make();
  row(*logger, 7,
      {{"a", 0.123456f},
       {"b", std::nan("")},
       {"c", -INFINITY},
       {"d", 1e16},
       {"e", 123456789.0},
       {"f", -0.0001},
       {"g", 12e-5}});
  logger->save();
  EXPECT_EQ(text(), "a,b,c,d,e,epoch,f,g,step\n0.12345600128173828,nan,-inf,1e+16,123456789.0,,-0.0001,0.00012,7\n");
}

TEST_F(CsvLoggerTest, NamesWithCommasAndQuotesSurviveANewHeader) {
  auto logger = make();
  row(*logger, 0, {{"a,\"b\"", 1}});
  row(*logger, 1, {{"z", 2}});
  logger->save();
  EXPECT_EQ(text(), "\"a,\"\"b\"\"\",epoch,step,z\n1.0,,0,\n,,1,2.0\n");
}

TEST_F(CsvLoggerTest, NamesWithLineEndsSurviveANewHeader) {
  auto logger = make();
  row(*logger, 0, {{"two\r\nlines", 1}, {"z\r", 2}});
  row(*logger, 1, {{"a", 3}});
  row(*logger, 2, {{"z\r", 4}});
  logger->save();
  EXPECT_EQ(text(), "a,epoch,step,\"two\r\nlines\",\"z\r\"\n,,0,1.0,2.0\n3.0,,1,,\n,,2,,4.0\n");
}

TEST_F(CsvLoggerTest, TenThousandKeysThatComeLateAreOneNewHeader) {
  auto logger = make();
  for (int step = 0; step < 100; ++step) row(*logger, step, {{"loss", 1}});
  std::vector<std::string> names;
  for (int i = 0; i < 10000; ++i) names.push_back("layer." + std::to_string(i) + "/norm");
  std::vector<Metric> metrics;
  for (const auto& name : names) metrics.push_back({name, 0.5});
  for (int step = 100; step < 110; ++step) logger->log_metrics(metrics, step);
  logger->save();
  const std::string whole = text();
  EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 111);
  EXPECT_EQ(std::count(whole.begin(), whole.end(), ','), 111 * 10002);
  const Json state = logger->save_state();
  row(*logger, 110, {{"late", 1}});
  logger->save();
  auto resumed = make();
  resumed->load_state(state);
  EXPECT_EQ(text(), whole);
}

TEST_F(CsvLoggerTest, AFolderThatIsAFileIsAnErrorThatNamesIt) {
  std::ofstream(folder_ / "file") << "x";
  auto logger = make({{"save_dir", (folder_ / "file").string()}, {"version", 0}});
  try {
    row(*logger, 0, {{"loss", 1}});
    FAIL() << "a folder below a file was made";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCantCreate);
    EXPECT_THAT(error.where(), ::testing::HasSubstr("file/lightning_logs/version_0"));
  }
}

TEST_F(CsvLoggerTest, PrefixAndFolder) {
  auto logger = make({{"prefix", "run"}, {"save_dir", (folder_ / "logs").string()}, {"version", 3}});
  row(*logger, 0, {{"loss", 1}, {"epoch", 0}});
  logger->save();
  EXPECT_EQ(read_whole_file(folder_ / "logs/lightning_logs/version_3/metrics.csv"), "epoch,run-loss,step\n0,1.0,0\n");
  EXPECT_EQ(make({{"save_dir", (folder_ / "logs").string()}})->path(),
            (folder_ / "logs/lightning_logs/version_4/metrics.csv").string());
}

// What a killed run wrote after the checkpoint is dropped, also when it had brought new columns.
TEST_F(CsvLoggerTest, ResumedFileEqualsAnUninterruptedOne) {
  const auto head = [](CsvLogger& l) {
    row(l, 0, {{"loss", 1}});
    row(l, 1, {{"loss", 0.5}});
  };
  const auto tail = [](CsvLogger& l) {
    row(l, 2, {{"loss", 0.25}});
    row(l, 2, {{"zeta", 4}, {"alpha", 3}});
    row(l, 3, {{"loss", 0.125}});
  };
  std::string whole;
  {
    auto logger = make();
    head(*logger);
    tail(*logger);
    logger->finalize("success");
    whole = text();
  }
  Json state;
  {
    auto killed = make();
    head(*killed);
    killed->save();
    state = killed->save_state();
    tail(*killed);
    row(*killed, 4, {{"never", 1}});
    killed->save();
  }
  EXPECT_EQ(state["rows"], 2);
  auto resumed = make();
  resumed->load_state(state);
  EXPECT_EQ(static_cast<int64_t>(text().size()), state["bytes"].get<int64_t>());
  tail(*resumed);
  resumed->finalize("success");
  EXPECT_EQ(text(), whole);
}

TEST_F(CsvLoggerTest, CutLineIsDropped) {
  Json state;
  {
    auto killed = make();
    row(*killed, 0, {{"loss", 1}});
    killed->save();
    state = killed->save_state();
  }
  LogFile file(std::chrono::seconds(1));
  file.reopen((folder_ / "metrics.csv").string(), state["bytes"]);
  file.append(",1,0.");
  file.close();
  auto resumed = make();
  resumed->load_state(state);
  row(*resumed, 1, {{"loss", 2}});
  resumed->save();
  EXPECT_EQ(text(), "epoch,loss,step\n,1.0,0\n,2.0,1\n");
}

TEST_F(CsvLoggerTest, FullDiskIsAnErrorThatNamesTheFile) {
  auto logger = make();
  fs::create_directories(folder_);
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not there";
  fs::create_symlink("/dev/full", folder_ / "metrics.csv");
  row(*logger, 0, {{"loss", 1}});
  try {
    logger->save();
    FAIL() << "writing to a full disk succeeded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
    EXPECT_THAT(error.where(), ::testing::HasSubstr("metrics.csv"));
  }
}

TEST_F(CsvLoggerTest, HyperparametersAreYaml) {
  auto logger = make();
  logger->log_hyperparams(
      {{"model", {{"lr", 1e-5}, {"labels", {" ", "a", "yes"}}, {"empty", Json::object()}}}, {"n", nullptr}});
  EXPECT_EQ(read_whole_file(folder_ / "hparams.yaml"),
            "model:\n  lr: 1.0e-05\n  labels:\n  - \" \"\n  - a\n  - \"yes\"\n  empty: {}\n\"n\": null\n");
}

TEST_F(CsvLoggerTest, ARowCostsMicroseconds) {
  auto logger = make({{"flush_logs_every_n_steps", 1000}});
  const Metric metrics[] = {
      {"epoch", 0}, {"learning_rate", 1e-3}, {"train_loss", 0.123456}, {"train_step_timing in s", 0.25}};
  constexpr int kRows = 20000;
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < kRows; ++i) logger->log_metrics(metrics, i);
  logger->save();
  const double us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count() / kRows;
  RecordProperty("microseconds_per_row", std::to_string(us));
  std::printf("csv: %.2f us per row\n", us);
  EXPECT_LT(us, 30);  // loose: other work may share the machine
}

}  // namespace
}  // namespace fathom::loggers
