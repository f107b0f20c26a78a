#include "plugins/loggers/mlflow_logger.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "plugins/loggers/hparams_flat.h"
#include "plugins/loggers/logger_test.h"
#include "tests/support/python_check.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Pair;

class MlflowLoggerTest : public LoggerTest {
 protected:
  void SetUp() override {
    LoggerTest::SetUp();
    ::unsetenv("MLFLOW_TRACKING_URI");
    ::unsetenv("MLFLOW_EXPERIMENT_NAME");
  }
  std::unique_ptr<MlflowLogger> make(Json config = Json::object()) {
    if (!config.contains("save_dir") && !config.contains("tracking_uri")) config["save_dir"] = store();
    return make_logger<MlflowLogger>(config);
  }
  std::string store() const { return (folder_ / "mlruns").string(); }
  static std::string read(const MlflowLogger& logger, const std::string& file) {
    return read_whole_file(logger.folder() + "/" + file);
  }
  // Lines without their times, which differ from run to run.
  static std::string values(const std::string& text) {
    std::istringstream stream(text);
    std::string line, out;
    while (std::getline(stream, line)) out += line.substr(line.find(' ') + 1) + "\n";
    return out;
  }
};

TEST_F(MlflowLoggerTest, ARunIsAFolder) {
  auto logger = make({{"tags", {{"team", "speech"}, {"n", 3}}}, {"prefix", "p"}});
  logger->log_hyperparams({{"model", {{"lr", 0.5}, {"labels", {"a", "b"}}}}, {"none", nullptr}});
  log_row(*logger, 3, {{"train_loss", 0.25}, {"epoch", 0}});
  log_row(*logger, 4, {{"train_loss", std::nan("")}});
  logger->save();
  EXPECT_THAT(read(*logger, "metrics/p-train_loss"), MatchesRegex("[0-9]{13} 0.25 3\n[0-9]{13} nan 4\n"));
  EXPECT_THAT(read(*logger, "metrics/p-epoch"), MatchesRegex("[0-9]{13} 0.0 3\n"));
  EXPECT_EQ(read(*logger, "params/model/lr"), "0.5");
  EXPECT_EQ(read(*logger, "params/model/labels"), "['a', 'b']");
  EXPECT_EQ(read(*logger, "params/none"), "None");
  EXPECT_EQ(read(*logger, "tags/team"), "speech");
  EXPECT_EQ(read(*logger, "tags/n"), "3");
  EXPECT_EQ(read(*logger, "tags/mlflow.runName"), "v7");
  EXPECT_TRUE(fs::is_directory(logger->folder() + "/artifacts"));
  EXPECT_THAT(read(*logger, "meta.yaml"), HasSubstr("status: 1\n"));
  EXPECT_THAT(read(*logger, "meta.yaml"), HasSubstr("end_time: null\n"));
  EXPECT_THAT(read_whole_file(fs::path(logger->folder()).parent_path() / "meta.yaml"),
              HasSubstr("name: lightning_logs\n"));
  EXPECT_THAT(read_whole_file(store() + "/0/meta.yaml"), HasSubstr("name: Default\n"));
  EXPECT_TRUE(messages().empty());
}

TEST_F(MlflowLoggerTest, TheEndIsTheRunsStatus) {
  for (const auto& [end, status] : {std::pair{"success", "3"}, {"failed", "4"}, {"interrupted", "5"}}) {
    auto logger = make();
    log_row(*logger, 0, {{"loss", 1}});
    logger->finalize(end);
    EXPECT_THAT(read(*logger, "meta.yaml"), HasSubstr("status: " + std::string(status) + "\n"));
    EXPECT_THAT(read(*logger, "meta.yaml"), ::testing::Not(HasSubstr("end_time: null")));
  }
  // Three runs of one experiment.
  int runs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(store())) runs += entry.path().filename() == "metrics";
  EXPECT_EQ(runs, 3);
}

TEST_F(MlflowLoggerTest, KeysAreThoseThatMlflowHas) {
  MlflowKeys keys;
  EXPECT_EQ(keys.file_of("val_loss/dataloader_idx_0"), "val_loss/dataloader_idx_0");
  EXPECT_EQ(keys.file_of("train_step_timing in s"), "train_step_timing in s");
  EXPECT_EQ(keys.file_of("lr@0!"), "lr0");
  EXPECT_EQ(keys.file_of("../../etc/passwd"), "etc/passwd");
  EXPECT_EQ(keys.file_of("/"), "_");
  EXPECT_EQ(keys.file_of("lr0"), "lr0_") << "a key that another one was cut to";
  EXPECT_EQ(keys.file_of("a"), "a");
  EXPECT_EQ(keys.file_of("a/b"), "a_b") << "a file is no folder";
  EXPECT_EQ(keys.file_of("x/y"), "x/y");
  EXPECT_EQ(keys.file_of("x"), "x_") << "a folder is no file";
  EXPECT_EQ(keys.file_of("lr@0!"), "lr0") << "the same again";
  EXPECT_EQ(keys.file_of(std::string(300, 'k')).size(), 250u);
  EXPECT_EQ(messages().size(), 7u);
}

TEST_F(MlflowLoggerTest, ConfigsAreFlattenedAsLightningDoes) {
  const Json config = {{"a", {{"b", {{"c", 1}}}, {"empty", Json::object()}}},
                       {"list", {{{"x", 1}}, {{"x", 2}}}},
                       {"nothing", Json::array()},
                       {"mixed", {1, "it's", nullptr, true, 1e-5, {{"k", "v"}}}},
                       {"text", "it's"}};
  EXPECT_THAT(flat_hparams(config),
              ElementsAre(Pair("a/b/c", "1"), Pair("list/0/x", "1"), Pair("list/1/x", "2"),
                          Pair("mixed", "[1, \"it's\", None, True, 1e-05, {'k': 'v'}]"), Pair("text", "it's")));
}

TEST_F(MlflowLoggerTest, LongParametersAreCutAtACharacter) {
  auto logger = make();
  std::string text;
  for (int i = 0; i < 300; ++i) text += "é";
  logger->log_hyperparams({{"long", text}});
  logger->save();
  EXPECT_EQ(read(*logger, "params/long"), text.substr(0, 500));
}

TEST_F(MlflowLoggerTest, AResumedRunGoesOnInTheSameRun) {
  const auto head = [](Logger& l) {
    log_row(l, 0, {{"loss", 1}});
    log_row(l, 1, {{"loss", 0.5}, {"b/c", 1}});
  };
  const auto tail = [](Logger& l) { log_row(l, 2, {{"loss", 0.25}, {"late", 3}}); };
  Json state;
  std::string folder;
  {
    auto killed = make();
    killed->log_hyperparams({{"a", 1}});
    head(*killed);
    killed->save();
    state = killed->save_state();
    folder = killed->folder();
    tail(*killed);
    log_row(*killed, 3, {{"never/again", 1}, {"loss", 9}});
    killed->save();
  }
  auto resumed = make();
  resumed->log_hyperparams({{"a", 2}});
  resumed->load_state(state);
  EXPECT_EQ(resumed->folder(), folder);
  EXPECT_FALSE(fs::exists(folder + "/metrics/never/again"));
  tail(*resumed);
  resumed->finalize("success");
  EXPECT_EQ(values(read(*resumed, "metrics/loss")), "1.0 0\n0.5 1\n0.25 2\n");
  EXPECT_EQ(values(read(*resumed, "metrics/b/c")), "1.0 1\n");
  EXPECT_EQ(values(read(*resumed, "metrics/late")), "3.0 2\n");
  EXPECT_EQ(read(*resumed, "params/a"), "1");
  EXPECT_THAT(read(*resumed, "meta.yaml"), HasSubstr("status: 3\n"));
}

TEST_F(MlflowLoggerTest, ARunIsGoneOnWithByItsId) {
  std::string id, folder;
  {
    auto first = make();
    log_row(*first, 0, {{"loss", 1}});
    first->finalize("success");
    folder = first->folder();
    id = fs::path(folder).filename();
  }
  auto second = make({{"run_id", id}});
  log_row(*second, 1, {{"loss", 2}, {"new", 1}});
  second->save();
  EXPECT_EQ(second->folder(), folder);
  EXPECT_EQ(values(read(*second, "metrics/loss")), "1.0 0\n2.0 1\n");
  EXPECT_THAT(read(*second, "meta.yaml"), HasSubstr("status: 1\n"));
  for (const std::string& absent : {std::string("0123"), "../" + id}) {
    try {
      make({{"run_id", absent}});
      FAIL() << absent;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), "run_id");
    }
  }
}

TEST_F(MlflowLoggerTest, OnlyFoldersAreLoggedTo) {
  EXPECT_EQ(mlflow_folder("file:./a b", ""), "./a b");
  EXPECT_EQ(mlflow_folder("file:///x%20y", ""), "/x y");
  EXPECT_EQ(mlflow_folder("mlruns", ""), "mlruns");
  for (const char* uri : {"http://host:5000", "https://h", "databricks", "sqlite:///mlflow.db", "postgresql://h/d",
                          "file://host/x", ""}) {
    try {
      make({{"tracking_uri", uri}});
      FAIL() << uri;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnavailable);
      EXPECT_EQ(error.where(), "tracking_uri");
      EXPECT_EQ(error.seen(), uri);
    }
  }
  ::setenv("MLFLOW_TRACKING_URI", "http://elsewhere", 1);
  EXPECT_THROW(make(), Error);
  ::setenv("MLFLOW_TRACKING_URI", ("file:" + (folder_ / "other").string()).c_str(), 1);
  auto logger = make();
  log_row(*logger, 0, {{"loss", 1}});
  EXPECT_THAT(logger->folder(), HasSubstr("/other/"));
  ::unsetenv("MLFLOW_TRACKING_URI");
  EXPECT_THROW(make({{"log_model", true}}), Error);
}

TEST_F(MlflowLoggerTest, AFileInTheWayIsAnErrorThatNamesIt) {
  auto logger = make();
  log_row(*logger, 0, {{"loss", 1}});
  logger->save();
  fs::remove_all(logger->folder() + "/metrics");
  std::ofstream(logger->folder() + "/metrics") << "x";
  log_row(*logger, 1, {{"loss", 1}});
  try {
    logger->save();
    FAIL() << "a file was taken for a folder";
  } catch (const Error& error) {
    EXPECT_THAT(error.where(), HasSubstr("/metrics"));
  }
}

TEST_F(MlflowLoggerTest, MoreMetricsThanAProcessMayHaveFiles) {
  auto logger = make();
  std::vector<std::string> names;
  for (int i = 0; i < 3000; ++i) names.push_back("layer." + std::to_string(i) + "/norm");
  std::vector<Metric> metrics;
  for (const auto& name : names) metrics.push_back({name, 0.5});
  for (int step = 0; step < 3; ++step) logger->log_metrics(metrics, step);
  logger->save();
  EXPECT_EQ(values(read(*logger, "metrics/layer.2999/norm")), "0.5 0\n0.5 1\n0.5 2\n");
}

TEST_F(MlflowLoggerTest, MlflowReadsItAndWritesBesideIt) {
  if (!python_has(folder_, "mlflow"))
    GTEST_SKIP() << "no mlflow package in " << python_program() << "; set FATHOM_PYTHON to one that has it";
  const std::string start =
      "import os\nos.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'\n"
      "from mlflow.tracking import MlflowClient\n"
      "c = MlflowClient(tracking_uri='file:" +
      store() + "')\n";
  const std::string long_name = "speech: " + std::string(40, 'x') + " " + std::string(60, 'y');
  PythonResult python = run_python(folder_, start + "c.create_experiment('''" + long_name + "''')\n");
  ASSERT_EQ(python.status, 0) << python.errors;
  auto logger = make({{"experiment_name", long_name}, {"tags", {{"team", "speech"}}}});
  logger->log_hyperparams({{"model", {{"lr", 0.5}, {"name", ""}, {"lines", "a\nb"}}}});
  log_row(*logger, 3, {{"val_loss/dataloader_idx_0", 0.25}, {"train_step_timing in s", 1e-7}});
  log_row(*logger, 1000000, {{"val_loss/dataloader_idx_0", std::nan("")}, {"up", INFINITY}});
  logger->finalize("failed");
  auto other = make();
  log_row(*other, 0, {{"loss", 1}});
  other->finalize("success");
  const std::string id = fs::path(logger->folder()).filename();
  python = run_python(
      folder_, start +
                   "import math\n"
                   "names = sorted(e.name for e in c.search_experiments())\n"
                   "assert names == sorted(['Default', 'lightning_logs', '''" +
                   long_name +
                   "''']), names\n"
                   "run = c.get_run('" +
                   id +
                   "')\n"
                   "assert run.info.status == 'FAILED' and run.info.run_name == 'v7', run.info\n"
                   "assert run.info.end_time >= run.info.start_time > 1.6e12, run.info\n"
                   "assert run.data.params == {'model/lr': '0.5', 'model/name': '', 'model/lines': 'a\\nb'}, run.data\n"
                   "assert run.data.tags['team'] == 'speech', run.data.tags\n"
                   "h = c.get_metric_history('" +
                   id +
                   "', 'val_loss/dataloader_idx_0')\n"
                   "assert [m.step for m in h] == [3, 1000000] and h[0].value == .25 and math.isnan(h[1].value), h\n"
                   "assert run.data.metrics['up'] > 1e300 and run.data.metrics['train_step_timing in s'] == 1e-7\n"
                   "ids = [e.experiment_id for e in c.search_experiments()]\n"
                   "assert sorted(r.info.status for r in c.search_runs(ids)) == ['FAILED', 'FINISHED']\n"
                   "c.log_metric('" +
                   id + "', 'late', 1.0, step=2); c.set_tag('" + id +
                   "', 'a', 'b')\n"
                   "assert c.list_artifacts('" +
                   id + "') == []\n");
  EXPECT_EQ(python.status, 0) << python.errors;
}

}  // namespace
}  // namespace fathom::loggers
