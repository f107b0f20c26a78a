#include "tests/e2e/training.h"

#include <cmath>
#include <sstream>

namespace fathom::e2e {
namespace {

class Training : public TrainingTest {};

std::string read_if_there(const std::string& path) { return file_exists(path) ? read_file(path) : std::string(); }

TEST_F(Training, RestoredModelGivesTheTrainingProcesssOwnTranscripts) {
  // One clip a batch, so that log_prediction shows every transcript of the test that ends the run.
  constexpr int64_t count = 100;
  const Result trained =
      run(words("run", {"--json-summary", folder_ + "/summary.json", "++model.log_prediction=true",
                        "model.test_ds.batch_size=1", "++trainer.limit_test_batches=" + std::to_string(count)}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const auto summary = nlohmann::json::parse(read_file(folder_ + "/summary.json"));
  EXPECT_EQ(summary["status"], "finished");
  EXPECT_EQ(summary["global_step"], 24);
  ASSERT_TRUE(summary["nemo"].is_string()) << json_text(summary);

  // The same clips as the training process's test: the first ones.
  std::istringstream lines(read_file(kDigits + "/test.json"));
  std::string manifest;
  std::string line;
  for (int64_t i = 0; i < count && std::getline(lines, line); ++i) {
    auto item = nlohmann::json::parse(line);
    item["audio_filepath"] = kDigits + "/" + item["audio_filepath"].get<std::string>();
    manifest += json_text(item) + "\n";
  }
  write_file_atomically(folder_ + "/some.json", manifest);
  const Result heard =
      fathom({"transcribe", summary["nemo"], "--manifest", folder_ + "/some.json", "--json", "--batch-size", "1"});
  ASSERT_EQ(heard.status, 0) << heard.err;
  const auto document = nlohmann::json::parse(heard.out);
  ASSERT_EQ(static_cast<int64_t>(document["items"].size()), count);
  std::vector<std::string> predicted;
  const std::string mark = "predicted: ";
  std::istringstream log(trained.err);
  while (std::getline(log, line)) {
    if (const size_t found = line.find(mark); found != std::string::npos)
      predicted.push_back(line.substr(found + mark.size()));
  }
  ASSERT_GE(predicted.size(), static_cast<size_t>(count)) << trained.err;
  predicted.erase(predicted.begin(), predicted.end() - count);  // before them came those of the validations
  for (int64_t i = 0; i < count; ++i) EXPECT_EQ(document["items"][i]["pred_text"], predicted[i]) << "clip " << i;
  EXPECT_NEAR(document["wer"].get<double>(), summary["metrics"]["test_wer"].get<double>(), 1e-6);
}

TEST_F(Training, WritesTheRunFolderOfExpManager) {
  ASSERT_EQ(run(words("run", {"trainer.max_epochs=1"})).status, 0);
  for (const char* file : {"cmd-args.log", "config.yaml", "metrics.csv", "nemo_log_globalrank-0_localrank-0.txt"}) {
    EXPECT_TRUE(file_exists(folder_ + "/run/" + file)) << file;
  }
  bool events = false;
  for (const auto& entry : fs::directory_iterator(folder_ + "/run"))
    events = events || entry.path().filename().string().starts_with("events.out.tfevents");
  EXPECT_TRUE(events);
  EXPECT_NE(read_file(folder_ + "/run/metrics.csv").find("val_wer"), std::string::npos);
}

TEST_F(Training, StartsFromPartsOfAnotherModelsWeights) {
  ASSERT_EQ(run(words("first", {"trainer.max_epochs=1", "~model.test_ds"})).status, 0);
  std::string nemo;
  for (const auto& entry : fs::directory_iterator(folder_ + "/first/checkpoints")) {
    if (entry.path().extension() == ".nemo") nemo = entry.path();
  }
  const auto first = final_weights("first");
  // A rate of nearly zero leaves the weights as they were loaded.
  const std::vector<std::string> still = {"trainer.max_epochs=1",
                                          "~model.test_ds",
                                          "++trainer.limit_train_batches=1",
                                          "model.optim.lr=1e-30",
                                          "model.optim.weight_decay=0",
                                          "~model.optim.sched",
                                          "++seed=4"};
  auto part = still;
  part.push_back("+init_from_nemo_model={a: {path: '" + nemo + "', exclude: [decoder]}}");
  const Result result = run(words("second", part));
  ASSERT_EQ(result.status, 0) << result.err;
  const auto second = final_weights("second");
  int equal = 0;
  for (const auto& [name, bytes] : first) {
    if (name.find("weight") == std::string::npos || name.find(".mconv.") == std::string::npos) continue;
    EXPECT_TRUE(second.at(name) == bytes) << name;
    ++equal;
  }
  EXPECT_GT(equal, 5);
  EXPECT_FALSE(second.at("decoder.decoder_layers.0.weight") == first.at("decoder.decoder_layers.0.weight"));

  auto both = still;
  both.insert(both.end(), {"+init_from_nemo_model=" + nemo, "+init_from_ptl_ckpt=x.ckpt"});
  const Result refused = run(words("third", both));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("one place only"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(folder_ + "/third"));
}

TEST_F(Training, SeveralValidationSetsLogUnderTheirNames) {
  const std::string quoted =
      "model.validation_ds.manifest_filepath=['" + kDigits + "/validation.json','" + kDigits + "/test.json']";
  const Result result = run(words("run", {quoted, "+model.validation_ds.val_dl_idx=1", "trainer.max_epochs=1",
                                          "~model.test_ds", "--json-summary", folder_ + "/summary.json"}));
  ASSERT_EQ(result.status, 0) << result.err;
  const auto metrics = nlohmann::json::parse(read_file(folder_ + "/summary.json"))["metrics"];
  for (const char* name : {"validation_val_wer", "test_val_wer", "val_wer"})
    ASSERT_TRUE(metrics.contains(name)) << name;
  EXPECT_EQ(metrics["val_wer"], metrics["test_val_wer"]);  // loader 1 is the one that is monitored
  EXPECT_NE(metrics["val_loss"], metrics["validation_val_loss"]);
}

TEST_F(Training, ASweepRunsItsJobsInNumberedFoldersAndTellsEveryFailure) {
  const std::vector<std::string> sweep = {"-m",
                                          "hydra.sweep.dir=" + folder_ + "/sweep",
                                          "model.optim.lr=0.01,-1,0.02",  // -1 is refused when the run starts
                                          "trainer.max_epochs=1",
                                          "++trainer.limit_train_batches=2",
                                          "~model.test_ds",
                                          "++exp_manager.explicit_log_dir=null",
                                          "--json-summary",
                                          folder_ + "/summary.json"};
  const Result result = run(words("unused", sweep));
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_NE(result.err.find("1 of 3 jobs failed"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("job #1 failed"), std::string::npos) << result.err;
  for (const char* number : {"0", "2"}) {
    int models = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/sweep/" + number))
      models += entry.path().extension() == ".nemo" ? 1 : 0;
    EXPECT_EQ(models, 1) << "job " << number;
  }
  const auto summaries = nlohmann::json::parse(read_file(folder_ + "/summary.json"));
  ASSERT_EQ(summaries.size(), 3);
  EXPECT_EQ(summaries[2]["status"], "finished");
}

TEST_F(Training, Kill9InTheMiddleOfAnEpochThenResumeGivesTheSameBits) {
  // A checkpoint every 5 steps falls inside epochs and beside validations; accumulation leaves pending gradients; the
  // weights are averaged too.
  const std::vector<std::string> saving = {"++exp_manager.checkpoint_callback_params.every_n_train_steps=5",
                                           "++exp_manager.checkpoint_callback_params.every_n_epochs=null",
                                           "++trainer.accumulate_grad_batches=2",
                                           "++exp_manager.resume_if_exists=true",
                                           "++exp_manager.ema.enable=true",
                                           "++exp_manager.ema.decay=0.9",
                                           "++exp_manager.resume_ignore_no_checkpoint=true"};
  const Result uninterrupted = run(words("whole", saving));
  ASSERT_EQ(uninterrupted.status, 0) << uninterrupted.err;

  Process killed(words("cut", saving));
  const std::string metrics = folder_ + "/cut/metrics.csv";
  const bool under_way = killed.read([&](const Result&) {
    const std::string rows = read_if_there(metrics);
    for (const auto& entry : fs::exists(folder_ + "/cut/checkpoints")
                                 ? fs::directory_iterator(folder_ + "/cut/checkpoints")
                                 : fs::directory_iterator()) {
      if (entry.path().string().ends_with("last.ckpt")) return true;
    }
    return false;
  });
  ASSERT_TRUE(under_way) << "the run ended before it could be killed";
  killed.kill(SIGKILL);
  EXPECT_EQ(killed.wait().status, 128 + SIGKILL);

  const Result resumed = run(words("cut", saving));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("resumed from"), std::string::npos) << resumed.err;
  for (const char* ending : {"quartznet.nemo", "-EMA.nemo"}) {
    const auto whole = final_weights("whole", ending), cut = final_weights("cut", ending);
    ASSERT_EQ(whole.size(), cut.size());
    for (const auto& [name, bytes] : whole) EXPECT_TRUE(cut.at(name) == bytes) << name << " differs in " << ending;
  }
  EXPECT_EQ(without_timing(read_file(folder_ + "/whole/metrics.csv")), without_timing(read_file(metrics)));
}

TEST_F(Training, CtrlCSavesAndSaysHowToGoOn) {
  const std::vector<std::string> more = {"trainer.max_epochs=200", "++exp_manager.resume_if_exists=true",
                                         "++exp_manager.resume_ignore_no_checkpoint=true"};
  Process running(words("run", more));
  ASSERT_TRUE(running.read([&](const Result&) { return read_if_there(folder_ + "/run/metrics.csv").size() > 300; }));
  running.kill(SIGINT);
  const Result stopped = running.wait();
  EXPECT_EQ(stopped.status, 75) << stopped.err;
  EXPECT_NE(stopped.err.find("resume"), std::string::npos) << stopped.err;
  const Result resumed = run(words("run", {"trainer.max_epochs=1", "++trainer.max_steps=1", more[1], more[2]}));
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("resumed from"), std::string::npos) << resumed.err;
}

TEST_F(Training, AFullDiskLeavesTheOldCheckpoint) {
  const std::vector<std::string> more = {"++exp_manager.resume_if_exists=true",
                                         "++exp_manager.resume_ignore_no_checkpoint=true", "trainer.max_epochs=1"};
  ASSERT_EQ(run(words("run", more)).status, 0);
  std::map<std::string, std::string> before;
  for (const auto& entry : fs::directory_iterator(folder_ + "/run/checkpoints"))
    before[entry.path()] = read_file(entry.path());
  ASSERT_FALSE(before.empty());
  // Files cannot grow beyond 64 kB: what a full disk does to the next checkpoint, only with another errno.
  auto longer = words("run", {more[0], more[1], "trainer.max_epochs=2"});
  const Result failed = run(longer, {}, [] {
    const rlimit limit = {64 * 1024, 64 * 1024};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, SIG_IGN);
  });
  EXPECT_EQ(failed.status, 74) << failed.err;
  for (const auto& [path, bytes] : before) {
    if (!path.ends_with(".ckpt")) continue;
    EXPECT_TRUE(file_exists(path) && read_file(path) == bytes) << path << " was harmed";
  }
  for (const auto& entry : fs::directory_iterator(folder_ + "/run/checkpoints"))
    EXPECT_EQ(entry.path().string().find(".tmp."), std::string::npos);
}

}  // namespace
}  // namespace fathom::e2e
