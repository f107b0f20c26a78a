#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/training/trainer.h"

namespace fathom::training {

using checkpoint::PickleValue;

CheckpointContent Trainer::checkpoint_content() {
  return {run_,          parts_,         *module_,    optimizations_, metrics_,   router_,
          scaler_.get(), average_.get(), accumulate_, manual_,        mean_.get()};
}

void Trainer::save_checkpoint(const std::string& path, int32_t flags) {
  const bool of_average = (flags & FATHOM_SAVE_AVERAGE) != 0;
  if (of_average && !average_)
    throw Error(Code::kFailed, "this run keeps no average of its weights").at(path).next("set exp_manager.ema.enable");
  const ProfileScope scope(profiler_.get(), "save_checkpoint");
  const UseAverages use(average_.get(), of_average);
  // The loggers' files must not be behind the checkpoint that counts their rows.
  parts_.loggers.save();
  checkpoint::save_torch_file(path, checkpoint_content().write((flags & FATHOM_SAVE_WEIGHTS_ONLY) != 0));
  run_.saved.push_back(path);
}

namespace {

// The first of `path` and `others` that can be read, which then is `path`.
PickleValue first_readable(std::string& path, const std::vector<std::string>& others) {
  std::optional<Error> first;
  for (size_t next = 0;; ++next) {
    try {
      return checkpoint::map_torch_file(path);
    } catch (const Error& error) {
      if (!first) first = error;
      if (next == others.size()) break;
      log_warning("restore", "THE CHECKPOINT {} CANNOT BE READ: {}", path, error.what());
      log_warning("restore", "training goes on from the one before it, {}: what was done since then is done again",
                  others[next]);
    }
    path = others[next];
  }
  if (others.empty()) throw *first;
  throw std::move(*first).next("none of the " + std::to_string(others.size()) +
                               " older checkpoints can be read either");
}

}  // namespace

void Trainer::load_checkpoint(const std::string& given) {
  std::string path = given;
  const PickleValue file = first_readable(path, parts_.resume_otherwise);
  checkpoint_content().read(file, path);
  check_epoch_limit();
  run_.max_reached = *options_.max_steps >= 0 && run_.progress.global_step >= *options_.max_steps;
  check_time();
  if (run_.was_broken_off && (stops_now() || run_.max_reached)) {  // and nothing has changed since
    run_.break_off_epoch();
    run_.end_epoch();
  }
  log_info("restore", "resumed from {} (epoch {}, global step {})", path, run_.progress.epoch,
           run_.progress.global_step);
}

void Trainer::check_epoch_limit() const {
  const int64_t limit = last_epoch();
  if (limit < 0 || run_.progress.epoch <= limit) return;
  throw Error(Code::kFailed, "the run to resume has done more epochs than it may")
      .at("trainer.max_epochs")
      .seen(std::to_string(*options_.max_epochs) + ", and " + std::to_string(run_.progress.epoch) + " epochs in " +
            run_.resumed_from)
      .next("raise trainer.max_epochs, or start a new run");
}

void Trainer::load_weights(const std::string& path, bool strict) {
  const PickleValue file = checkpoint::map_torch_file(path);
  const PickleValue* state = file.find("state_dict");
  load_state_dict(*module_, checkpoint::state_dict_tensors(state != nullptr ? *state : file), strict, path);
}

Json Trainer::best_checkpoint() const {
  for (const auto& callback : parts_.callbacks) {
    if (callback.order() != Order::kCheckpoint) continue;
    const Json state = callback.save_state();
    if (!state.is_object() || !state.contains("best_model_path") || !state["best_model_path"].is_string()) continue;
    const std::string path = state["best_model_path"];
    if (path.empty() || !state.contains("best_model_score") || !state["best_model_score"].is_number()) continue;
    return {{"path", path}, {"score", state["best_model_score"]}, {"metric", state.value("monitor", Json(nullptr))}};
  }
  return Json::object();
}

}  // namespace fathom::training
