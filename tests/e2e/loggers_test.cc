// Several loggers in one run of the program: what each writes, one that fails, and a run that was killed.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/e2e/training.h"
#include "tests/support/python_check.h"

namespace fathom::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kConfig = R"(
name: toy
model:
  _target_: toy.Line
  logs_media: false
  train_ds: {_target_: toy.Lengths, items: 40, batch_size: 4, shuffle: true}
  validation_ds: {_target_: toy.Lengths, items: 12, batch_size: 4}
  optim: {name: sgd, lr: 0.1}
trainer: {max_epochs: 4, log_every_n_steps: 1, enable_model_summary: false, enable_progress_bar: false}
exp_manager:
  log_step_timing: false
  resume_if_exists: true
  resume_ignore_no_checkpoint: true
  checkpoint_callback_params: {every_n_train_steps: 4, every_n_epochs: null, monitor: null, save_top_k: 1, save_last: true}
)";

class Loggers : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    std::ofstream(folder_ + "/toy.yaml") << kConfig;
  }
  std::vector<std::string> toy(const std::string& run_name, const std::vector<std::string>& more) const {
    std::vector<std::string> out = {fathom_program(),
                                    "--plugin-dir",
                                    FATHOM_BINARY_DIR "/tests/toys/plugins",
                                    "train",
                                    "-cp",
                                    folder_,
                                    "-cn",
                                    "toy",
                                    "++seed=5",
                                    "++exp_manager.explicit_log_dir=" + folder_ + "/" + run_name,
                                    "--threads",
                                    "1"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  Result train(const std::string& run_name, const std::vector<std::string>& more) { return run(toy(run_name, more)); }
  // Files below a folder whose names end so.
  std::vector<std::string> files(const std::string& below, const std::string& ending) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/" + below)) {
      if (entry.is_regular_file() && entry.path().string().ends_with(ending)) found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  // MLflow's metrics by their names, without the times.
  std::map<std::string, std::string> mlflow_metrics(const std::string& store) const {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/" + store)) {
      const std::string path = entry.path();
      const size_t at = path.find("/metrics/");
      if (!entry.is_regular_file() || at == std::string::npos) continue;
      std::istringstream lines(read_file(path));
      for (std::string line; std::getline(lines, line);)
        out[path.substr(at + 9)] += line.substr(line.find(' ') + 1) + "\n";
    }
    return out;
  }
  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
    return found;
  }
};

TEST_F(Loggers, SixAtOnceWriteTheSameRun) {
  const Result result = train(
      "run", {"++trainer.logger=[{name: csv}, {name: jsonl}, {name: console}, {name: tensorboard}, {name: mlflow, "
              "save_dir: '" +
                  folder_ + "/store'}, {name: wandb, project: toys, id: toyrun}]",
              "model.logs_media=true", "++trainer.callbacks=[{_target_: toy.MediaCallback}]"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::string jsonl = read_file(folder_ + "/run/metrics.jsonl");
  std::vector<std::string> losses, texts;
  std::istringstream lines(jsonl);
  for (std::string line; std::getline(lines, line);) {
    const Json row = parse_text(line);
    if (row.contains("train_loss")) losses.push_back(json_text(row["train_loss"]));
    if (row.contains("model text")) texts.push_back(row["model text"]);
    if (row.contains("callback text")) texts.push_back(row["callback text"]);
  }
  ASSERT_EQ(losses.size(), 40u);
  ASSERT_EQ(texts.size(), 41u);
  EXPECT_EQ(texts[7], "step 7");
  EXPECT_EQ(texts.back(), "the end");
  // 40 rows of steps and 4 of validations.
  EXPECT_EQ(count(read_file(folder_ + "/run/metrics.csv"), "\n"), 1u + 44);
  EXPECT_EQ(count(result.err, "console] step "), 44u + 41) << result.err;
  const auto mlflow = mlflow_metrics("store");
  EXPECT_EQ(count(mlflow.at("train_loss"), "\n"), 40u);
  EXPECT_EQ(mlflow.at("train_loss").substr(0, losses[0].size()), losses[0]);
  EXPECT_EQ(count(mlflow.at("val_loss"), "\n"), 4u);
  const auto meta = files("store", "meta.yaml");
  ASSERT_EQ(meta.size(), 3u);  // two experiments and a run
  EXPECT_EQ(std::count_if(meta.begin(), meta.end(),
                          [](const auto& path) { return read_file(path).find("status: 3\n") != std::string::npos; }),
            1);
  const auto params = files("store", "/params/model/optim/lr");
  ASSERT_EQ(params.size(), 1u);
  EXPECT_EQ(read_file(params[0]), "0.1");
  const auto wandb = files("run/wandb", "run-toyrun.wandb");
  ASSERT_FALSE(wandb.empty());
  const std::string records = read_file(wandb[0]);
  EXPECT_EQ(records.substr(0, 4), ":W&B");
  EXPECT_GT(count(records, "train_loss"), 40u);  // the rows, and a summary with each checkpoint
  // TensorBoard alone takes audio and images.
  std::string events;
  for (const auto& entry : fs::directory_iterator(folder_ + "/run")) {
    if (entry.path().filename().string().starts_with("events.out.tfevents")) events = entry.path();
  }
  const std::string bytes = read_file(events);
  EXPECT_EQ(count(bytes, "model audio"), 40u);
  EXPECT_EQ(count(bytes, "\x89PNG"), 41u);
  EXPECT_EQ(count(bytes, "audio/wav"), 41u);
  EXPECT_EQ(count(bytes, "callback numbers"), 1u);
  EXPECT_EQ(records.find("model audio"), std::string::npos);
  if (!python_has(folder_ + "/python", "tensorboard.backend.event_processing.event_accumulator")) return;
  const PythonResult read =
      run_python(folder_ + "/python",
                 "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
                 "a = EventAccumulator('" +
                     events +
                     "', size_guidance={'audio': 0, 'images': 0, "
                     "'histograms': 0, 'scalars': 0}); a.Reload()\n"
                     "assert [e.step for e in a.Audio('model audio')] == list(range(40))\n"
                     "assert [(i.width, i.height) for i in a.Images('model image')] == [(4, 3)] * 40\n"
                     "assert a.Audio('model audio')[0].length_frames == 400\n"
                     "assert len(a.Histograms('model weights')) == 40\n"
                     "assert a.Histograms('callback numbers')[0].histogram_value.sum == 1.75\n"
                     "assert len(a.Scalars('train_loss')) == 40\n");
  EXPECT_EQ(read.status, 0) << read.errors;
}

TEST_F(Loggers, OneThatFailsHalfWayIsToldOnceAndTheRunGoesOn) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not there";
  const std::string place = folder_ + "/full/lightning_logs/version_0";
  fs::create_directories(place);
  fs::create_symlink("/dev/full", place + "/metrics.jsonl");
  const std::string loggers = "++trainer.logger=[{name: jsonl, save_dir: '" + folder_ +
                              "/full', version: 0, flush_logs_every_n_steps: 6}, {name: csv}, {name: jsonl}]";
  const Result result = train("run", {loggers});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(count(result.err, "the run goes on without it"), 1u) << result.err;
  EXPECT_THAT(result.err, HasSubstr("jsonl failed to "));
  EXPECT_THAT(result.err, HasSubstr("No space left on device"));
  EXPECT_THAT(result.err, HasSubstr(place + "/metrics.jsonl"));
  EXPECT_EQ(count(read_file(folder_ + "/run/metrics.csv"), "\n"), 1u + 44);
  EXPECT_EQ(count(read_file(folder_ + "/run/metrics.jsonl"), "\n"), 44u);

  // The next run goes on with all three: the one that had been left out starts afresh.
  fs::remove(place + "/metrics.jsonl");
  const Result resumed = train("run", {loggers, "trainer.max_epochs=5"});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resumed from"));
  EXPECT_THAT(resumed.err, Not(HasSubstr("without it")));
  EXPECT_EQ(count(read_file(folder_ + "/run/metrics.jsonl"), "\n"), 55u);
  EXPECT_EQ(count(read_file(place + "/metrics.jsonl"), "\n"), 11u);
}

TEST_F(Loggers, AFolderThatIsAFileIsToldAtTheFirstRow) {
  std::ofstream(folder_ + "/file") << "x";
  const Result result = train("run", {"++trainer.logger=[{name: csv, save_dir: '" + folder_ +
                                      "/file'}, {name: mlflow, save_dir: '" + folder_ + "/file'}, {name: jsonl}]"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(count(result.err, "the run goes on without it"), 2u) << result.err;
  EXPECT_EQ(count(read_file(folder_ + "/run/metrics.jsonl"), "\n"), 44u);
}

TEST_F(Loggers, WhatIsNoImageIsTheModelsErrorNotALoggers) {
  const Result result = train("run", {"++trainer.logger=[{name: jsonl}]", "++model.logs_no_image=true"});
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("not an image"));
  EXPECT_THAT(result.err, HasSubstr("'flat'"));
  EXPECT_THAT(result.err, HasSubstr("[5]"));
  EXPECT_THAT(result.err, HasSubstr("[height, width]"));
}

TEST_F(Loggers, OneThatCannotBeMadeIsAnErrorBeforeTraining) {
  const Result result = train("run", {"++trainer.logger=[{name: mlflow, tracking_uri: 'http://tracking:5000'}]"});
  EXPECT_EQ(result.status, 69) << result.err;
  EXPECT_THAT(result.err, HasSubstr("trainer.logger[0].tracking_uri"));
  EXPECT_THAT(result.err, HasSubstr("http://tracking:5000"));
  EXPECT_FALSE(fs::exists(folder_ + "/run/checkpoints"));
}

TEST_F(Loggers, Kill9ThenResumeGivesTheSameFiles) {
  const auto loggers = [&](const std::string& name) {
    return "++trainer.logger=[{name: jsonl, flush_logs_every_n_steps: 1}, {name: csv}, {name: mlflow, save_dir: '" +
           folder_ + "/" + name + "_store'}, {name: wandb, id: killed}]";
  };
  const std::string longer = "trainer.max_epochs=12";
  const Result whole = train("whole", {loggers("whole"), longer});
  ASSERT_EQ(whole.status, 0) << whole.err;

  const std::string metrics = folder_ + "/cut/metrics.jsonl";
  Process killed(toy("cut", {loggers("cut"), longer}));
  const bool under_way =
      killed.read([&](const Result&) { return file_exists(metrics) && count(read_file(metrics), "\n") > 20; });
  ASSERT_TRUE(under_way) << "the run ended before it could be killed";
  killed.kill(SIGKILL);
  EXPECT_EQ(killed.wait().status, 128 + SIGKILL);
  ASSERT_LT(read_file(metrics).size(), read_file(folder_ + "/whole/metrics.jsonl").size());

  const Result resumed = train("cut", {loggers("cut"), longer});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resumed from"));
  EXPECT_EQ(read_file(metrics), read_file(folder_ + "/whole/metrics.jsonl"));
  EXPECT_EQ(read_file(folder_ + "/cut/metrics.csv"), read_file(folder_ + "/whole/metrics.csv"));
  EXPECT_EQ(mlflow_metrics("cut_store"), mlflow_metrics("whole_store"));
  EXPECT_EQ(files("cut_store", "meta.yaml").size(), 3u) << "the same run";
  const auto runs = files("cut/wandb", "run-killed.wandb");
  ASSERT_EQ(runs.size(), 1u) << "the same file";
  const std::string one = read_file(runs[0]), other = read_file(files("whole/wandb", "run-killed.wandb").at(0));
  EXPECT_EQ(count(one, "train_loss"), count(other, "train_loss"));
}

TEST_F(Loggers, ExpManagerMakesTrackersAsNeMoDoes) {
  const std::vector<std::string> trackers = {
      "++exp_manager.create_mlflow_logger=true",
      "++exp_manager.mlflow_logger_kwargs={experiment_name: speech, save_dir: '" + folder_ + "/store', tags: {a: b}}",
      "++exp_manager.create_wandb_logger=true", "++exp_manager.wandb_logger_kwargs={name: first, project: toys}"};
  const Result result = train("run", trackers);
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(file_exists(folder_ + "/run/metrics.csv"));
  EXPECT_EQ(files("run/wandb", ".wandb").size(), 1u);
  const auto names = files("store", "/tags/mlflow.runName");
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(read_file(fs::path(names[0]).parent_path().string() + "/a"), "b");
  EXPECT_EQ(files("store", "meta.yaml").size(), 3u);
  auto without = trackers;
  without.back() = "++exp_manager.wandb_logger_kwargs={project: toys}";
  const Result refused = train("other", without);
  EXPECT_EQ(refused.status, 1) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("exp_manager.wandb_logger_kwargs.name"));
  auto wrong = trackers;
  wrong[1] = "++exp_manager.mlflow_logger_kwargs={experiment: speech}";
  const Result unknown = train("other", wrong);
  EXPECT_EQ(unknown.status, 1) << unknown.err;
  EXPECT_THAT(unknown.err, HasSubstr("experiment_name"));
  const Result clearml = train("other", {"++exp_manager.create_clearml_logger=true"});
  EXPECT_EQ(clearml.status, 69) << clearml.err;
  EXPECT_FALSE(fs::exists(folder_ + "/other"));
}

}  // namespace
}  // namespace fathom::e2e
