// Where a run stops, what it leaves behind, and how the next one goes on from there.
#include <cmath>
#include <cstring>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

// 5 batches of 4 clips an epoch, 4 epochs, a validation of 1 batch after each; what is there is resumed.
constexpr const char* kConfig = R"(
name: tiny
seed: 7
model:
  _target_: nemo.collections.asr.models.EncDecCTCModel
  sample_rate: 8000
  labels: [' ', e, f, g, h, i, n, o, r, s, t, u, v, w, x, z]
  train_ds: {manifest_filepath: DIGITS/train.json, sample_rate: 8000, labels: '${model.labels}', batch_size: 4, shuffle: true}
  validation_ds: {manifest_filepath: DIGITS/validation.json, sample_rate: 8000, labels: '${model.labels}', batch_size: 4}
  preprocessor:
    {_target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor, sample_rate: 8000, features: 16, n_fft: 256}
  encoder:
    _target_: nemo.collections.asr.modules.ConvASREncoder
    feat_in: 16
    activation: relu
    conv_mask: true
    jasper:
      - {filters: 16, repeat: 1, kernel: [5], stride: [2], dilation: [1], dropout: 0.1, residual: false, separable: true}
  decoder: {_target_: nemo.collections.asr.modules.ConvASRDecoder, feat_in: 16, num_classes: -1, vocabulary: '${model.labels}'}
  optim: {name: novograd, lr: 0.01, betas: [0.8, 0.5], weight_decay: 0.001}
trainer:
  max_epochs: 4
  limit_train_batches: 5
  limit_val_batches: 1
  log_every_n_steps: 1
  logger: false
  enable_checkpointing: false
  enable_progress_bar: false
  enable_model_summary: false
exp_manager:
  explicit_log_dir: ???
  name: tiny
  create_tensorboard_logger: false
  log_step_timing: false
  resume_if_exists: true
  resume_ignore_no_checkpoint: true
  checkpoint_callback_params: {monitor: val_wer, mode: min, save_top_k: 1, save_last: true}
)";

const std::string kCheckpoints = "exp_manager.checkpoint_callback_params";
const std::string kEarlyStopping =
    "+exp_manager.early_stopping_callback_params={monitor: val_wer, mode: min, min_delta: 5.0, patience: ";

class Stopping : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    std::string config = kConfig;
    for (size_t at = config.find("DIGITS"); at != std::string::npos; at = config.find("DIGITS", at))
      config.replace(at, 6, kDigits);
    write_file_atomically(folder_ + "/tiny.yaml", config);
  }
  std::vector<std::string> tiny(const std::string& name, const std::vector<std::string>& more) const {
    std::vector<std::string> out = {fathom_program(),
                                    "train",
                                    "-cp",
                                    folder_,
                                    "-cn",
                                    "tiny",
                                    "exp_manager.explicit_log_dir=" + folder_ + "/" + name,
                                    "--threads",
                                    "1",
                                    "--json-summary",
                                    folder_ + "/summary.json"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  // The summary of a run that must succeed.
  Json train(const std::string& name, const std::vector<std::string>& more = {}) const {
    const Result result = run(tiny(name, more));
    EXPECT_EQ(result.status, 0) << result.err;
    return parse_text(read_file(folder_ + "/summary.json"));
  }
  int64_t steps(const std::string& name, const std::vector<std::string>& more = {}) const {
    return train(name, more).at("global_step").get<int64_t>();
  }
  std::vector<std::string> files(const std::string& name) const {
    std::vector<std::string> out;
    const std::string folder = folder_ + "/" + name + "/checkpoints";
    if (!fs::exists(folder)) return out;
    for (const auto& entry : fs::directory_iterator(folder)) out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }
  bool has_file(const std::string& name, const std::string& part) const {
    const auto all = files(name);
    return std::any_of(all.begin(), all.end(), [&](const std::string& file) { return contains(file, part); });
  }
};

TEST_F(Stopping, EachRunHasItsOwnTime) {
  const std::vector<std::string> words = {"trainer.max_epochs=100000", "+exp_manager.max_time_per_run=00:00:00:01"};
  const Json first = train("a", words);
  EXPECT_EQ(first.at("status"), "stopped");
  EXPECT_TRUE(contains(first.at("reason").get<std::string>(), "max_time_per_run")) << first.at("reason");
  EXPECT_GT(steps("a", words), first.at("global_step").get<int64_t>());
}

TEST_F(Stopping, MoreTimeGoesOnInTheEpochThatWasLeft) {
  const int64_t done = steps("a", {"trainer.max_epochs=100000", "+trainer.max_time=00:00:00:01"});
  const int64_t epochs = done / 5 + 1;
  const Json more = train("a", {"trainer.max_epochs=" + std::to_string(epochs), "+trainer.max_time=00:01:00:00"});
  EXPECT_EQ(more.at("global_step").get<int64_t>(), 5 * epochs);
  EXPECT_EQ(more.at("status"), "finished") << more.at("reason");
}

TEST_F(Stopping, StoppedEarlyIsStoppedUntilTheConfigSaysOtherwise) {
  const std::string on = "+exp_manager.create_early_stopping_callback=true";
  const Json first = train("a", {on, kEarlyStopping + "1}"});
  EXPECT_EQ(first.at("status"), "stopped");
  EXPECT_EQ(first.at("global_step"), 10);
  const Json again = train("a", {on, kEarlyStopping + "1}"});
  EXPECT_EQ(again.at("global_step"), 10) << "the same command gives what a run gives that was never broken off";
  EXPECT_EQ(again.at("status"), "stopped");
  EXPECT_EQ(train("a", {on, kEarlyStopping + "50}"}).at("global_step"), 20);
}

TEST_F(Stopping, MaxStepsInAnEpochLeaveTheRestOfItToTheNextRun) {
  const std::vector<std::string> endless = {"trainer.max_epochs=-1"};
  const auto with = [&](const char* steps) { return std::vector<std::string>{endless[0], steps}; };
  train("whole", with("+trainer.max_steps=12"));
  EXPECT_EQ(steps("parts", with("+trainer.max_steps=7")), 7);
  EXPECT_EQ(steps("parts", with("+trainer.max_steps=12")), 12);
  EXPECT_EQ(final_weights("whole", "tiny.nemo"), final_weights("parts", "tiny.nemo"));
  // The row of the epoch that was left has all of its batches in the end.
  const auto rows_of = [&](const std::string& name) {
    std::istringstream lines(read_file(folder_ + "/" + name + "/metrics.csv"));
    std::vector<std::string> out;
    for (std::string line; std::getline(lines, line);) out.push_back(line);
    return out;
  };
  EXPECT_EQ(rows_of("whole").back(), rows_of("parts").back());
}

TEST_F(Stopping, MinEpochsDelayAnEarlyStopAndCutNoEpoch) {
  EXPECT_EQ(steps("a", {"+trainer.min_epochs=3", "+trainer.val_check_interval=2",
                        "+exp_manager.create_early_stopping_callback=true", kEarlyStopping + "1}"}),
            15);
}

TEST_F(Stopping, TheEndIsSavedWheneverValidationWas) {
  train("a", {"trainer.max_epochs=5", "+trainer.check_val_every_n_epoch=2"});
  EXPECT_TRUE(has_file("a", "epoch=5-last.ckpt")) << testing::PrintToString(files("a"));
  train("b", {"trainer.max_epochs=2", "trainer.limit_val_batches=0", "+trainer.val_check_interval=0.5",
              "+exp_manager.create_checkpoint_callback=false",
              "+trainer.callbacks=[{_target_: pytorch_lightning.callbacks.ModelCheckpoint, save_top_k: -1}]"});
  EXPECT_EQ(files("b"), (std::vector<std::string>{"epoch=0-step=5.ckpt", "epoch=1-step=10.ckpt"}));
}

TEST_F(Stopping, TheSanityCheckOfAResumedRunForgetsNoMetric) {
  train("a", {"trainer.max_epochs=1"});
  train("a", {"trainer.max_epochs=2", "+trainer.check_val_every_n_epoch=100"});
  EXPECT_TRUE(has_file("a", "epoch=2-last.ckpt")) << testing::PrintToString(files("a"));
  EXPECT_FALSE(has_file("a", "val_wer=0.0000")) << testing::PrintToString(files("a"));
}

TEST_F(Stopping, OverfitBatchesPlanTheScheduleOfTheirFewSteps) {
  const std::string schedule = "+model.optim.sched={name: CosineAnnealing, warmup_steps: 2, min_lr: 0.0001}";
  const auto last_rate = [&](const std::string& name) {
    std::istringstream lines(read_file(folder_ + "/" + name + "/metrics.csv"));
    std::string line, cell, last;
    std::getline(lines, line);
    std::istringstream header(line);
    size_t column = 0;
    while (std::getline(header, cell, ',') && cell != "learning_rate") ++column;
    while (std::getline(lines, line)) {
      std::istringstream cells(line);
      for (size_t i = 0; std::getline(cells, cell, ','); ++i) {
        if (i == column && !cell.empty()) last = cell;
      }
    }
    return last;
  };
  train("a", {schedule, "+trainer.overfit_batches=2"});
  train("b", {schedule, "trainer.limit_train_batches=2", "trainer.limit_val_batches=2"});
  EXPECT_NE(last_rate("a"), "");
  EXPECT_EQ(last_rate("a"), last_rate("b"));
}

TEST_F(Stopping, RefusesToResumeBeyondMaxEpochs) {
  train("a", {"trainer.max_epochs=3"});
  const Result fewer = run(tiny("a", {"trainer.max_epochs=2"}));
  EXPECT_EQ(fewer.status, 1);
  EXPECT_TRUE(contains(fewer.err, "trainer.max_epochs")) << fewer.err;
  EXPECT_EQ(steps("a", {"trainer.max_epochs=3"}), 15) << "all done already";
}

TEST_F(Stopping, TwoCallbacksOfOneStateAreRefusedBeforeAnythingIsWritten) {
  const std::string one = "{_target_: pytorch_lightning.callbacks.ModelCheckpoint, monitor: val_wer, dirpath: ";
  const Result result = run(tiny("a", {"+exp_manager.create_checkpoint_callback=false",
                                       "+trainer.callbacks=[" + one + folder_ + "/p}," + one + folder_ + "/q}]"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(contains(result.err, "under one key")) << result.err;
  EXPECT_FALSE(fs::exists(folder_ + "/a"));
}

TEST_F(Stopping, ResumingRemovesWhatAKilledRunHalfWroteAndNothingElse) {
  train("a", {"trainer.max_epochs=1"});
  const std::string folder = folder_ + "/a/checkpoints/";
  const std::string half = folder + "tiny--val_wer=1.0000-epoch=1-last.ckpt.tmp.999999999";
  const std::vector<std::string> others = {folder + "tiny-v1.nemo", folder + "notes.tmp.999999999",
                                           folder + "tiny.ckpt.tmp." + std::to_string(::getpid())};
  for (const auto& file : others) write_file_atomically(file, "mine");
  write_file_atomically(half, "cut");
  train("a", {"trainer.max_epochs=2"});
  EXPECT_FALSE(fs::exists(half));
  for (const auto& file : others) EXPECT_TRUE(fs::exists(file)) << file;
}

// The .nemo is watched while it is written again and again.
TEST_F(Stopping, TheNemoFileIsThereAtAnyTime) {
  Process process(tiny("a", {"trainer.max_epochs=100000", "+trainer.val_check_interval=1",
                             "+" + kCheckpoints + ".always_save_nemo=true"}));
  const std::string nemo = folder_ + "/a/checkpoints/tiny.nemo";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!fs::exists(nemo) && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  int64_t missing = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < end) missing += fs::exists(nemo) ? 0 : 1;
  process.kill(SIGKILL);
  process.wait();
  EXPECT_EQ(missing, 0);
  EXPECT_TRUE(fs::exists(nemo));
}

TEST_F(Stopping, AResumedRunWritesTheFilesOfOneThatWasNotBrokenOff) {
  const std::vector<std::string> words = {kCheckpoints + ".monitor=train_loss",
                                          kCheckpoints + ".save_top_k=-1",
                                          "+" + kCheckpoints + ".every_n_train_steps=2",
                                          "+" + kCheckpoints + ".every_n_epochs=null",
                                          "+" + kCheckpoints + ".filename='{epoch}-{step}'",
                                          "+trainer.accumulate_grad_batches=2",
                                          "trainer.max_epochs=3"};
  train("whole", words);
  fs::create_directories(folder_ + "/resumed/checkpoints");
  for (const char* file : {"epoch=0-step=2", "epoch=1-step=4"}) {
    fs::copy(folder_ + "/whole/checkpoints/" + file + ".ckpt", folder_ + "/resumed/checkpoints/" + file + ".ckpt");
  }
  fs::copy(folder_ + "/whole/checkpoints/epoch=1-step=4.ckpt",
           folder_ + "/resumed/checkpoints/epoch=1-step=4-last.ckpt");
  train("resumed", words);
  EXPECT_EQ(files("whole"), files("resumed"));
}

TEST_F(Stopping, SignalsStopAnEvaluation) {
  train("a", {"trainer.max_epochs=1"});
  std::string manifest;
  std::istringstream lines(read_file(kDigits + "/validation.json"));
  for (std::string line; std::getline(lines, line);) {
    Json item = parse_text(line);
    item["audio_filepath"] = kDigits + "/" + item["audio_filepath"].get<std::string>();
    manifest += json_text(item) + "\n";
  }
  std::string big;
  for (int i = 0; i < 100; ++i) big += manifest;
  write_file_atomically(folder_ + "/big.json", big);
  Process process({fathom_program(), "validate", "-cp", folder_, "-cn", "tiny", "exp_manager.explicit_log_dir=x",
                   "+model_path=" + folder_ + "/a/checkpoints/tiny.nemo", "trainer.limit_val_batches=1.0",
                   "model.validation_ds.manifest_filepath=" + folder_ + "/big.json", "--threads", "1"});
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  process.kill(SIGTERM);
  EXPECT_EQ(process.wait().status, 143);
}

TEST_F(Stopping, AStepThatIsLeftOutLeavesNoStatistics) {
  // A clip with a NaN: its gradients are none, and its batch's mean and variance neither.
  std::vector<float> samples(3500);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.3f * std::sin(static_cast<float>(i) / 5);
  samples[100] = std::numeric_limits<float>::quiet_NaN();
  const auto number = [](auto value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  };
  const auto size = static_cast<uint32_t>(samples.size() * sizeof(float));
  std::string wav = "RIFF" + number(36 + size) + "WAVEfmt " + number(uint32_t{16}) + number(uint16_t{3}) +
                    number(uint16_t{1}) + number(uint32_t{8000}) + number(uint32_t{32000}) + number(uint16_t{4}) +
                    number(uint16_t{32}) + "data" + number(size);
  wav.append(reinterpret_cast<const char*>(samples.data()), size);
  write_file_atomically(folder_ + "/nan.wav", wav);
  std::istringstream lines(read_file(kDigits + "/train.json"));
  std::string manifest, line;
  for (int i = 0; i < 7 && std::getline(lines, line); ++i) {
    Json item = parse_text(line);
    item["audio_filepath"] = kDigits + "/" + item["audio_filepath"].get<std::string>();
    manifest += json_text(item) + "\n";
  }
  manifest += R"({"audio_filepath": "nan.wav", "duration": 0.4375, "text": "seven"})"
              "\n";
  write_file_atomically(folder_ + "/some.json", manifest);
  const Json summary = train("a", {"model.train_ds.manifest_filepath=" + folder_ + "/some.json",
                                   "+model.skip_nan_grad=true", "trainer.max_epochs=2"});
  EXPECT_EQ(summary.at("metrics").at("skipped_steps"), 2);
  EXPECT_TRUE(summary.at("metrics").at("val_loss").is_number()) << json_text(summary);
}

}  // namespace
}  // namespace fathom::e2e
