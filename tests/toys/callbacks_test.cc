// Callbacks that change or watch a run, by the program: what Lightning recorded of them, runs that are killed and go on
// to the bit, and what is refused.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "fathom/abi/base.h"
#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

const std::string kGolden = FATHOM_SOURCE_DIR "/tests/golden/lightning_callbacks/cases.jsonl";

// The cells of a csv file that hold something, by their columns.
std::vector<std::map<std::string, double>> rows_of(const std::string& file) {
  std::istringstream lines(read_file(file));
  std::string line;
  const auto cells = [&] {
    std::istringstream stream(line);
    std::vector<std::string> out;
    for (std::string cell; std::getline(stream, cell, ',');) out.push_back(cell);
    return out;
  };
  std::getline(lines, line);
  const std::vector<std::string> columns = cells();
  std::vector<std::map<std::string, double>> rows;
  while (std::getline(lines, line)) {
    const std::vector<std::string> given = cells();
    rows.emplace_back();
    for (size_t i = 0; i < given.size(); ++i) {
      if (!given[i].empty()) rows.back()[columns.at(i)] = std::stod(given[i]);
    }
  }
  return rows;
}
std::vector<double> column(const std::string& file, const std::string& name) {
  std::vector<double> out;
  for (const auto& row : rows_of(file)) {
    if (const auto found = row.find(name); found != row.end()) out.push_back(found->second);
  }
  return out;
}

class ToyCallbacks : public TrainingTest {
 protected:
  // 6 batches an epoch and a validation of 2 after each; every step leaves a checkpoint to go on from.
  void write_config(const Json& model, const Json& trainer) {
    Json job = {{"name", "toy"},
                {"model",
                 {{"_target_", "toy.Net"},
                  {"train_ds", {{"_target_", "toy.Points"}, {"items", 22}, {"batch_size", 4}}},
                  {"validation_ds", {{"_target_", "toy.Points"}, {"items", 6}, {"offset", 1}, {"batch_size", 3}}},
                  {"optim", {{"name", "sgd"}, {"lr", 0.1}, {"momentum", 0.9}}}}},
                {"trainer",
                 {{"max_epochs", 4},
                  {"num_sanity_val_steps", 0},
                  {"logger", false},
                  {"enable_checkpointing", false},
                  {"enable_progress_bar", false},
                  {"enable_model_summary", false}}},
                {"exp_manager",
                 {{"resume_if_exists", true},
                  {"resume_ignore_no_checkpoint", true},
                  {"create_tensorboard_logger", false},
                  {"log_step_timing", false},
                  {"checkpoint_callback_params",
                   {{"every_n_train_steps", 1},
                    {"every_n_epochs", nullptr},
                    {"monitor", nullptr},
                    {"save_top_k", 1},
                    {"save_last", true}}}}}};
    for (const auto& [key, value] : model.items()) job["model"][key] = value;
    for (const auto& [key, value] : trainer.items()) job["trainer"][key] = value;
    std::ofstream(folder_ + "/toy.yaml") << json_text(job);
  }
  std::vector<std::string> words(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out = {fathom_program(),
                                    "--plugin-dir",
                                    FATHOM_BINARY_DIR "/tests/toys/plugins",
                                    "train",
                                    "-cp",
                                    folder_,
                                    "-cn",
                                    "toy",
                                    "++seed=5",
                                    "++exp_manager.explicit_log_dir=" + folder_ + "/" + name,
                                    "--threads",
                                    "1",
                                    "--json-summary",
                                    folder_ + "/" + name + ".json"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  Json train(const std::string& name, const std::vector<std::string>& more = {}) {
    const Result result = run(words(name, more));
    EXPECT_EQ(result.status, 0) << result.err;
    return parse_text(read_file(folder_ + "/" + name + ".json"));
  }
  void expect_refusal(const std::vector<std::string>& more, const std::vector<std::string>& parts, int status = 1) {
    const Result result = run(words("refused", more));
    EXPECT_EQ(result.status, status) << result.err;
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
  }
  std::string metrics(const std::string& name) const { return folder_ + "/" + name + "/metrics.csv"; }
  void expect_same_bits(const std::string& a, const std::string& b) {
    const auto left = final_weights(a, "toy.nemo"), right = final_weights(b, "toy.nemo");
    ASSERT_EQ(left.size(), right.size());
    for (const auto& [name, bytes] : left) EXPECT_TRUE(right.at(name) == bytes) << name;
  }
  // A run that is killed as it begins a batch, and started again, is the run that was left alone.
  void expect_same_after_a_kill(const std::string& where) {
    const std::string fail = "++trainer.callbacks=[{_target_: toy.FailAt, kill: true, ";
    const std::string callbacks = callbacks_.empty() ? "" : ", " + callbacks_;
    train("whole", {fail + "global_step: -1}" + callbacks + "]"});
    const Result killed = run(words("cut", {fail + where + "}" + callbacks + "]"}));
    ASSERT_EQ(killed.status, 128 + SIGKILL) << killed.err;
    const Result resumed = run(words("cut", {fail + "global_step: -1}" + callbacks + "]"}));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("resumed from"));
    expect_same_bits("whole", "cut");
    EXPECT_EQ(read_file(metrics("whole")), read_file(metrics("cut")));
  }
  // The same of one that an error ended, and that goes on from what it then saved.
  void expect_same_after_an_error(const std::string& where) {
    const auto with = [&](const std::string& fail) {
      return "++trainer.callbacks=[{_target_: lightning.pytorch.callbacks.OnExceptionCheckpoint}, {_target_: "
             "toy.FailAt, " +
             fail + "}" + (callbacks_.empty() ? "" : ", " + callbacks_) + "]";
    };
    train("whole", {with("global_step: -1")});
    EXPECT_FALSE(fs::exists(saved("whole")));
    const Result failed = run(words("cut", {with(where)}));
    EXPECT_EQ(failed.status, 1);
    EXPECT_THAT(failed.err, HasSubstr("asked to fail"));
    ASSERT_TRUE(fs::exists(saved("cut"))) << failed.err;
    train("resumed", {with("global_step: -1"), "+ckpt_path=" + saved("cut")});
    expect_same_bits("whole", "resumed");
  }
  std::string saved(const std::string& name) const { return folder_ + "/" + name + "/checkpoints/on_exception.ckpt"; }
  std::string callbacks_;  // of the config, besides the one that fails
};

void expect_weights(const Json& wanted, const std::map<std::string, std::string>& got) {
  ASSERT_EQ(wanted.size(), got.size());
  for (const auto& [name, values] : wanted.items()) {
    const std::string& bytes = got.at(name);
    std::vector<double> numbers;
    if (name.ends_with("num_batches_tracked")) {
      int64_t number = 0;
      ASSERT_EQ(bytes.size(), sizeof number);
      std::memcpy(&number, bytes.data(), sizeof number);
      numbers.push_back(static_cast<double>(number));
    } else {
      std::vector<float> floats(bytes.size() / sizeof(float));
      std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
      numbers.assign(floats.begin(), floats.end());
    }
    EXPECT_THAT(numbers, Pointwise(DoubleNear(2e-6), values.get<std::vector<double>>())) << name;
  }
}

TEST_F(ToyCallbacks, AsLightningRecordedThem) {
  std::ifstream cases(kGolden);
  ASSERT_TRUE(cases.good()) << kGolden;
  for (std::string line; std::getline(cases, line);) {
    const Json c = parse_text(line);
    const std::string name = c.at("name");
    SCOPED_TRACE(name);
    Json callback = c.at("options"), trainer = c.at("trainer"), optim = {{"name", c.at("optimizer")}, {"lr", 0.1}};
    callback["_target_"] = "lightning.pytorch.callbacks." + c.at("callback").get<std::string>();
    trainer["callbacks"] = {callback};
    trainer["scale_partial_accumulation"] = false;
    if (c.at("optimizer") == "sgd") optim["momentum"] = 0.9;
    if (!c.at("gamma").is_null()) optim["sched"] = {{"name", "ExponentialLR"}, {"gamma", c.at("gamma")}};
    write_config({{"optim", optim}, {"batch_norm", c.at("batch_norm")}}, trainer);
    const Json summary = train(name);
    EXPECT_EQ(summary.at("epochs"), c.at("epoch"));
    EXPECT_EQ(summary.at("global_step"), c.at("global_step"));
    expect_weights(c.at("weights"), final_weights(name, "toy.nemo"));

    std::vector<double> losses;  // an epoch that was broken off has no validation
    for (const Json& epoch : c.at("epochs")) losses.push_back(epoch.at("val_loss"));
    if (trainer.contains("max_steps")) losses.pop_back();
    EXPECT_THAT(column(metrics(name), "val_loss"), Pointwise(DoubleNear(2e-6), losses));

    std::vector<std::map<std::string, double>> rows;
    for (auto& row : rows_of(metrics(name))) {
      std::erase_if(row, [](const auto& cell) {
        return cell.first != "step" && !cell.first.starts_with("lr-") &&
               (!cell.first.starts_with("DeviceStats") || cell.first.find("process_") != std::string::npos);
      });
      if (row.size() > 1) rows.push_back(std::move(row));
    }
    ASSERT_EQ(rows.size(), c.at("rows").size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const Json& wanted = c.at("rows")[i];
      EXPECT_EQ(rows[i].at("step"), wanted.at("step").get<double>()) << i;
      EXPECT_EQ(rows[i].size(), wanted.at("row").size() + 1) << i;
      for (const auto& [key, value] : wanted.at("row").items()) {
        ASSERT_TRUE(rows[i].contains(key)) << key;
        if (key.starts_with("DeviceStats")) {
          EXPECT_GE(rows[i].at(key), 0);
          EXPECT_LE(rows[i].at(key), 100);
        } else {
          EXPECT_NEAR(rows[i].at(key), value.get<double>(), 1e-9) << i << " " << key;
        }
      }
    }
  }
}

// --- gradient accumulation
// ---------------------------------------------------------------------------------------------------

TEST_F(ToyCallbacks, AnAccumulationScheduleGoesOnInMidWindow) {
  write_config({{"dropout", 0.3}}, {{"max_epochs", 5}, {"accumulate_grad_batches", {{"1", 4}, {"3", 2}}}});
  expect_same_after_an_error("global_step: 9, batch_idx: 5");  // the fourth window of two epochs has its first batch
  EXPECT_EQ(parse_text(read_file(folder_ + "/whole.json")).at("global_step"), 6 + 2 + 2 + 3 + 3);
}

TEST_F(ToyCallbacks, TheScheduleOfRatesIsPlannedOverTheStepsThatAreTaken) {
  const Json optim = {{"name", "sgd"}, {"lr", 0.1}, {"sched", {{"name", "CosineAnnealing"}, {"min_lr", 0.001}}}};
  write_config({{"optim", optim}}, {{"max_epochs", 5}, {"accumulate_grad_batches", {{"1", 4}, {"3", 2}}}});
  EXPECT_EQ(train("planned").at("global_step"), 16);
  train("told", {"+model.optim.sched.max_steps=16"});
  train("otherwise", {"+model.optim.sched.max_steps=30"});
  expect_same_bits("planned", "told");
  EXPECT_FALSE(final_weights("planned", "toy.nemo") == final_weights("otherwise", "toy.nemo"));
}

TEST_F(ToyCallbacks, AccumulationThatIsPlannedTwiceOrNotAtAllIsRefused) {
  write_config(Json::object(), Json::object());
  const std::string scheduler = "++trainer.callbacks=[{_target_: GradientAccumulationScheduler, scheduling: ";
  expect_refusal({scheduler + "{1: 2}}]", "++trainer.accumulate_grad_batches=2"},
                 {"trainer.accumulate_grad_batches", "the callback's {0: 1, 1: 2}"});
  expect_refusal({scheduler + "{1: 2}}]", "++trainer.accumulate_grad_batches={2: 2}"}, {"two callbacks plan"});
  expect_refusal({scheduler + "{}}]"}, {"scheduling", "such as {4: 2, 8: 4}"});
  expect_refusal({scheduler + "{-1: 2}}]"}, {"is no epoch", "-1"});
  expect_refusal({scheduler + "{1: 0}}]"}, {"is no count of batches", "scheduling.1"});
  expect_refusal({"++trainer.accumulate_grad_batches={1: 1.5}"}, {"trainer.accumulate_grad_batches.1", "1.5"});
  expect_refusal({"++trainer.accumulate_grad_batches={1: 2}", "++trainer.barebones=true"}, {"barebones"});
}

// --- averaged weights
// --------------------------------------------------------------------------------------------------------

class AveragedWeights : public ToyCallbacks {
 protected:
  void SetUp() override {
    ToyCallbacks::SetUp();
    write_config({{"batch_norm", true}, {"dropout", 0.3}}, {{"max_epochs", 6}});
    callbacks_ = "{_target_: StochasticWeightAveraging, swa_lrs: 0.05, swa_epoch_start: 3, annealing_epochs: 4}";
  }
};

TEST_F(AveragedWeights, GoOnToTheBitFromTheMiddleOfAnEpoch) { expect_same_after_a_kill("global_step: 27"); }

TEST_F(AveragedWeights, GoOnToTheBitWithoutBatchNormToo) {
  write_config({{"dropout", 0.3}}, {{"max_epochs", 6}});
  expect_same_after_a_kill("global_step: 33");
}

TEST_F(AveragedWeights, GoOnToTheBitInTheEpochOfStatistics) {
  expect_same_after_an_error("global_step: 36, batch_idx: 3");
  EXPECT_EQ(parse_text(read_file(folder_ + "/whole.json")).at("epochs"), 7);
}

TEST_F(AveragedWeights, LightningGoesOnWithThem) {
  const char* chosen = std::getenv("FATHOM_PYTHON");
  const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  if (run({python, "-c", "import lightning.pytorch"}).status != 0)
    GTEST_SKIP() << python << " has no lightning; set FATHOM_PYTHON to one that has";
  const Json optim = {
      {"name", "sgd"}, {"lr", 0.1}, {"momentum", 0.9}, {"sched", {{"name", "ExponentialLR"}, {"gamma", 0.9}}}};
  write_config({{"batch_norm", true}, {"optim", optim}}, {{"max_epochs", 8}});
  const std::string swa = "{_target_: StochasticWeightAveraging, swa_lrs: 0.05, swa_epoch_start: 0.5}";
  train("run", {"++exp_manager.create_checkpoint_callback=false",
                "++trainer.callbacks=[" + swa + ", {_target_: ModelCheckpoint, save_top_k: -1, filename: '{epoch}'}]"});
  const Result result = run({python, FATHOM_SOURCE_DIR "/tests/golden/lightning_callbacks/resume.py",
                             folder_ + "/run/checkpoints/epoch=4.ckpt"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Json there = parse_text(result.out.substr(result.out.rfind('{', result.out.rfind("\"weights\"") - 1)));
  EXPECT_EQ(there.at("epoch"), 9);
  EXPECT_EQ(there.at("global_step"), 49);
  expect_weights(there.at("weights"), final_weights("run", "toy.nemo"));
}

TEST_F(AveragedWeights, BadOptionsAreRefused) {
  const auto swa = [](const std::string& options) {
    return std::vector<std::string>{"++trainer.callbacks=[{_target_: StochasticWeightAveraging, " + options + "}]"};
  };
  expect_refusal(swa("swa_lrs: -0.1"), {"swa_lrs", "a positive number"});
  expect_refusal(swa("swa_lrs: [0.1, 0.2]"), {"one learning rate for each parameter group", "seen: 2"});
  expect_refusal(swa("swa_lrs: 0.1, swa_epoch_start: 0"), {"swa_epoch_start", "at least 1"});
  expect_refusal(swa("swa_lrs: 0.1, swa_epoch_start: 1.5"), {"swa_epoch_start", "fraction"});
  expect_refusal(swa("swa_lrs: 0.1, annealing_strategy: fast"), {"annealing_strategy", "cos or linear"});
  expect_refusal(swa("swa_lrs: 0.1, avg_fn: f"), {"avg_fn"}, FATHOM_UNAVAILABLE);
  expect_refusal({"++trainer.max_epochs=-1", "++trainer.max_steps=3", swa("swa_lrs: 0.1")[0]}, {"trainer.max_epochs"});
  expect_refusal({"++trainer.callbacks=[" + callbacks_ + ", " + callbacks_ + "]"}, {"under one key"});
  std::ofstream(folder_ + "/toy.yaml") << "name: toy\nmodel: {_target_: toy.Gan, train_ds: {_target_: toy.Circle}, "
                                          "optim: {name: adam, lr: 0.05}}\ntrainer: {max_epochs: 1}\nexp_manager: {}\n";
  expect_refusal(swa("swa_lrs: 0.1"), {"one optimizer", "steps 2 optimizers itself"});
  expect_refusal({"++trainer.callbacks=[{_target_: GradientAccumulationScheduler, scheduling: {1: 2}}]"},
                 {"optimizes by hand", "{0: 1, 1: 2}"});
}

TEST_F(AveragedWeights, ARunThatEndsBeforeItsLastEpochSaysSo) {
  const Result result = run(words("a", {"++trainer.callbacks=[" + callbacks_ + "]", "++trainer.max_steps=30"}));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the weights are not averaged"));
}

TEST_F(AveragedWeights, TheOldFlagAsksForThem) {
  train("flag", {"++trainer.stochastic_weight_avg=true"});
  train("callback", {"++trainer.callbacks=[{_target_: pytorch_lightning.callbacks.StochasticWeightAveraging}]"});
  expect_same_bits("flag", "callback");
}

// --- ends of runs
// --------------------------------------------------------------------------------------------------------------

using Endings = ToyCallbacks;

// Whose data grow by a batch each time that they are opened: 6 batches at first.
TEST_F(ToyCallbacks, DataAreOpenedAnewEverySoManyEpochs) {
  const Json growing = {{"_target_", "toy.Points"}, {"items", 24}, {"growth", 4}, {"batch_size", 4}};
  for (const auto& [every, steps] : {std::pair{0, 4 * 6}, {1, 6 + 7 + 8 + 9}, {2, 6 + 6 + 7 + 7}, {3, 6 + 6 + 6 + 7}}) {
    write_config({{"train_ds", growing}}, {{"reload_dataloaders_every_n_epochs", every}, {"val_check_interval", 0.5}});
    const std::string name = "every" + std::to_string(every);
    EXPECT_EQ(train(name).at("global_step"), steps) << name;
    EXPECT_EQ(column(metrics(name), "val_loss").size(), 2u * 4) << name;
  }
  expect_refusal({"++trainer.reload_dataloaders_every_n_epochs=-1"}, {"must not be negative"});
}

TEST_F(Endings, AnErrorLeavesACheckpointThatARunGoesOnFromToTheBit) {
  write_config({{"dropout", 0.3}}, Json::object());
  expect_same_after_an_error("global_step: 9");
  // What fails before it trains leaves an earlier run's file alone.
  const std::string before = read_file(saved("cut"));
  const Result later =
      run(words("cut", {"++trainer.callbacks=[{_target_: OnExceptionCheckpoint}]", "++trainer.max_epochs=0",
                        "++exp_manager.resume_if_exists=false", "+ckpt_path=" + saved("cut")}));
  EXPECT_THAT(later.err, HasSubstr("trainer.max_epochs"));
  EXPECT_TRUE(read_file(saved("cut")) == before);
  expect_refusal({"++trainer.callbacks=[{_target_: OnExceptionCheckpoint, filename: ''}]"}, {"filename"});
}

TEST_F(Endings, ACheckpointCallbackSavesAfterAnErrorWhereItIsAskedTo) {
  write_config({{"dropout", 0.3}}, Json::object());
  const auto with = [](const std::string& fail, const std::string& saves) {
    return std::vector<std::string>{
        "++exp_manager.checkpoint_callback_params={every_n_train_steps: 100, every_n_epochs: null, save_top_k: 1, "
        "save_last: false, save_on_exception: " +
            saves + "}",
        "++trainer.callbacks=[{_target_: toy.FailAt, global_step: " + fail + "}]"};
  };
  const auto checkpoints = [&](const std::string& name) {
    std::vector<std::string> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder_ + "/" + name + "/checkpoints", none)) {
      if (entry.path().extension() == ".ckpt") files.push_back(entry.path());
    }
    return files;
  };
  train("whole", with("-1", "true"));
  EXPECT_TRUE(checkpoints("whole").empty());
  EXPECT_EQ(run(words("unsaved", with("9", "false"))).status, 1);
  EXPECT_TRUE(checkpoints("unsaved").empty());
  const Result failed = run(words("cut", with("9", "true")));
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.err, HasSubstr("asked to fail"));
  const auto files = checkpoints("cut");
  ASSERT_EQ(files.size(), 1u) << failed.err;
  EXPECT_THAT(files[0], HasSubstr("epoch=1"));
  auto going_on = with("-1", "true");
  going_on.push_back("+ckpt_path='" + files[0] + "'");
  train("resumed", going_on);
  expect_same_bits("whole", "resumed");
}

TEST_F(Endings, AnErrorInAValidationLeavesTheSame) {
  write_config({{"dropout", 0.3}}, Json::object());
  expect_same_after_an_error("global_step: 12, in_validation: true");
}

TEST_F(Endings, ATimerCountsAllRunsAndAStatelessOneEachForItself) {
  write_config({{"sleep", 5}}, {{"max_epochs", 100000}});
  const auto timer = [](const std::string& target) {
    return std::vector<std::string>{"++trainer.callbacks=[{_target_: " + target + ", duration: '00:00:00:01'}]"};
  };
  const auto whole = timer("lightning.pytorch.callbacks.Timer"), each = timer("nemo.utils.exp_manager.StatelessTimer");
  const Json first = train("whole", whole);
  EXPECT_EQ(first.at("status"), "stopped");
  EXPECT_THAT(first.at("reason").get<std::string>(), HasSubstr("time allowed"));
  EXPECT_EQ(train("whole", whole).at("global_step"), first.at("global_step")) << "its time is used up";
  const Json more =
      train("whole", {"++trainer.callbacks=[{_target_: Timer, duration: {seconds: 2}, interval: epoch}]"});
  EXPECT_GT(more.at("global_step").get<int64_t>(), first.at("global_step").get<int64_t>());
  EXPECT_EQ(more.at("global_step").get<int64_t>() % 6, 0) << "it looks at the end of epochs";
  const Json one = train("each", each), two = train("each", each);
  EXPECT_EQ(one.at("status"), "stopped");
  EXPECT_GT(two.at("global_step").get<int64_t>(), one.at("global_step").get<int64_t>() + 20);
  for (const char* bad : {"duration: 'soon'", "duration: -1", "duration: {fortnights: 1}", "interval: batch"})
    expect_refusal({std::string("++trainer.callbacks=[{_target_: Timer, ") + bad + "}]"},
                   {std::string(bad).substr(0, std::string(bad).find(':'))});
}

TEST_F(Endings, AnotherSignalSavesAndEndsTheRun) {
  write_config({{"dropout", 0.3}, {"sleep", 10}}, {{"max_epochs", 8}});
  const std::string on = "++trainer.callbacks=[{_target_: nemo.utils.callbacks.PreemptionCallback, sig: SIGUSR1}]";
  Process process(words("cut", {on}));
  const std::string log = metrics("cut");
  ASSERT_TRUE(process.read([&](const Result&) {
    return fs::exists(folder_ + "/cut/checkpoints") && !fs::is_empty(folder_ + "/cut/checkpoints");
  }));
  process.kill(SIGUSR1);
  const Result ended = process.wait();
  EXPECT_EQ(ended.status, 75) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("preempted by signal"));
  const Result resumed = run(words("cut", {on}));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resumed from"));
  train("whole", {on});
  expect_same_bits("whole", "cut");
  EXPECT_EQ(read_file(metrics("whole")), read_file(log));
  expect_refusal({"++trainer.callbacks=[{_target_: PreemptionCallback, sig: SIGUSR}]"}, {"is no signal", "SIGUSR1"});
  expect_refusal({"++trainer.callbacks=[{_target_: PreemptionCallback, sig: 9}]"}, {"no process can catch"});
  EXPECT_THAT(run(words("plain", {"++trainer.callbacks=[{_target_: PreemptionCallback}]"})).err,
              HasSubstr("saves and ends on SIGTERM"));
}

// --- what is logged
// ------------------------------------------------------------------------------------------------------------

TEST_F(ToyCallbacks, NormsOfGradients) {
  write_config(Json::object(), {{"max_epochs", 1}, {"log_every_n_steps", 1}, {"gradient_clip_val", 1e-3}});
  for (const auto& [flag, name] :
       {std::pair<std::string, std::string>{"2", "grad_2.0_norm"}, {"inf", "grad_inf_norm"}}) {
    train("run" + flag, {"++trainer.track_grad_norm=" + flag});
    const auto rows = rows_of(metrics("run" + flag));
    int steps = 0;
    for (const auto& row : rows) {
      const auto total = row.find(name + "_total_step");
      if (total == row.end()) continue;
      ++steps;
      double squares = 0, most = 0;
      for (const char* parameter : {"first.weight", "first.bias", "second.weight", "second.bias"}) {
        const double norm = row.at(name + "/" + parameter + "_step");
        squares += norm * norm;
        most = std::max(most, norm);
      }
      EXPECT_NEAR(total->second, flag == "2" ? std::sqrt(squares) : most, 1e-5);
      EXPECT_GT(total->second, 1e-2) << "before clipping";
    }
    EXPECT_EQ(steps, 6);
    EXPECT_EQ(column(metrics("run" + flag), name + "_total_epoch").size(), 1u);
  }
  expect_refusal({"++trainer.track_grad_norm=-3"}, {"trainer.track_grad_norm", "-3"});
  expect_refusal({"++trainer.callbacks=[{_target_: GradientNormMonitor, norm_type: 0}]"}, {"norm_type"});
}

TEST_F(ToyCallbacks, RowsGoOnWithTheRun) {
  write_config({{"dropout", 0.3}}, {{"log_every_n_steps", 2}, {"track_grad_norm", 2}});
  callbacks_ = "{_target_: LearningRateMonitor}";
  expect_same_after_a_kill("global_step: 15");
}

TEST_F(ToyCallbacks, WithoutALoggerThereIsNothingToWatchRatesFor) {
  write_config(Json::object(), Json::object());
  for (const char* name : {"LearningRateMonitor", "DeviceStatsMonitor"}) {
    const std::string on = std::string("++trainer.callbacks=[{_target_: ") + name + "}]";
    expect_refusal({on, "++exp_manager.create_csv_logger=false"}, {name, "the run has no logger"});
    EXPECT_EQ(run(words("fast", {on, "++trainer.fast_dev_run=true"})).status, 0);
  }
  // The sanity check is no part of the run, whose batches begin with one of training.
  const std::string watch = "++trainer.callbacks=[{_target_: DeviceStatsMonitor}]";
  train("watched", {watch, "++trainer.log_every_n_steps=1", "++trainer.num_sanity_val_steps=2",
                    "++model.test_ds={_target_: toy.Points, items: 6, batch_size: 3}"});
  std::vector<std::string> hooks;
  for (const auto& row : rows_of(metrics("watched"))) {
    for (const auto& [name, value] : row) {
      if (name.ends_with("/process_memory_percent")) hooks.push_back(name.substr(19, name.find('/') - 19));
    }
  }
  ASSERT_EQ(hooks.size(), 4u * (6 * 2 + 2 * 2) + 2 * 2);
  EXPECT_EQ(hooks.front(), "on_train_batch_start");
  EXPECT_EQ(std::count(hooks.begin(), hooks.end(), "on_validation_batch_end"), 4 * 2);
  EXPECT_EQ(hooks.back(), "on_test_batch_end");
  const Result quiet = run(words("quiet", {"++trainer.callbacks=[{_target_: DeviceStatsMonitor, cpu_stats: false}]",
                                           "++trainer.log_every_n_steps=1", "++trainer.num_sanity_val_steps=2"}));
  EXPECT_EQ(quiet.status, 0) << quiet.err;
  EXPECT_THAT(read_file(metrics("quiet")), Not(HasSubstr("DeviceStats")));
}

}  // namespace
}  // namespace fathom::e2e
