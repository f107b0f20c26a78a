#include <cstdio>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/printer.h"
#include "core/config/sweep.h"
#include "host/config_info.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/run_config.h"
#include "host/signals.h"

namespace fathom::cli {
namespace {

// Takes `--json-summary FILE` and `--strict-overrides` out of the words; the rest are Hydra's.
struct TrainFlags {
  std::string json_summary;
  bool strict = false;
  config::CommandLine line;
};
TrainFlags read_flags(const Words& words) {
  TrainFlags flags;
  Words rest;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--strict-overrides") {
      flags.strict = true;
    } else if (words[i].starts_with("--json-summary=")) {
      flags.json_summary = words[i].substr(15);
    } else if (words[i] == "--json-summary") {
      if (i + 1 == words.size()) throw Error(Code::kUsage, "the flag needs a file").seen("--json-summary");
      flags.json_summary = words[++i];
    } else {
      rest.push_back(words[i]);
    }
  }
  flags.line = config::parse_command_line(rest);
  return flags;
}

// The part that train, validate and test share: help, --cfg and --info print and end; else the request is ready to run.
bool printed_only(const TrainFlags& flags, const std::string& command, const std::string& about) {
  if (flags.line.help) {
    print(config_command_help(command, about));
    return true;
  }
  if (!flags.line.cfg && !flags.line.info) return false;
  const auto composed = compose_job(compose_request(flags.line, flags.strict));
  if (flags.line.info)
    print_config_info(composed, *flags.line.info);
  else
    print_config(composed, flags.line);
  return true;
}

int train_job(const config::ComposeRequest& request, const std::string& json_summary, const Globals& globals) {
  const auto composed = compose_job(request);
  check_job(composed);
  RunSummary summary;
  const auto write_summary = [&] {
    if (!json_summary.empty()) write_file_atomically(json_summary, summary.json().dump(2) + "\n");
  };
  try {
    engine().train(run_request(composed, globals), summary);
  } catch (...) {
    write_summary();
    throw;
  }
  write_summary();
  if (summary.status == "interrupted") {
    const bool saved = !summary.reason.empty();
    if (saved) {
      log_info("train", "saved {}", summary.reason);
      log_info("train", "resume with the same command and exp_manager.resume_if_exists=true, or +ckpt_path={}",
               summary.reason);
    }
    return interrupt_status(saved);
  }
  return 0;
}

int train_sweep(const TrainFlags& flags, const Globals& globals) {
  config::ComposeRequest request = compose_request(flags.line, flags.strict);
  const auto composed = config::compose(request);
  const auto jobs = config::sweep_jobs(composed.overrides, composed.repository.get());
  log_info("train", "launching {} jobs one after another", jobs.size());
  int failed = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    request.overrides = jobs[i];
    request.multirun = false;
    std::string words;
    for (const auto& word : jobs[i]) words += " " + word;
    log_info("train", "#{} :{}", i, words);
    try {
      const int status = train_job(request, flags.json_summary, globals);
      if (status != 0) return status;  // interrupted: the rest is not started
    } catch (const std::exception& error) {
      report_exception(error);
      ++failed;
    }
  }
  if (failed > 0)
    throw Error(Code::kFailed, std::to_string(failed) + " of " + std::to_string(jobs.size()) + " jobs failed");
  return 0;
}

int run_stage(const Words& words, const Globals& globals, const std::string& stage, const std::string& about) {
  const TrainFlags flags = read_flags(words);
  if (printed_only(flags, stage, about)) return 0;
  const auto composed = compose_job(compose_request(flags.line, flags.strict));
  catch_interrupts();
  RunSummary summary = engine().evaluate(run_request(composed, globals), stage);
  if (!flags.json_summary.empty()) write_file_atomically(flags.json_summary, summary.json().dump(2) + "\n");
  Json metrics = Json::object();
  for (const auto& [name, value] : summary.metrics) metrics[name] = value;
  print_json(metrics);
  return 0;
}

}  // namespace

int run_train(const Words& words, const Globals& globals) {
  const TrainFlags flags = read_flags(words);
  if (printed_only(flags, "train", "compose a config and fit")) return 0;
  catch_interrupts();
  if (flags.line.multirun) return train_sweep(flags, globals);
  return train_job(compose_request(flags.line, flags.strict), flags.json_summary, globals);
}
int run_validate(const Words& words, const Globals& globals) {
  return run_stage(words, globals, "validate", "evaluate model_path=X.nemo or ckpt_path=X.ckpt on model.validation_ds");
}
int run_test(const Words& words, const Globals& globals) {
  return run_stage(words, globals, "test", "evaluate model_path=X.nemo or ckpt_path=X.ckpt on model.test_ds");
}

}  // namespace fathom::cli
