#include "core/planning/exp_manager.h"

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/planning/batch_limits.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

// Next free number of folders `prefix`N in `folder`.
int64_t next_number(const fs::path& folder, const std::string& prefix) {
  int64_t next = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    char* end = nullptr;
    const long long number = std::strtoll(name.c_str() + prefix.size(), &end, 10);
    if (*end == '\0') next = std::max<int64_t>(next, number + 1);
  }
  return next;
}

// `name`, or where another run started in the same second name-1, name-2, …
std::string free_name(const fs::path& folder, const std::string& name) {
  std::string free = name;
  for (int number = 1; fs::exists(folder / free); ++number) free = name + "-" + std::to_string(number);
  return free;
}

// Written by every run, NeMo's too: where it is missing, there was no run, and no file is one's.
constexpr const char* kCommandFile = "cmd-args.log";

// What a resumed run goes on writing into.
bool is_continued(const std::string& name) {
  return name == "metrics.csv" || name == "metrics.jsonl" || name.starts_with("events.out.tfevents");
}

// Whether a run writes a file of that name into its folder: ours, NeMo's or one of its loggers.
bool is_of_a_run(const std::string& name, const ExpManagerOptions& o) {
  for (const char* known : {kCommandFile, "config.yaml", "hparams.yaml", "git-info.log", "lightning_logs.txt",
                            "run.json", "profile.txt", "profile.json"}) {
    if (name == known) return true;
  }
  for (const char* start : {"nemo_log_", "nemo_error_log"}) {
    if (name.starts_with(start)) return true;
  }
  for (const auto& file : o.files_to_copy.value_or(std::vector<std::string>())) {
    if (fs::path(file).filename() == name) return true;
  }
  return is_continued(name);
}

// The files of an earlier run in the folder go to run_N; nobody else's do.
void set_aside_earlier_files(const fs::path& log_dir, const ExpManagerOptions& o, bool resumed) {
  if (!fs::exists(log_dir / kCommandFile)) return;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(log_dir)) {
    const std::string name = entry.path().filename();
    if (entry.is_symlink() || !entry.is_regular_file() || !is_of_a_run(name, o)) continue;
    if (!resumed || !is_continued(name)) files.push_back(entry.path());
  }
  if (!resumed)
    log_warning("exp_manager", "{}: there was a run in this folder; a new one starts beside it", log_dir.string());
  const fs::path target = log_dir / ("run_" + std::to_string(next_number(log_dir, "run_")));
  create_directories(target);
  for (const auto& file : files) fs::rename(file, target / file.filename());
}

// What a run that was killed was writing, NAME.tmp.PID of a process that is no more, is of no use to anybody.
void remove_half_written(const fs::path& log_dir, const ExpManagerOptions& o) {
  constexpr std::string_view kTemporary = ".tmp.";
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(log_dir)) {
    const std::string name = entry.path().filename();
    const size_t at = name.rfind(kTemporary);
    if (at == std::string::npos || !is_of_a_run(name.substr(0, at), o)) continue;
    char* end = nullptr;
    const long pid = std::strtol(name.c_str() + at + kTemporary.size(), &end, 10);
    if (*end == '\0' && pid > 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH)
      left.push_back(entry.path());
  }
  for (const auto& file : left) fs::remove(file);
}

// A zip's directory stands at its end, so a file that was cut short has none. (Checkpoints have no comment after it.)
bool is_whole_zip(const fs::path& path) {
  constexpr size_t kEndRecord = 22;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() < static_cast<std::streamoff>(kEndRecord)) return false;
  file.seekg(-static_cast<std::streamoff>(kEndRecord), std::ios::end);
  char end[4] = {};
  file.read(end, sizeof end);
  return file.good() && std::string_view(end, sizeof end) == "PK\5\6";
}

// A run that dies between a checkpoint and its marker leaves a complete file with a marker.
bool is_unfinished(const fs::path& checkpoint) {
  return fs::exists(unfinished_marker_of(checkpoint)) && !is_whole_zip(checkpoint);
}

constexpr std::string_view kAveragesEnding = "-EMA.ckpt";

void sort_newest_first(std::vector<fs::path>& files) {
  std::stable_sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return fs::last_write_time(a) > fs::last_write_time(b);
  });
}

bool is_of_a_rank(const fs::path& checkpoint) {
  const std::string folder = checkpoint.parent_path().filename();
  for (const char* part : {"mp_rank_", "tp_rank_", "fsdp_shard_"}) {
    if (folder.find(part) != std::string::npos) return true;
  }
  return false;
}

struct FoundCheckpoints {
  std::vector<fs::path> ends, lasts, others;  // the newest first, but for ends
  std::string distributed;                    // a folder that is one
  bool unfinished = false;
};

// Safety checkpoints count as last ones.
FoundCheckpoints look_for_checkpoints(const std::string& folder) {
  FoundCheckpoints found;
  if (!fs::is_directory(folder)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (entry.is_directory()) {
      if (name.ends_with("-last") || name.ends_with("-end")) found.distributed = entry.path();
      continue;
    }
    if (!name.ends_with(".ckpt") || name.ends_with(kAveragesEnding)) continue;
    const bool safety = entry.path().parent_path().filename() == kSafetyFolder;
    const bool end = name.ends_with("end.ckpt") && !safety, last = name.ends_with("last.ckpt") || safety;
    if (is_unfinished(entry.path())) {
      if (!end && !last) continue;
      found.unfinished = true;
      log_warning("exp_manager", "{}: its writing was not finished; it is passed over", entry.path().string());
      continue;
    }
    (end ? found.ends : last ? found.lasts : found.others).push_back(entry.path());
  }
  std::sort(found.ends.begin(), found.ends.end());
  sort_newest_first(found.lasts);
  sort_newest_first(found.others);
  return found;
}

}  // namespace

void ExpManagerOptions::describe(OptionSet<ExpManagerOptions>& o) {
  using T = ExpManagerOptions;
  o("explicit_log_dir", &T::explicit_log_dir, "folder of the run, whatever the other keys say");
  o("exp_dir", &T::exp_dir, "root of experiments; default ./nemo_experiments");
  o("name", &T::name, "name of the experiment; default 'default'");
  o("version", &T::version, "folder of this run below the name; default the time, or version_N");
  o("use_datetime_version", &T::use_datetime_version, "name versions by time instead of counting");
  o("resume_if_exists", &T::resume_if_exists,
    "go on from the last checkpoint in the folder, which then has no version part");
  o("resume_past_end", &T::resume_past_end, "go on also from a run that has ended");
  o("resume_ignore_no_checkpoint", &T::resume_ignore_no_checkpoint, "start afresh when there is nothing to resume");
  o("resume_from_checkpoint", &T::resume_from_checkpoint, "checkpoint to go on from");
  o("create_tensorboard_logger", &T::create_tensorboard_logger, "write TensorBoard events");
  o("create_csv_logger", &T::create_csv_logger, "write metrics.csv");
  o("summary_writer_kwargs", &T::summary_writer_kwargs, "options of the TensorBoard logger");
  o("create_checkpoint_callback", &T::create_checkpoint_callback, "save checkpoints");
  o("checkpoint_callback_params", &T::checkpoint_callback_params, "options of the checkpoint callback");
  o("create_early_stopping_callback", &T::create_early_stopping_callback, "stop when a metric no longer improves");
  o("early_stopping_callback_params", &T::early_stopping_callback_params, "options of early stopping");
  o("files_to_copy", &T::files_to_copy, "files to keep beside the run");
  o("log_step_timing", &T::log_step_timing, "log seconds of training and evaluation steps");
  o("step_timing_kwargs", &T::step_timing_kwargs, "options of the step timing");
  o("max_time_per_run", &T::max_time_per_run, "stop this run, saving, after DD:HH:MM:SS");
  o("create_wandb_logger", &T::create_wandb_logger, "write an offline run of Weights & Biases");
  o("wandb_logger_kwargs", &T::wandb_logger_kwargs, "options of the W&B logger; name and project are needed");
  o("create_mlflow_logger", &T::create_mlflow_logger, "write a run into MLflow's file store");
  o("mlflow_logger_kwargs", &T::mlflow_logger_kwargs, "options of the MLflow logger");
  o("create_dllogger_logger", &T::create_dllogger_logger, "not available");
  o("create_clearml_logger", &T::create_clearml_logger, "not available");
  o("create_neptune_logger", &T::create_neptune_logger, "not available");
  o("create_straggler_detection_callback", &T::create_straggler_detection_callback, "not available");
  o("create_fault_tolerance_callback", &T::create_fault_tolerance_callback, "not available");
  o("dllogger_logger_kwargs", &T::dllogger_logger_kwargs, "used with create_dllogger_logger");
  o("clearml_logger_kwargs", &T::clearml_logger_kwargs, "used with create_clearml_logger");
  o("neptune_logger_kwargs", &T::neptune_logger_kwargs, "used with create_neptune_logger");
  o("ema", &T::ema,
    "enable: true keeps a moving average of the weights; the other keys are options of the callback EMA");
  o("create_preemption_callback", &T::create_preemption_callback, "a run always saves when it is asked to stop");
  o("log_delta_step_timing", &T::log_delta_step_timing,
    "say in the log how long each step took, data included, in place of log_step_timing");
  o("log_local_rank_0_only", &T::log_local_rank_0_only, "with one process without effect");
  o("log_global_rank_0_only", &T::log_global_rank_0_only, "with one process without effect");
  o("disable_validation_on_resume", &T::disable_validation_on_resume, "a resumed run never repeats a validation");
  o("log_tflops_per_sec_per_gpu", &T::log_tflops_per_sec_per_gpu, "a GPU figure");
  o("seconds_to_sleep", &T::seconds_to_sleep, "with one process nobody waits", "s");
}

Json exp_manager_section(Json given) {
  if (!given.is_object()) return given;
  for (const char* key :
       {"explicit_log_dir", "exp_dir", "name", "version", "resume_from_checkpoint", "max_time_per_run"}) {
    const auto value = given.find(key);
    if (value == given.end()) continue;
    if (value->is_boolean())
      *value = *value == true ? "True" : "False";
    else if (value->is_number())
      *value = json_text(*value);
  }
  return given;
}

ExpManagerOptions read_exp_manager_options(const Json& section, const std::string& path) {
  const auto o = parse_options<ExpManagerOptions>(exp_manager_section(section), path);
  if (o.max_time_per_run) parse_max_time(*o.max_time_per_run, path + ".max_time_per_run");
  const auto refuse = [&](bool on, const char* key, const char* what) {
    if (on)
      throw Error(Code::kUnavailable, std::string(what) + " is not available")
          .at(path + "." + key)
          .seen("true")
          .next(std::string("set ") + path + "." + key + "=false");
  };
  const auto refuse_logger = [&](bool on, const char* key, const char* why) {
    if (on)
      throw Error(Code::kUnavailable, why)
          .at(path + "." + key)
          .seen("true")
          .next(std::string("set ") + path + "." + key +
                "=false; csv, jsonl, tensorboard, mlflow and wandb write what other tools read");
  };
  refuse_logger(o.create_dllogger_logger, "create_dllogger_logger",
                "DLLogger is not available: its Python package alone writes its log");
  refuse_logger(o.create_clearml_logger, "create_clearml_logger",
                "the ClearML logger is not available: its metrics go to a server, through its Python package");
  refuse_logger(o.create_neptune_logger, "create_neptune_logger",
                "the Neptune logger is not available: its metrics go to a server, through its Python package");
  refuse(o.create_straggler_detection_callback, "create_straggler_detection_callback", "straggler detection");
  refuse(o.create_fault_tolerance_callback, "create_fault_tolerance_callback", "the fault tolerance callback");
  for (const auto& [kwargs, key] :
       {std::pair{&o.wandb_logger_kwargs, "wandb_logger_kwargs"}, {&o.mlflow_logger_kwargs, "mlflow_logger_kwargs"}}) {
    if (!kwargs->is_null() && !kwargs->is_object())
      throw Error(Code::kFailed, "is no section of options").at(path + "." + key).seen(json_text(*kwargs));
  }
  if (o.create_wandb_logger) {
    for (const char* key : {"name", "project"}) {
      const Json& given = o.wandb_logger_kwargs;
      if (given.is_object() && given.contains(key) && given[key].is_string()) continue;
      throw Error(Code::kFailed, "the W&B logger needs the run's name and project")
          .at(path + ".wandb_logger_kwargs." + key)
          .seen(given.is_object() && given.contains(key) ? json_text(given[key]) : "nothing")
          .expected("a text");
    }
  }
  const bool well_formed =
      o.ema.is_null() || (o.ema.is_object() && (!o.ema.contains("enable") || o.ema["enable"].is_boolean()));
  if (!well_formed)
    throw Error(Code::kFailed, "is no section of options")
        .at(path + ".ema")
        .seen(json_text(o.ema))
        .expected("{enable: true, decay: 0.999}");
  if (o.log_local_rank_0_only && o.log_global_rank_0_only) {
    throw Error(Code::kFailed, "log_local_rank_0_only and log_global_rank_0_only exclude each other").at(path);
  }
  return o;
}

std::string unfinished_marker_of(const std::string& checkpoint) {
  fs::path folder = fs::path(checkpoint).parent_path();
  if (is_of_a_rank(checkpoint)) folder = folder.parent_path();
  std::string name = fs::path(checkpoint).filename();
  for (const std::string_view endings[] = {".nemo", ".ckpt"}; const std::string_view ending : endings) {
    if (!name.ends_with(ending)) continue;
    name.resize(name.size() - ending.size());
    break;
  }
  if (constexpr std::string_view kAverages = "-EMA"; name.ends_with(kAverages))
    name.resize(name.size() - kAverages.size());
  return folder / (name + "-unfinished");
}

std::vector<std::string> find_resume_checkpoints(const ExpManagerOptions& o, const std::string& folder) {
  const FoundCheckpoints found = look_for_checkpoints(folder);
  if (!found.distributed.empty()) {
    throw Error(Code::kUnavailable,
                "is a checkpoint that several processes wrote into a folder, which this build does not read")
        .at(found.distributed)
        .next("name another with exp_manager.resume_from_checkpoint, or remove it");
  }
  std::vector<std::string> candidates;
  if (!found.ends.empty()) {
    if (!o.resume_past_end) {
      throw Error(Code::kFailed, "this training has already completed")
          .at(found.ends[0].string())
          .next("set exp_manager.resume_past_end=true to go on");
    }
    if (found.ends.size() > 1) {
      std::vector<std::string> names(found.ends.begin(), found.ends.end());
      throw Error(Code::kFailed, "several end checkpoints: which one to resume from is not clear")
          .at(folder)
          .seen(join(names, ", "))
          .next("name one with exp_manager.resume_from_checkpoint, or remove the others");
    }
    candidates.push_back(found.ends[0]);
  }
  // A run killed after writing its new last checkpoint and before removing the old one leaves both; NeMo gives up here.
  const auto runs_own = std::count_if(found.lasts.begin(), found.lasts.end(), [](const fs::path& last) {
    return last.parent_path().filename() != kSafetyFolder;
  });
  if (candidates.empty() && runs_own > 1) {
    log_warning("exp_manager", "{}: {} last checkpoints; the newest is taken: {}", folder, runs_own,
                found.lasts[0].string());
  }
  candidates.insert(candidates.end(), found.lasts.begin(), found.lasts.end());
  if (!candidates.empty()) candidates.insert(candidates.end(), found.others.begin(), found.others.end());
  if (!candidates.empty()) {
    if (is_of_a_rank(candidates[0])) {
      throw Error(Code::kUnavailable,
                  "is one of several checkpoints, each of a part of the model, which this build does not join")
          .at(candidates[0])
          .next("name a checkpoint of the whole model with exp_manager.resume_from_checkpoint");
    }
    return candidates;
  }
  if (found.unfinished) {
    throw Error(Code::kFailed, "every checkpoint to resume from is unfinished")
        .at(folder)
        .next("remove them, or name one with exp_manager.resume_from_checkpoint");
  }
  if (!o.resume_ignore_no_checkpoint) {
    throw Error(Code::kNoInput, "there is no checkpoint to resume from")
        .at(folder)
        .next("set exp_manager.resume_ignore_no_checkpoint=true to start afresh when there is none");
  }
  return candidates;
}

std::string newest_last_checkpoint(const std::vector<std::string>& folders) {
  std::vector<fs::path> found;
  for (const auto& folder : folders) {
    std::error_code error;  // a folder that is not there has none
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename();
      const bool last = name.starts_with("last") || name.find("-last") != std::string::npos;
      if (last && name.ends_with(".ckpt") && !name.ends_with(kAveragesEnding)) found.push_back(entry->path());
    }
  }
  sort_newest_first(found);
  return found.empty() ? "" : fs::absolute(found[0]).lexically_normal().string();
}

RunFolder plan_run_folder(const ExpManagerOptions& o, const std::string& now) {
  RunFolder run;
  run.name = o.name && !o.name->empty() ? *o.name : "default";
  if (o.explicit_log_dir) {
    run.log_dir = *o.explicit_log_dir;
    run.version = "";
  } else {
    const fs::path base = fs::path(o.exp_dir.value_or("nemo_experiments")) / run.name;
    if (o.version)
      run.version = *o.version;
    else if (const char* env = std::getenv("NEMO_EXPM_VERSION"); env != nullptr && *env != '\0')
      run.version = env;
    else if (o.resume_if_exists)
      run.version = "";
    else if (o.use_datetime_version)
      run.version = free_name(base, now);
    else
      run.version = "version_" + std::to_string(next_number(base, "version_"));
    run.log_dir = run.version.empty() ? base : base / run.version;
  }
  run.log_dir = fs::absolute(run.log_dir).lexically_normal();
  const Json& params = o.checkpoint_callback_params;
  run.checkpoint_dir = params.is_object() && params.contains("dirpath") && params["dirpath"].is_string()
                           ? fs::absolute(params["dirpath"].get<std::string>()).lexically_normal().string()
                           : run.log_dir + "/checkpoints";
  if (o.resume_if_exists) {
    run.resume_otherwise = find_resume_checkpoints(o, run.checkpoint_dir);
    if (!run.resume_otherwise.empty()) {
      run.resume_from = run.resume_otherwise.front();
      run.resume_otherwise.erase(run.resume_otherwise.begin());
      return run;
    }
  }
  // As in NeMo, the run's own checkpoints come first: this one is for its first start.
  if (o.resume_from_checkpoint) {
    if (!fs::exists(*o.resume_from_checkpoint)) {
      throw Error(Code::kNoInput, "the checkpoint to resume from is not there")
          .at("exp_manager.resume_from_checkpoint")
          .seen(*o.resume_from_checkpoint);
    }
    run.resume_from = *o.resume_from_checkpoint;
  } else if (o.resume_if_exists) {
    log_warning("exp_manager", "{}: no checkpoint to resume from; training starts afresh", run.checkpoint_dir);
  }
  return run;
}

void make_run_folder(const ExpManagerOptions& o, const RunFolder& run) {
  create_directories(run.log_dir);
  remove_half_written(run.log_dir, o);
  set_aside_earlier_files(run.log_dir, o, !run.resume_from.empty());
  if (o.files_to_copy) {
    for (const auto& file : *o.files_to_copy)
      write_file_atomically(run.log_dir + "/" + fs::path(file).filename().string(), read_file(file));
  }
}

RunFolder plan_lightning_folder(const std::string& root) {
  RunFolder run;
  run.name = "lightning_logs";
  const fs::path base = fs::absolute(fs::path(root) / run.name).lexically_normal();
  run.version = "version_" + std::to_string(next_number(base, "version_"));
  run.log_dir = base / run.version;
  run.checkpoint_dir = run.log_dir + "/checkpoints";
  return run;
}

}  // namespace fathom
