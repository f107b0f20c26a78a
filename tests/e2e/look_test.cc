// What people look at: the list of runs, their curves, the progress line, the table at the end, the profile.
#include <gmock/gmock.h>
#include <sys/ioctl.h>

#include <cmath>
#include <fstream>

#include "tests/e2e/toy_run.h"

namespace fathom::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// So many batches that a run does not end by itself.
const std::vector<std::string> kEndless = {"trainer.max_epochs=1000000", "model.train_ds.items=400"};

class Look : public ToyRunTest {
 protected:
  // The run of that name, as `fathom runs --json` has it.
  Json listed(const std::string& name) const {
    const Result result = fathom({"runs", folder_, "--json"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    for (const Json& run : parse_text(result.out)) {
      if (run["folder"] == folder_ + "/" + name) return run;
    }
    ADD_FAILURE() << name << " is not in " << result.out;
    return {};
  }
  // A run that trains until it is stopped, and has saved what it could be resumed from.
  std::unique_ptr<Process> endless(const std::string& name) const {
    auto process = std::make_unique<Process>(toy(name, kEndless));
    const auto saved = [&](const Result&) {
      const std::string folder = folder_ + "/" + name + "/checkpoints";
      if (!fs::exists(folder)) return false;
      for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().string().ends_with("-last.ckpt")) return true;
      }
      return false;
    };
    EXPECT_TRUE(process->read(saved, 60));
    return process;
  }
};

TEST_F(Look, TheListSaysHowEachRunStands) {
  ASSERT_EQ(run(toy("done")).status, 0);
  const Json done = listed("done");
  EXPECT_EQ(done["state"], "finished");
  EXPECT_EQ(done["name"], "toy");
  EXPECT_EQ(done["epochs"], 3);
  EXPECT_EQ(done["global_step"], 12);
  EXPECT_EQ(done["best"]["metric"], "val_loss");
  EXPECT_EQ(done["best"]["mode"], "min");
  EXPECT_TRUE(file_exists(done["best"]["checkpoint"])) << json_text(done);

  EXPECT_NE(run(toy("broken", {"model.optim.lr=-1"})).status, 0);
  EXPECT_EQ(listed("broken")["state"], "failed");
  EXPECT_THAT(listed("broken")["reason"].get<std::string>(), HasSubstr("lr"));

  auto process = endless("live");
  EXPECT_EQ(listed("live")["state"], "running");
  EXPECT_GE(listed("live")["epochs"].get<int64_t>(), 1);
  process->kill(SIGINT);
  EXPECT_EQ(process->wait().status, 75);
  const Json interrupted = listed("live");
  EXPECT_EQ(interrupted["state"], "interrupted");

  process = endless("dead");
  process->kill(SIGKILL);
  process->wait();
  const Json killed = listed("dead");
  EXPECT_EQ(killed["state"], "killed");
  EXPECT_GE(killed["global_step"].get<int64_t>(), 1);
  EXPECT_TRUE(killed["best"]["value"].is_number()) << json_text(killed);

  // The same command again goes on, and what the first said is set aside.
  Process again(toy("dead", kEndless));
  EXPECT_TRUE(
      again.read([](const Result& result) { return result.err.find("resumed from") != std::string::npos; }, 60));
  EXPECT_EQ(listed("dead")["state"], "running");
  again.kill(SIGTERM);
  EXPECT_EQ(again.wait().status, 75);
  EXPECT_TRUE(file_exists(folder_ + "/dead/run_0/run.json"));

  const Result table = fathom({"runs", folder_});
  EXPECT_EQ(table.err, "");
  EXPECT_THAT(table.out, HasSubstr("NAME  VERSION  STATE"));
  EXPECT_LT(table.out.find("/dead"), table.out.find("/done")) << "the newest first:\n" << table.out;
  const Result by_name = fathom({"runs", folder_, "--sort", "step", "--reverse", "--jsonl"});
  EXPECT_EQ(std::count(by_name.out.begin(), by_name.out.end(), '\n'), 4) << by_name.out;
  EXPECT_EQ(parse_text(by_name.out.substr(0, by_name.out.find('\n'))).at("folder"), folder_ + "/done");
}

TEST_F(Look, TheListGoesOnWhereAFileIsNoRecord) {
  ASSERT_EQ(run(toy("done")).status, 0);
  fs::create_directories(folder_ + "/odd");
  write_file_atomically(folder_ + "/odd/run.json", "{\"format\": ");
  const Result result = fathom({"runs", folder_});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("odd/run.json"), HasSubstr("no record of a run")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("/done"), HasSubstr("/odd")));
  EXPECT_EQ(fathom({"runs", folder_ + "/nowhere"}).status, 66);
  const Result typo = fathom({"runs", folder_, "--sort", "bset"});
  EXPECT_EQ(typo.status, 2);
  EXPECT_THAT(typo.err, HasSubstr("did you mean: best"));
  // Without a folder: where trainings write by themselves.
  fs::create_directories(folder_ + "/here/lightning_logs/version_0");
  write_file_atomically(folder_ + "/here/lightning_logs/version_0/metrics.csv", "epoch,step,x\n0,4,1\n");
  const Result here = run({"sh", "-c", "cd " + folder_ + "/here && " + fathom_program() + " runs --json"});
  EXPECT_EQ(parse_text(here.out).at(0).at("folder"), "lightning_logs/version_0") << here.err;
}

TEST_F(Look, CurvesAreAnImageThatIsXml) {
  ASSERT_EQ(run(toy("a <&> b")).status, 0);
  ASSERT_EQ(run(toy("c", {"model.optim.lr=0.5", "trainer.max_epochs=5"})).status, 0);
  const std::string file = folder_ + "/curves.svg";
  const std::vector<std::string> plot = {"runs", "plot", folder_ + "/a <&> b", folder_ + "/c"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), plot.begin(), plot.end());
    return fathom(more);
  };
  const Result written = with({"--svg", file});
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_EQ(written.out, "");
  const std::string svg = read_file(file);
  EXPECT_THAT(svg, AllOf(HasSubstr("a &lt;&amp;&gt; b"), HasSubstr(">val_loss<"), HasSubstr(">train_loss<")));
  for (const std::vector<std::string>& form : std::vector<std::vector<std::string>>{{}, {"--svg"}, {"--svg", "-"}})
    EXPECT_EQ(with(form).out, svg);
  EXPECT_THAT(
      with({"--metric", "val_loss", "--x", "epoch", "--log", "--smooth", "0.5"}).out,
      AllOf(HasSubstr(">val_loss (log)<"), HasSubstr(">epoch<"), Not(HasSubstr("train_loss")), HasSubstr("opacity")));
  EXPECT_THAT(with({"--x", "time"}).out, HasSubstr(">seconds<"));
  const Result typo = with({"--metric", "val_los"});
  EXPECT_EQ(typo.status, 1);
  EXPECT_THAT(typo.err, HasSubstr("did you mean: val_loss"));
  EXPECT_EQ(with({"--smooth", "1"}).status, 2);
  EXPECT_EQ(with({"--x", "day"}).status, 2);
  EXPECT_EQ(with({"--svg", "/no/such/folder/x.svg"}).status, 73);

  if (run({"python3", "-c", "import xml.etree.ElementTree"}).status != 0) GTEST_SKIP() << "there is no python3";
  const Result parsed = run({"python3", "-c", R"(
import sys, xml.etree.ElementTree as E
root = E.parse(sys.argv[1]).getroot()
ns = "{http://www.w3.org/2000/svg}"
assert root.tag == ns + "svg", root.tag
texts = [t.text for t in root.iter(ns + "text")]
assert "a <&> b" in texts and "c" in texts, texts
assert "val_loss" in texts and "step" in texts, texts
curves = [p for p in root.iter(ns + "path") if p.find(ns + "title") is not None]
assert len(curves) == 2 * len(root.findall(ns + "g")), len(curves)
)",
                             file});
  EXPECT_EQ(parsed.status, 0) << parsed.err;
}

TEST_F(Look, HundredsOfThousandsOfRowsMakeASmallImageSoon) {
  fs::create_directories(folder_ + "/long");
  std::string csv = "epoch,step,train_loss,val_loss\n";
  for (int i = 0; i < 300'000; ++i) {
    csv += std::to_string(i / 1000) + "," + std::to_string(i) + "," + std::to_string(2.0 / (1 + i)) + ",\n";
    if (i % 1000 == 999)
      csv += std::to_string(i / 1000) + "," + std::to_string(i) + ",," + (i % 7000 == 6999 ? "nan" : "0.5") + "\n";
  }
  write_file_atomically(folder_ + "/long/metrics.csv", csv);
  const auto started = std::chrono::steady_clock::now();
  const Result drawn = fathom({"runs", "plot", folder_ + "/long"});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_LT(drawn.out.size(), 100'000u);
  EXPECT_LT(seconds, 10);  // loose: other work may share the machine
}

TEST_F(Look, AProfileSaysWhereTheTimeWent) {
  const Result result = run(toy("run", {"--profile"}));
  ASSERT_EQ(result.status, 0) << result.err;
  const std::string table = read_file(folder_ + "/run/profile.txt");
  EXPECT_THAT(result.err, HasSubstr(table));
  EXPECT_THAT(read_file(folder_ + "/run/nemo_log_globalrank-0_localrank-0.txt"), HasSubstr(table));
  EXPECT_THAT(read_file(folder_ + "/run/config.yaml"), HasSubstr("profiler: simple"));
  // Rows: action | mean | calls | total | share.
  std::map<std::string, std::vector<std::string>> rows;
  std::istringstream lines(table);
  double last_share = INFINITY;
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, '|');) {
      const size_t start = cell.find_first_not_of(' ');
      if (start != std::string::npos) cells.push_back(cell.substr(start, cell.find_last_not_of(' ') + 1 - start));
    }
    if (cells.size() != 5 || cells[0] == "Action") continue;
    rows[cells[0]] = cells;
    if (cells[0] == "Total") continue;
    EXPECT_LE(std::stod(cells[4]), last_share) << table;
    last_share = std::stod(cells[4]);
  }
  for (const auto& [action, calls] :
       std::map<std::string, std::string>{{"run_training_batch", "12"},
                                          {"training_step", "12"},
                                          {"backward", "12"},
                                          {"optimizer_step", "12"},
                                          {"train_dataloader_next", "12"},
                                          {"run_validation", "3"},
                                          {"validation_step", "6"},
                                          {"[Callback]ProgressBar.on_train_batch_end", "12"},
                                          {"[Callback]TimingCallback.on_train_batch_end", "12"}}) {
    ASSERT_TRUE(rows.count(action)) << action << "\n" << table;
    EXPECT_EQ(rows[action][2], calls) << action;
    EXPECT_NEAR(std::stod(rows[action][1]) * std::stod(calls), std::stod(rows[action][3]),
                1e-3 * std::stod(rows[action][3]) + 1e-9);
  }
  EXPECT_GE(std::stod(rows["save_checkpoint"][2]), 3);
  EXPECT_LE(std::stod(rows["run_training_batch"][3]), std::stod(rows["Total"][3]));
  const Json trace = parse_text(read_file(folder_ + "/run/profile.json"));
  EXPECT_EQ(trace["otherData"]["events_left_out"], 0);
  int64_t steps = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["name"] != "training_step") continue;
    ++steps;
    EXPECT_EQ(event["ph"], "X");
    EXPECT_GE(event["ts"].get<double>(), 0);
    EXPECT_GT(event["dur"].get<double>(), 0);
  }
  EXPECT_EQ(steps, 12);

  ASSERT_EQ(run(toy("plain")).status, 0);
  EXPECT_FALSE(file_exists(folder_ + "/plain/profile.txt"));
  for (const auto& [profiler, part] : {std::pair{"advanced", "there is no Python"},
                                       {"pytorch", "single operators"},
                                       {"smiple", "did you mean: simple"}}) {
    const Result refused = run(toy("refused", {std::string("++trainer.profiler=") + profiler}));
    EXPECT_NE(refused.status, 0);
    EXPECT_THAT(refused.err, AllOf(HasSubstr("trainer.profiler"), HasSubstr(part)));
  }
  EXPECT_EQ(fathom({"validate", "--profile"}).status, 2);
  std::vector<std::string> validate =
      toy("run", {"++trainer.profiler=simple", "ckpt_path='" + file_of("run", "-last.ckpt") + "'"});
  std::replace(validate.begin(), validate.end(), std::string("train"), std::string("validate"));
  const Result evaluated = run(validate);
  EXPECT_EQ(evaluated.status, 0) << evaluated.err;
  EXPECT_THAT(evaluated.err, AllOf(HasSubstr("VALIDATE Profiler Report"), HasSubstr("\nvalidation_step  ")));
}

TEST_F(Look, ALongProfileStaysBounded) {
  const Result result =
      run(toy("run", {"--profile", "trainer.max_epochs=2", "model.train_ds.items=16000", "model.optim.lr=0.0001"}));
  ASSERT_EQ(result.status, 0) << result.err;
  const Json trace = parse_text(read_file(folder_ + "/run/profile.json"));
  EXPECT_EQ(trace["traceEvents"].size(), 50'001u) << "with the name of the process";
  const int64_t left_out = trace["otherData"]["events_left_out"].get<int64_t>();
  EXPECT_GT(left_out, 0);
  EXPECT_THAT(result.err, HasSubstr(std::to_string(left_out) + " later ones left out"));
  EXPECT_LT(fs::file_size(folder_ + "/run/profile.json"), 10'000'000u);
}

TEST_F(Look, TheEndNamesTheBestAndWhereItIs) {
  const Result result = run(toy("run"));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("Metric"));
  EXPECT_THAT(result.err, HasSubstr("val_loss (min)"));
  EXPECT_THAT(result.err, HasSubstr("run folder      " + folder_ + "/run\n"));
  for (const char* what : {"best checkpoint ", "last checkpoint ", "model           "}) {
    const size_t at = result.err.find(what);
    ASSERT_NE(at, std::string::npos) << what << result.err;
    const std::string rest = result.err.substr(at + 16, result.err.find('\n', at) - at - 16);
    EXPECT_TRUE(file_exists(rest.substr(0, rest.find("  (")))) << rest;
  }
  EXPECT_THAT(result.err, HasSubstr("metrics.csv"));
  // Its figures are those of metrics.csv.
  std::istringstream csv(read_file(folder_ + "/run/metrics.csv"));
  std::string line, cell;
  std::getline(csv, line);
  std::istringstream header(line);
  size_t column = 0;
  for (; std::getline(header, cell, ',') && cell != "val_loss"; ++column) {
  }
  double least = INFINITY;
  while (std::getline(csv, line)) {
    std::istringstream cells(line + ",");
    for (size_t i = 0; std::getline(cells, cell, ','); ++i) {
      if (i == column && !cell.empty()) least = std::min(least, std::stod(cell));
    }
  }
  char best[40];
  std::snprintf(best, sizeof best, "%.6g at epoch ", least);
  EXPECT_THAT(result.err, HasSubstr(best));
  EXPECT_THAT(run(toy("quiet", {"--quiet"})).err, Not(HasSubstr("run folder ")));
}

// The program with a terminal for its stderr, and what it wrote there.
std::string on_terminal(const std::vector<std::string>& words, unsigned short columns,
                        const std::vector<std::string>& environment) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) return "";
  const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0) return "";
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 25;
  ::ioctl(slave, TIOCSWINSZ, &size);
  std::string text;
  {
    Process process(words, environment, [slave] {
      ::unsetenv("CI");
      ::dup2(slave, STDERR_FILENO);
    });
    ::close(slave);
    std::thread reader([&] {
      char chunk[4096];
      for (ssize_t n; (n = ::read(master, chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<size_t>(n));
    });
    EXPECT_EQ(process.wait().status, 0);
    reader.join();
  }
  ::close(master);
  return text;
}

TEST_F(Look, ATerminalHasOneLineThatFits) {
  const std::vector<std::string> words =
      toy("run", {"trainer.max_epochs=2", "model.train_ds.items=40000", "model.optim.lr=0.00001",
                  "++exp_manager.create_tensorboard_logger=false"});
  const std::string text = on_terminal(words, 70, {"TERM=xterm", "NO_COLOR="});
  if (text.empty()) GTEST_SKIP() << "there is no pseudo-terminal here";
  EXPECT_THAT(text, HasSubstr("\x1b[1mepoch 0/1\x1b[0m ["));
  EXPECT_THAT(text, HasSubstr("] 10000/10000"));
  std::string shown;  // without what steers the terminal
  size_t updates = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      updates += text.compare(i, 4, "\x1b[2K") == 0 ? 1 : 0;
      i = text.find_first_of("Km", i);
    } else {
      shown += text[i] == '\r' ? '\n' : text[i];
    }
  }
  EXPECT_GE(updates, 4u);
  std::istringstream lines(shown);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("epoch ")) {
      EXPECT_LE(line.size(), 69u) << line;
    }
  }
  EXPECT_THAT(on_terminal(toy("plain"), 70, {"TERM=xterm", "NO_COLOR=1"}),
              AllOf(HasSubstr("epoch 0/2 ["), Not(HasSubstr("\x1b[1m"))));
  EXPECT_THAT(on_terminal(toy("never", {"--color=never"}), 70, {"TERM=xterm"}),
              AllOf(HasSubstr("epoch 0/2 ["), Not(HasSubstr("\x1b[1m"))));
  EXPECT_THAT(on_terminal(toy("dumb"), 70, {"TERM=dumb"}), Not(HasSubstr("\x1b")));
}

TEST_F(Look, APipeHasPlainLines) {
  const Result result = run(toy("run", {"++trainer.callbacks=[{name: ProgressBar, plain_interval: 0.0}]"}));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, Not(HasSubstr("\r")));
  EXPECT_THAT(result.err, Not(HasSubstr("\x1b")));
  EXPECT_THAT(result.err, HasSubstr("epoch 2/2 eval 2/2"));
  size_t lines = 0;
  std::istringstream stream(result.err);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with("epoch 1/2 ") || line.find("eval") != std::string::npos) continue;
    ++lines;
    for (const char* part : {"it/s  ", "samples/s  ", "ETA 00:", "fit 00:", "loss ", "lr 0.1000", "mem "})
      EXPECT_THAT(line, HasSubstr(part));
  }
  EXPECT_EQ(lines, 4u);
}

TEST_F(Look, CompletionKnowsRuns) {
  ASSERT_EQ(run(toy("done")).status, 0);
  EXPECT_EQ(fathom({"__complete", "runs", "--sort", "s"}).out, "started\nstate\nstep\n");
  EXPECT_EQ(fathom({"__complete", "runs", folder_ + "/do"}).out, folder_ + "/done/\n");
  EXPECT_THAT(fathom({"__complete", "runs", "pl"}).out, StartsWith("plot\n"));
  EXPECT_EQ(fathom({"__complete", "runs", "plot", folder_ + "/done", "--metric", "val"}).out,
            "val_loss\nvalidation_step_timing in s\n");
  EXPECT_EQ(fathom({"__complete", "runs", "plot", "--x", ""}).out, "step\nepoch\ntime\n");
  EXPECT_THAT(fathom({"__complete", "train", "--pro"}).out, HasSubstr("--profile\n"));
}

}  // namespace
}  // namespace fathom::e2e
