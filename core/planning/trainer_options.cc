#include "core/planning/trainer_options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <span>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/planning/accumulation_plan.h"
#include "core/planning/batch_limits.h"

namespace fathom {
namespace {

constexpr std::array kAccelerators = {"auto", "cpu"};
constexpr std::array kStrategies = {"auto", "single_device", "ddp", "ddp_find_unused_parameters_true",
                                    "ddp_find_unused_parameters_false"};
constexpr std::array kProfilers = {"simple"};
constexpr std::array kClipAlgorithms = {"norm", "value"};

constexpr const char* kOneProcess = "this build trains in one process on the CPU";

[[noreturn]] void refuse(const std::string& path, const std::string& what, const Json& seen,
                         const std::string& expected, Code code = Code::kFailed) {
  throw Error(code, what).at(path).seen(json_text(seen)).expected(expected);
}

bool is_one_of(const std::string& name, std::span<const char* const> known) {
  return std::find(known.begin(), known.end(), name) != known.end();
}
std::vector<std::string> nearest(const std::string& name, std::span<const char* const> known) {
  return nearest_names(name, {known.begin(), known.end()});
}

void check_device(const TrainerOptions& o, const std::string& path) {
  if (!is_one_of(o.accelerator, kAccelerators)) {
    throw Error(Code::kUnavailable, "no accelerator of this kind is available")
        .at(path + ".accelerator")
        .seen(o.accelerator)
        .expected("auto or cpu")
        .candidates(nearest(o.accelerator, kAccelerators))
        .next("add trainer.accelerator=cpu to the command line");
  }
  const bool one = o.devices.is_string()           ? (o.devices == "auto" || o.devices == "1" || o.devices == "-1")
                   : o.devices.is_number_integer() ? (o.devices == 1 || o.devices == -1)
                   : o.devices.is_array()          ? o.devices.size() == 1
                                                   : false;
  if (!one) refuse(path + ".devices", kOneProcess, o.devices, "auto, 1 or -1", Code::kUnavailable);
  if (o.num_nodes != 1) refuse(path + ".num_nodes", kOneProcess, o.num_nodes, "1", Code::kUnavailable);
  if (is_one_of(o.strategy, kStrategies)) return;  // with one process all of these are the same training
  throw Error(Code::kUnavailable, kOneProcess)
      .at(path + ".strategy")
      .seen(o.strategy)
      .expected("auto, single_device or ddp")
      .candidates(nearest(o.strategy, kStrategies));
}

void check_accumulation(const TrainerOptions& o, const std::string& path) {
  const Json& batches = o.accumulate_grad_batches;
  const std::string key = path + ".accumulate_grad_batches";
  if (batches.is_object()) {
    read_accumulation(batches, key);
    if (o.barebones) refuse(key, "with barebones no callback runs that could plan it", batches, "an int of at least 1");
  } else if (!batches.is_number_integer() || batches < 1) {
    refuse(key, "is no count", batches, "an int of at least 1, or {epoch: batches}");
  }
}

bool is_norm(const Json& norm) { return (norm.is_number() && norm > 0) || norm == "inf"; }

// Lightning's names. What its other two measure does not exist here.
void check_profiler(const TrainerOptions& o, const std::string& path) {
  if (o.profiler.is_null() || o.profiler == "simple") return;
  const char* what = "unknown profiler";
  const char* next = "trainer.profiler=simple times the parts of the loop";
  if (o.profiler == "advanced") {
    what = "a profile of every Python function does not exist: there is no Python here";
    next = "use trainer.profiler=simple, or perf record -g fathom train … for native functions";
  }
  if (o.profiler == "pytorch") {
    what = "PyTorch's profiler of single operators is not available here";
    next = "use trainer.profiler=simple, whose profile.json Perfetto shows, or perf record -g fathom train …";
  }
  if (o.profiler.is_object()) what = "sections of profilers are not read";
  const bool known = o.profiler == "advanced" || o.profiler == "pytorch";
  throw Error(known ? Code::kUnavailable : Code::kFailed, what)
      .at(path + ".profiler")
      .seen(json_text(o.profiler))
      .expected("null or simple")
      .candidates(o.profiler.is_string() ? nearest(o.profiler.get<std::string>(), kProfilers)
                                         : std::vector<std::string>())
      .next(next);
}

// As in Lightning, a flag that the config does not have may come from the environment: PL_TRAINER_MAX_EPOCHS=3.
Json with_environment(Json section) {
  if (!section.is_object()) return section;
  static const Json schema = options_schema<TrainerOptions>();
  for (const Json& option : schema["options"]) {
    const std::string name = option["name"];
    if (section.contains(name)) continue;
    std::string variable = "PL_TRAINER_";
    for (const char c : name) variable += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const char* given = std::getenv(variable.c_str());
    if (given == nullptr) continue;
    const std::string text = given;
    if (text == "True" || text == "False")
      section[name] = text == "True";
    else if (text == "None")
      section[name] = nullptr;
    else
      section[name] = Json::accept(text) ? parse_text(text) : Json(text);
  }
  return section;
}

// barebones switches these off; who also asks for one of them does not mean it.
void check_barebones(const Json& section, const std::string& path) {
  for (const char* key : {"logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary",
                          "num_sanity_val_steps", "fast_dev_run", "detect_anomaly", "profiler"}) {
    const auto given = section.find(key);
    if (given == section.end() || given->is_null() || *given == false || *given == 0) continue;
    throw Error(Code::kFailed, "contradicts " + path + ".barebones=true")
        .at(path + "." + key)
        .seen(json_text(*given))
        .next(std::string("remove ") + path + "." + key + ", or set " + path + ".barebones=false");
  }
}

// The options as written, when nothing is wrong with them.
TrainerOptions checked(const Json& written, const std::string& path) {
  const Json section = with_environment(written);
  TrainerOptions o = parse_options<TrainerOptions>(section, path);
  if (o.barebones) check_barebones(section, path);
  check_device(o, path);
  if (o.reload_dataloaders_every_n_epochs < 0) {
    refuse(path + ".reload_dataloaders_every_n_epochs", "must not be negative", o.reload_dataloaders_every_n_epochs,
           "0 (never) or more");
  }
  check_profiler(o, path);
  if (o.log_every_n_steps < 0)
    refuse(path + ".log_every_n_steps", "must not be negative", o.log_every_n_steps, "0 or more");
  check_accumulation(o, path);
  if (!tracks_no_norm(o.track_grad_norm) && !is_norm(o.track_grad_norm)) {
    refuse(path + ".track_grad_norm", "is no norm of gradients", o.track_grad_norm,
           "a positive number such as 2, inf, or -1 for none");
  }
  if (o.gradient_clip_val && *o.gradient_clip_val < 0) {
    refuse(path + ".gradient_clip_val", "must not be negative", *o.gradient_clip_val, "null, 0 or a positive number");
  }
  const std::string algorithm = o.gradient_clip_algorithm.value_or("norm");
  if (!is_one_of(algorithm, kClipAlgorithms)) {
    throw Error(Code::kFailed, "unknown algorithm")
        .at(path + ".gradient_clip_algorithm")
        .seen(algorithm)
        .expected("norm or value")
        .candidates(nearest(algorithm, kClipAlgorithms));
  }
  if (o.max_epochs && *o.max_epochs < -1) refuse(path + ".max_epochs", "is no count", *o.max_epochs, "-1, 0 or more");
  if (o.max_steps && *o.max_steps < -1) refuse(path + ".max_steps", "is no count", *o.max_steps, "-1, 0 or more");
  constexpr std::array kNanLoss = {"stop", "skip", "continue"};
  if (o.nan_loss && !is_one_of(*o.nan_loss, kNanLoss)) {
    throw Error(Code::kFailed, "is no choice for a loss that is not finite")
        .at(path + ".nan_loss")
        .seen(*o.nan_loss)
        .expected("stop, skip, continue or null")
        .candidates(nearest(*o.nan_loss, kNanLoss));
  }
  if (!o.ckpt_every.is_null()) parse_interval(o.ckpt_every, path + ".ckpt_every");
  if (o.max_time) parse_max_time(*o.max_time, path + ".max_time");
  const bool counts = o.fast_dev_run.is_boolean() || (o.fast_dev_run.is_number_integer() && o.fast_dev_run >= 0);
  if (!counts) refuse(path + ".fast_dev_run", "is no count", o.fast_dev_run, "true, false or a number of batches");
  return o;
}

}  // namespace

bool tracks_no_norm(const Json& track_grad_norm) { return track_grad_norm.is_null() || track_grad_norm == -1; }

void TrainerOptions::describe(OptionSet<TrainerOptions>& o) {
  using T = TrainerOptions;
  o("accelerator", &T::accelerator, "auto or cpu");
  o("devices", &T::devices, "processes: auto, -1 or 1");
  o("num_nodes", &T::num_nodes, "machines");
  o("strategy", &T::strategy, "auto, single_device, ddp");
  o("precision", &T::precision, "32-true, 64-true, bf16-true, bf16-mixed (and 32, 64, bf16)");
  o("plugins", &T::plugins, "lightning.pytorch.plugins.MixedPrecision, which sets precision and scaler");
  o("max_epochs", &T::max_epochs, "epochs to train; null with max_steps -1 means 1000; -1 is endless");
  o("min_epochs", &T::min_epochs, "an early stop waits for this many epochs");
  o("max_steps", &T::max_steps, "optimizer steps to train; -1 or null is endless", "steps");
  o("min_steps", &T::min_steps, "an early stop waits for this many optimizer steps", "steps");
  o("max_time", &T::max_time, "longest training time, DD:HH:MM:SS");
  o("limit_train_batches", &T::limit_train_batches, "int: batches of an epoch; float: fraction of them");
  o("limit_val_batches", &T::limit_val_batches, "the same for validation");
  o("limit_test_batches", &T::limit_test_batches, "the same for test");
  o("limit_predict_batches", &T::limit_predict_batches, "the same for predict");
  o("overfit_batches", &T::overfit_batches,
    "train and validate on this many (or this fraction of) batches, unshuffled");
  o("fast_dev_run", &T::fast_dev_run, "true or n: n batches of each loop, nothing saved");
  o("val_check_interval", &T::val_check_interval, "float: fraction of an epoch; int: batches between validations");
  o("check_val_every_n_epoch", &T::check_val_every_n_epoch,
    "epochs between validations; null counts batches over epochs");
  o("num_sanity_val_steps", &T::num_sanity_val_steps, "validation batches before training; -1 is all", "batches");
  o("log_every_n_steps", &T::log_every_n_steps, "steps between rows of step metrics; 0 is never", "steps");
  o("accumulate_grad_batches", &T::accumulate_grad_batches,
    "batches for one optimizer step; {epoch: batches} adds a GradientAccumulationScheduler");
  o("gradient_clip_val", &T::gradient_clip_val, "largest gradient norm (or value); null or 0 is off");
  o("gradient_clip_algorithm", &T::gradient_clip_algorithm, "norm or value");
  o("scale_partial_accumulation", &T::scale_partial_accumulation,
    "the last, shorter window of an epoch is scaled by its own length; false: by the full one, as in Lightning");
  o("logger", &T::logger, "true, false, or logger sections");
  o("callbacks", &T::callbacks, "list of callback sections");
  o("enable_checkpointing", &T::enable_checkpointing, "add a ModelCheckpoint when none is configured");
  o("enable_progress_bar", &T::enable_progress_bar, "show progress on stderr");
  o("enable_model_summary", &T::enable_model_summary, "print the model's table before training");
  o("inference_mode", &T::inference_mode, "run evaluation without autograd bookkeeping");
  o("deterministic", &T::deterministic, "refuse operations that give different bits from run to run");
  o("detect_anomaly", &T::detect_anomaly, "look for NaN in the backward pass; slow");
  o("default_root_dir", &T::default_root_dir, "where files go without an exp_manager");
  o("nan_loss", &T::nan_loss,
    "a loss that is not finite: stop with its step and items, skip the batch, or continue; null: stop, unless "
    "skip_nan_grad or a loss scale looks at the gradients");
  o("ckpt_every", &T::ckpt_every,
    "time between safety checkpoints, written beside the training: 30s, 5m, 2h or seconds; null: none");
  o("benchmark", &T::benchmark, "a CUDA setting; without effect on the CPU");
  o("use_distributed_sampler", &T::use_distributed_sampler, "with one process without effect");
  o("sync_batchnorm", &T::sync_batchnorm, "with one process without effect");
  o("reload_dataloaders_every_n_epochs", &T::reload_dataloaders_every_n_epochs,
    "open the training and validation data anew every so many epochs, as their files are then; 0: never");
  o("profiler", &T::profiler, "simple: a table of where time went and a trace, in the run's folder; null: none");
  o("track_grad_norm", &T::track_grad_norm, "2, another number or inf adds a GradientNormMonitor; -1 is off");
  o("stochastic_weight_avg", &T::stochastic_weight_avg, "adds a StochasticWeightAveraging with its defaults");
  o("barebones", &T::barebones, "no loggers, callbacks, sanity check or summary: measures the bare loop");
}

TrainerOptions check_trainer_options(const Json& section, const std::string& path) { return checked(section, path); }

TrainerOptions read_trainer_options(const Json& section, const std::string& path) {
  TrainerOptions o = checked(section, path);
  o.precision_plan = plan_precision(o.precision, o.plugins, path);  // tells what it reads otherwise, so only once
  if (!o.max_steps) o.max_steps = -1;
  if (!o.max_epochs && *o.max_steps == -1 && !o.max_time) {
    log_warning("trainer", "{0}.max_epochs is not set: 1000 epochs; {0}.max_epochs=-1 trains without end", path);
    o.max_epochs = 1000;
  }
  if (o.fast_dev_run.is_boolean()) o.fast_dev_run = o.fast_dev_run.get<bool>() ? 1 : 0;
  if (const int64_t batches = o.fast_dev_run.get<int64_t>(); batches > 0) {
    o.limit_train_batches = o.limit_val_batches = o.limit_test_batches = o.limit_predict_batches = batches;
    o.max_steps = batches;
    o.max_epochs = 1;
    o.num_sanity_val_steps = 0;
    o.val_check_interval = 1.0;
    o.check_val_every_n_epoch = 1;
    o.logger = false;
    o.enable_checkpointing = false;
  }
  if (o.barebones) {
    o.logger = false;
    o.enable_checkpointing = o.enable_progress_bar = o.enable_model_summary = false;
    o.num_sanity_val_steps = 0;
    o.log_every_n_steps = 0;
  }
  return o;
}

}  // namespace fathom
