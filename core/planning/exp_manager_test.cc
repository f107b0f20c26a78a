#include "core/planning/exp_manager.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/file.h"
#include "core/planning/batch_limits.h"
#include "core/planning/trainer_options.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

class ExpManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  ExpManagerOptions options(Json section) const {
    if (!section.contains("exp_dir") && !section.contains("explicit_log_dir")) section["exp_dir"] = root_;
    return read_exp_manager_options(section, "exp_manager");
  }
  static RunFolder open_run_folder(const ExpManagerOptions& o, const std::string& now) {
    const RunFolder run = plan_run_folder(o, now);
    make_run_folder(o, run);
    return run;
  }
  void touch(const std::string& file) const {
    fs::create_directories(fs::path(file).parent_path());
    write_file_atomically(file, "x");
  }
  const std::string root_ = testing::TempDir() + "fathom_exp_manager_test";
};

TEST_F(ExpManagerTest, FoldersByTimeVersionAndCount) {
  EXPECT_EQ(open_run_folder(options({{"name", "a"}}), "2026-01-02_03-04-05").log_dir, root_ + "/a/2026-01-02_03-04-05");
  EXPECT_EQ(open_run_folder(options({{"name", "a"}}), "2026-01-02_03-04-05").log_dir,
            root_ + "/a/2026-01-02_03-04-05-1")
      << "started in the same second";
  EXPECT_EQ(open_run_folder(options({{"version", "957"}}), "now").log_dir, root_ + "/default/957");
  EXPECT_EQ(open_run_folder(options({{"version", 7}, {"name", ""}}), "now").log_dir, root_ + "/default/7");
  const auto counted = options({{"name", "b"}, {"use_datetime_version", false}});
  EXPECT_EQ(open_run_folder(counted, "now").version, "version_0");
  EXPECT_EQ(open_run_folder(counted, "now").version, "version_1");
  EXPECT_EQ(open_run_folder(options({{"explicit_log_dir", root_ + "/x"}, {"name", "ignored"}}), "now").log_dir,
            root_ + "/x");
}

TEST_F(ExpManagerTest, ResumeFollowsNemosSequence) {
  const Json base = {{"name", "r"}, {"resume_if_exists", true}};
  EXPECT_THROW(open_run_folder(options(base), "now"), Error) << "nothing to resume is an error";
  Json lenient = base;
  lenient["resume_ignore_no_checkpoint"] = true;
  const RunFolder fresh = open_run_folder(options(lenient), "now");
  EXPECT_EQ(fresh.resume_from, "");
  EXPECT_EQ(fresh.log_dir, root_ + "/r") << "a resumable run has no version folder";

  touch(fresh.checkpoint_dir + "/r--val_loss=0.1000-epoch=1-last.ckpt");
  EXPECT_EQ(open_run_folder(options(base), "now").resume_from,
            fresh.checkpoint_dir + "/r--val_loss=0.1000-epoch=1-last.ckpt");
  touch(fresh.checkpoint_dir + "/r--val_loss=0.2000-epoch=2-last.ckpt");
  fs::last_write_time(fresh.checkpoint_dir + "/r--val_loss=0.1000-epoch=1-last.ckpt",
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(open_run_folder(options(base), "now").resume_from,
            fresh.checkpoint_dir + "/r--val_loss=0.2000-epoch=2-last.ckpt")
      << "a kill may leave two: the newest counts";
  touch(fresh.checkpoint_dir + "/r--val_loss=0.2000-epoch=2-last-unfinished");
  EXPECT_EQ(open_run_folder(options(base), "now").resume_from,
            fresh.checkpoint_dir + "/r--val_loss=0.1000-epoch=1-last.ckpt");
  // Killed after the file was complete, before its marker was removed.
  const std::string whole = fresh.checkpoint_dir + "/r--val_loss=0.2000-epoch=2-last.ckpt";
  std::ofstream(whole, std::ios::binary) << "data PK\5\6" << std::string(18, '\0');
  EXPECT_EQ(open_run_folder(options(base), "now").resume_from, whole);
  std::ofstream(whole, std::ios::binary | std::ios::app) << "more";
  EXPECT_NE(open_run_folder(options(base), "now").resume_from, whole) << "cut short";
  touch(fresh.checkpoint_dir + "/r--end.ckpt");
  EXPECT_THROW(open_run_folder(options(base), "now"), Error) << "already completed";
}

TEST_F(ExpManagerTest, HalfWrittenFilesOfDeadProcessesGo) {
  const auto o = options({{"explicit_log_dir", root_ + "/x"}});
  const std::string dead = root_ + "/x/metrics.csv.tmp.2147483646", alive = root_ + "/x/metrics.csv.tmp.1",
                    somebodys = root_ + "/x/notes.tmp.2147483646";
  for (const auto& file : {dead, alive, somebodys}) touch(file);
  open_run_folder(o, "now");
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(alive)) << "somebody is writing it";
  EXPECT_TRUE(fs::exists(somebodys)) << "no file of a run";
}

TEST_F(ExpManagerTest, FilesOfAnEarlierRunAreSetAside) {
  const std::string folder = root_ + "/e";
  for (const char* file : {"/lightning_logs.txt", "/cmd-args.log", "/metrics.csv", "/run.json", "/profile.txt",
                           "/notes.txt", "/checkpoints/a.ckpt"})
    touch(folder + file);
  fs::create_symlink("notes.txt", folder + "/config.yaml");
  open_run_folder(options({{"explicit_log_dir", folder}}), "now");
  for (const char* file : {"/run_0/lightning_logs.txt", "/run_0/run.json", "/run_0/profile.txt"})
    EXPECT_TRUE(fs::exists(folder + file)) << file;
  EXPECT_TRUE(fs::exists(folder + "/run_0/metrics.csv")) << "a new run has metrics of its own";
  for (const char* file : {"/notes.txt", "/config.yaml", "/checkpoints/a.ckpt"}) EXPECT_TRUE(fs::exists(folder + file));

  for (const char* file : {"/cmd-args.log", "/metrics.csv", "/events.out.tfevents.1", "/checkpoints/r--last.ckpt"})
    touch(folder + file);
  open_run_folder(options({{"explicit_log_dir", folder}, {"resume_if_exists", true}}), "now");
  EXPECT_TRUE(fs::exists(folder + "/run_1/cmd-args.log"));
  EXPECT_TRUE(fs::exists(folder + "/metrics.csv")) << "a resumed run goes on with them";
  EXPECT_TRUE(fs::exists(folder + "/events.out.tfevents.1"));
}

TEST_F(ExpManagerTest, WithoutAnEarlierRunNoFileIsMoved) {
  for (const char* file : {"/e/metrics.csv", "/e/lightning_logs.txt", "/e/train.json"}) touch(root_ + file);
  open_run_folder(options({{"explicit_log_dir", root_ + "/e"}}), "now");
  for (const char* file : {"/e/metrics.csv", "/e/lightning_logs.txt", "/e/train.json"})
    EXPECT_TRUE(fs::exists(root_ + file)) << file;
  EXPECT_FALSE(fs::exists(root_ + "/e/run_0"));
}

TEST_F(ExpManagerTest, RefusesWhatIsNotHereAndUnknownKeys) {
  try {
    options({{"create_clearml_logger", true}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_EQ(error.where(), "exp_manager.create_clearml_logger");
  }
  EXPECT_THROW(options({{"create_neptune_logger", true}}), Error);
  EXPECT_THROW(options({{"create_dllogger_logger", true}}), Error);
  EXPECT_THROW(options({{"resume_if_exist", true}}), Error);
}

TEST_F(ExpManagerTest, AWandbRunNeedsNameAndProject) {
  const Json whole = {{"name", "n"}, {"project", "p"}};
  EXPECT_TRUE(options({{"create_wandb_logger", true}, {"wandb_logger_kwargs", whole}}).create_wandb_logger);
  for (const char* key : {"name", "project"}) {
    Json kwargs = whole;
    kwargs.erase(key);
    try {
      options({{"create_wandb_logger", true}, {"wandb_logger_kwargs", kwargs}});
      FAIL() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), std::string("exp_manager.wandb_logger_kwargs.") + key);
    }
    options({{"wandb_logger_kwargs", kwargs}});  // nothing is needed of a logger that is off
  }
  EXPECT_THROW(options({{"create_wandb_logger", true}}), Error);
  EXPECT_THROW(options({{"mlflow_logger_kwargs", 3}}), Error);
}

TEST(TrainerOptions, FlagsOfTheEnvironmentStandBehindThoseOfTheConfig) {
  ::setenv("PL_TRAINER_MAX_EPOCHS", "3", 1);
  ::setenv("PL_TRAINER_DETECT_ANOMALY", "True", 1);
  ::setenv("PL_TRAINER_PRECISION", "bf16-mixed", 1);
  const auto given = check_trainer_options({{"max_epochs", 5}}, "trainer");
  EXPECT_EQ(given.max_epochs, 5);
  EXPECT_TRUE(given.detect_anomaly);
  EXPECT_EQ(given.precision, "bf16-mixed");
  EXPECT_EQ(check_trainer_options(Json::object(), "trainer").max_epochs, 3);
  ::setenv("PL_TRAINER_MAX_EPOCHS", "many", 1);
  EXPECT_THROW(check_trainer_options(Json::object(), "trainer"), Error);
  for (const char* name : {"MAX_EPOCHS", "DETECT_ANOMALY", "PRECISION"})
    ::unsetenv((std::string("PL_TRAINER_") + name).c_str());
}

TEST(TrainerOptions, BarebonesContradictsWhatItSwitchesOff) {
  EXPECT_NO_THROW(
      check_trainer_options({{"barebones", true}, {"logger", false}, {"num_sanity_val_steps", 0}}, "trainer"));
  for (const char* key : {"logger", "enable_progress_bar", "detect_anomaly", "fast_dev_run"}) {
    try {
      check_trainer_options({{"barebones", true}, {key, true}}, "trainer");
      ADD_FAILURE() << key << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), std::string("trainer.") + key);
    }
  }
}

TEST(TrainerOptions, SpansOfTime) {
  for (const auto& [text, seconds] : std::vector<std::pair<Json, double>>{
           {30, 30}, {0.5, 0.5}, {"30s", 30}, {"1.5m", 90}, {"2h", 7200}, {"1d", 86400}, {"00:00:01:30", 90}})
    EXPECT_EQ(parse_interval(text, "k"), seconds) << text;
  for (const Json& bad :
       {Json(0), Json(-1), Json("s"), Json("5 years"), Json("1:2"), Json(true), Json("nan"), Json("1e400s")})
    EXPECT_THROW(parse_interval(bad, "k"), Error) << bad;
}

}  // namespace
}  // namespace fathom
