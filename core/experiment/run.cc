#include "core/experiment/run.h"

#include <chrono>

#include "core/base/file.h"
#include "core/base/file_lock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/models/adapters_file.h"
#include "core/planning/component_plan.h"
#include "core/runs/run_record.h"

namespace fathom {
namespace {

void make_folder(const RunPlan& plan, const RunRequest& request) {
  const RunFolder& run = plan.folder;
  if (plan.manager)
    make_run_folder(*plan.manager, run);
  else
    create_directories(run.log_dir);
  set_log_file(run.log_dir + "/nemo_log_globalrank-0_localrank-0.txt");
  write_file_atomically(run.log_dir + "/cmd-args.log", join(request.command_line, " ") + "\n");
  write_file_atomically(run.log_dir + "/config.yaml", request.config_yaml);
  log_info("experiment", "run folder {}", run.log_dir);
}

// The model as a .nemo, and where only its adapters were trained these by themselves beside it.
void save_model(const training::Trainer& trainer, const Json& trained_adapters, const std::string& path) {
  save_nemo(trainer.model(), path);
  if (trained_adapters.empty()) return;
  const std::string file = path.substr(0, path.size() - (path.ends_with(".nemo") ? 5 : 0)) + ".adapters.pt";
  save_adapters(*trainer.model().torch_module(), trained_adapters, file);
  log_info("adapters", "saved {}", file);
}

// False when it was interrupted.
bool evaluated(training::Trainer& trainer, Stage stage, RunSummary& summary) {
  try {
    summary.metrics = trainer.evaluate(stage);
    return true;
  } catch (const Error& error) {
    if (error.code() != Code::kInterrupted) throw;
    summary.status = "interrupted";
    return false;
  }
}

void train_and_test(const RunPlan& plan, RunParts parts, RunSummary& summary) {
  parts.trainer.loggers = make_loggers(plan);
  parts.trainer.loggers.log_hyperparams(plan.config);

  training::Trainer trainer(plan.trainer, std::move(parts.trainer));
  const Json trained_adapters = parts.trains_adapters_only ? parts.adapters : Json::object();
  trainer.on_save_nemo([&](const std::string& path) {
    save_model(trainer, trained_adapters, path);
    summary.nemo = path;
  });
  const training::FitResult result = trainer.fit(plan.resume_from);
  summary.status = result.status;
  summary.reason = result.reason;
  summary.epochs = result.epochs;
  summary.global_step = result.global_step;
  summary.seconds = result.seconds;
  summary.checkpoints = result.checkpoints;
  summary.metrics = trainer.metrics();
  const Json best = trainer.best_checkpoint();
  summary.best_path = best.value("path", std::string());
  summary.best_metric = runs::text_at(best, "metric");
  summary.best_score = best.value("score", 0.0);
  if (trainer.profiler() != nullptr) trainer.profiler()->write(plan.folder.log_dir);
  if (summary.status == "interrupted" || !trainer.has_test_data()) return;
  if (!evaluated(trainer, Stage::kTest, summary))
    summary.reason = result.checkpoints.empty() ? "" : result.checkpoints.back();
}

}  // namespace

void run_training(const RunPlan& plan, RunParts parts, const RunRequest& request, RunSummary& summary) {
  create_directories(plan.folder.log_dir);
  const FileLock lock(plan.folder.log_dir + "/run.lock");  // until this function ends
  make_folder(plan, request);
  summary.log_dir = plan.folder.log_dir;
  const auto monitors =
      monitored_metrics(plan_components(plan.trainer, plan.exp_manager(), !parts.trainer.validation.empty()));
  runs::keep_record(
      {plan.folder.log_dir, plan.folder.name, plan.folder.version, plan.resume_from, monitors, request.command_line},
      summary, [&] { train_and_test(plan, std::move(parts), summary); });
}

void run_evaluation(const RunPlan& plan, RunParts parts, RunSummary& summary) {
  training::Trainer trainer(plan.trainer, std::move(parts.trainer));
  if (!plan.weights.empty()) trainer.load_weights(plan.weights);
  const auto started = std::chrono::steady_clock::now();
  summary.status = "finished";
  evaluated(trainer, *plan.evaluates, summary);
  const char* what = *plan.evaluates == Stage::kTest ? "TEST" : "VALIDATE";
  if (trainer.profiler() != nullptr) log_info("profiler", "\n{}", trainer.profiler()->table(what));
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

void run_predict(const RunPlan& plan, RunParts parts, RunSummary& summary,
                 const std::function<void(const Json& item)>& emit) {
  training::Trainer trainer(plan.trainer, std::move(parts.trainer));
  if (!plan.weights.empty()) trainer.load_weights(plan.weights);
  const auto started = std::chrono::steady_clock::now();
  summary.status = "finished";
  try {
    const int64_t items = trainer.predict(plan.predict_options, emit);
    log_info("predict", "{} items", items);
  } catch (const Error& error) {
    if (error.code() != Code::kInterrupted) throw;
    summary.status = "interrupted";
  }
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

}  // namespace fathom
