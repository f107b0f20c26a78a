#include <csignal>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "core/base/file.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/runs/run_report.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/run_config.h"
#include "host/signals.h"
#include "host/slurm.h"

namespace fathom::cli {
namespace {

// Takes `--json-summary FILE`, `--strict-overrides` and `--profile` out of the words; the rest are Hydra's.
struct Flags {
  std::string json_summary;
  std::string output = "-";  // of predict
  bool strict = false;
  Words rest;
};
Flags read_flags(const Words& words, const std::string& stage) {
  Flags flags;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--strict-overrides") {
      flags.strict = true;
    } else if (words[i] == "--profile") {
      if (stage != "train")
        throw Error(Code::kUsage, "only train takes this flag")
            .seen("fathom " + stage + " --profile")
            .next("++trainer.profiler=simple logs the table of an evaluation");
      flags.rest.push_back("++trainer.profiler=simple");
    } else if (stage == "predict" && (words[i] == "--output" || words[i] == "-o")) {
      if (i + 1 == words.size()) throw Error(Code::kUsage, "the flag needs a file").seen(words[i]);
      flags.output = words[++i];
    } else if (stage == "predict" && words[i].starts_with("--output=")) {
      flags.output = words[i].substr(std::string_view("--output=").size());
    } else if (words[i].starts_with("--json-summary=")) {
      flags.json_summary = words[i].substr(15);
    } else if (words[i] == "--json-summary") {
      if (i + 1 == words.size()) throw Error(Code::kUsage, "the flag needs a file").seen("--json-summary");
      flags.json_summary = words[++i];
    } else {
      flags.rest.push_back(words[i]);
    }
  }
  return flags;
}

// What --json-summary asks for: one run's document, or a sweep's documents in a list.
class SummaryFile {
 public:
  explicit SummaryFile(std::string path) : path_(std::move(path)) {}
  bool is_stdout() const { return path_ == "-"; }
  void add(const config::JobContext& job, const RunSummary& summary) {
    if (job.number)
      runs_.push_back(summary.json());
    else
      runs_ = summary.json();
    if (!is_stdout()) write();
  }
  // Of a run whose error is on its way: it is the one to end with.
  void add_failed(const config::JobContext& job, const RunSummary& summary) {
    try {
      add(job, summary);
    } catch (const Error& error) {
      print_error(error);
    }
  }
  // At the end of a command that ran; `failed` also when it came to no run.
  void finish(bool failed) {
    const bool none = runs_.is_null();
    if (none && !failed) return;
    if (none) runs_ = failed_run().json();
    if (none || is_stdout()) write();
  }
  static RunSummary failed_run() {
    RunSummary summary;
    summary.status = "failed";
    return summary;
  }

 private:
  void write() {
    if (is_stdout())
      print_json(runs_);
    else if (!path_.empty())
      write_file_atomically(path_, json_text(runs_, 2) + "\n");
  }

  std::string path_;
  Json runs_;
};

// Runs one job. Whatever becomes of it is in `file`; what the engine refuses in the config has its place there.
template <typename Run>
void run_one(const config::JobContext& job, SummaryFile& file, RunSummary& summary, Run run) {
  try {
    run();
  } catch (const Error& error) {
    file.add_failed(job, summary);
    throw located(job.config, error);
  } catch (...) {
    file.add_failed(job, summary);
    throw;
  }
  file.add(job, summary);
}

bool train_job(const config::JobContext& job, const Globals& globals, SummaryFile& file, int& status) {
  RunSummary summary = SummaryFile::failed_run();
  run_one(job, file, summary, [&] {
    check_job(job, ConfigUse::kTraining);
    engine().train(run_request(job, globals), summary);
  });
  log_info("train", "{} after {:.0f} s\n{}", summary.status, summary.seconds, runs::run_report(summary));
  if (summary.status != "interrupted") return true;
  const bool saved = !summary.reason.empty();
  if (saved) {
    log_info("train", "saved {}", summary.reason);
    log_info("train", "resume with the same command and exp_manager.resume_if_exists=true, or ckpt_path={}",
             summary.reason);
  }
  if (saved && interrupt_requested() == SIGUSR1) requeue_slurm_job(slurm_job_id());
  status = interrupt_status(saved);
  return false;
}

bool evaluation_job(const config::JobContext& job, const Globals& globals, SummaryFile& file, const std::string& stage,
                    int& status) {
  RunSummary summary = SummaryFile::failed_run();
  run_one(job, file, summary, [&] {
    check_job(job, ConfigUse::kEvaluation);
    summary = engine().evaluate(run_request(job, globals), stage);
  });
  if (summary.status == "interrupted") {
    status = interrupt_status(/*saved=*/false);
    return false;
  }
  if (file.is_stdout()) return true;  // the summary has the metrics
  Json metrics = Json::object();
  for (const auto& [name, value] : summary.metrics) metrics[name] = value;
  print_json(metrics);
  return true;
}

// One JSON object an item: on stdout as they come, or in a file when all are there.
bool predict_job(const config::JobContext& job, const Globals& globals, SummaryFile& file, const std::string& output,
                 int& status) {
  if (output == "-" && file.is_stdout())
    throw Error(Code::kUsage, "predictions and the summary cannot both go to stdout").next("give --output FILE");
  RunSummary summary = SummaryFile::failed_run();
  std::string lines;
  run_one(job, file, summary, [&] {
    check_job(job, ConfigUse::kEvaluation);
    summary = engine().predict(run_request(job, globals), [&](const Json& item) {
      if (output == "-")
        print_line(json_text(item));
      else
        lines += json_text(item) + "\n";
    });
  });
  if (summary.status == "interrupted") {
    status = interrupt_status(/*saved=*/false);
    return false;
  }
  if (output != "-") write_file_atomically(output, lines);
  return true;
}

int run_stage(const Words& words, const Globals& globals, const std::string& stage, const std::string& about) {
  const Flags flags = read_flags(words, stage);
  SummaryFile file(flags.json_summary);
  int status = 0;
  config::Application application = hydra_application(flags.strict);
  application.help = config_command_help(stage, about);
  application.task = [&](const config::JobContext& job) {
    catch_interrupts();
    if (stage == "train") return train_job(job, globals, file, status);
    if (stage == "predict") return predict_job(job, globals, file, flags.output, status);
    return evaluation_job(job, globals, file, stage, status);
  };
  try {
    run_and_print(application, flags.rest);
  } catch (...) {
    try {
      file.finish(true);
    } catch (const Error& error) {  // the reason of the failure is the one to end with
      print_error(error);
    }
    throw;
  }
  file.finish(false);
  return status;
}

}  // namespace

int run_train(const Words& words, const Globals& globals) {
  return run_stage(words, globals, "train", "compose a config and fit");
}
int run_validate(const Words& words, const Globals& globals) {
  return run_stage(words, globals, "validate", "evaluate model_path=X.nemo or ckpt_path=X.ckpt on model.validation_ds");
}
int run_test(const Words& words, const Globals& globals) {
  return run_stage(words, globals, "test", "evaluate model_path=X.nemo or ckpt_path=X.ckpt on model.test_ds");
}

int run_predict(const Words& words, const Globals& globals) {
  return run_stage(words, globals, "predict",
                   "what the model of model_path=X.nemo or ckpt_path=X.ckpt makes of each item of model.predict_ds");
}

}  // namespace fathom::cli
