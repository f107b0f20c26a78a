// Runs of the program that fail on purpose, and what is left of them compared with a run that did not.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/archive/pickle_file.h"
#include "core/base/file.h"
#include "tests/e2e/process.h"

namespace fathom::faults {

namespace fs = std::filesystem;

// One training of 3 epochs of 12 batches.
struct Setting {
  int accumulate = 1;
  std::string val_check_interval = "1.0";
  int workers = 0;
  bool safety = false;      // safety checkpoints all the time
  bool all_places = false;  // faults at the rarer places too
  std::string name() const {
    return "accumulate=" + std::to_string(accumulate) + " val_check_interval=" + val_check_interval +
           " workers=" + std::to_string(workers) + (safety ? " ckpt_every" : "");
  }
};

inline void write_config(const std::string& folder) {
  std::ofstream(folder + "/fault.yaml") << R"(
name: fault
seed: 11
model:
  _target_: fault.Net
  train_ds: {_target_: fault.Points, points: 24, batch_size: 2, shuffle: true}
  validation_ds: {_target_: fault.Points, points: 6, batch_size: 2}
  optim: {name: adam, lr: 0.05, weight_decay: 0.01, sched: {name: CosineAnnealing, warmup_steps: 2, min_lr: 0.001}}
trainer:
  max_epochs: 3
  log_every_n_steps: 1
  num_sanity_val_steps: 1
  gradient_clip_val: 1.0
  logger: false
  enable_checkpointing: false
  enable_progress_bar: false
  enable_model_summary: false
  callbacks: [{_target_: fault.Fault}]
exp_manager:
  explicit_log_dir: ???
  resume_if_exists: true
  resume_ignore_no_checkpoint: true
  create_tensorboard_logger: false
  log_step_timing: false
  ema: {enable: true, decay: 0.9}
  checkpoint_callback_params: {monitor: val_loss, every_n_train_steps: 2, every_n_epochs: null, save_top_k: 2, save_last: true}
)";
}

inline std::vector<std::string> words(const std::string& folder, const std::string& run, const Setting& setting) {
  std::vector<std::string> out = {FATHOM_BINARY_DIR "/bin/fathom",
                                  "--plugin-dir",
                                  FATHOM_BINARY_DIR "/tests/faults/plugins",
                                  "train",
                                  "-cp",
                                  folder,
                                  "-cn",
                                  "fault",
                                  "exp_manager.explicit_log_dir=" + folder + "/" + run,
                                  "+trainer.accumulate_grad_batches=" + std::to_string(setting.accumulate),
                                  "+trainer.val_check_interval=" + setting.val_check_interval,
                                  "+model.train_ds.num_workers=" + std::to_string(setting.workers),
                                  "--threads",
                                  "1"};
  if (setting.safety) out.push_back("+trainer.ckpt_every=0.001");
  return out;
}

// Bytes of every tensor below, by path; numbers and texts as text.
inline void flatten(const checkpoint::PickleValue& value, const std::string& path, std::vector<std::string>& out) {
  using Kind = checkpoint::PickleValue::Kind;
  switch (value.kind()) {
    case Kind::kTensor: {
      const auto& tensor = value.as_tensor();
      std::string bytes(tensor.storage->bytes);
      out.push_back(path + " = " + bytes);
      break;
    }
    case Kind::kDict:
      for (const auto& [key, one] : value.as_dict())
        flatten(one, path + "." + (key.is_string() ? key.as_string() : std::to_string(key.as_int())), out);
      break;
    case Kind::kList:
    case Kind::kTuple:
      for (size_t i = 0; i < value.items().size(); ++i)
        flatten(value.items()[i], path + "[" + std::to_string(i) + "]", out);
      break;
    case Kind::kInt: out.push_back(path + " = " + std::to_string(value.as_int())); break;
    case Kind::kFloat: {
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", value.as_double());
      out.push_back(path + " = " + text);
      break;
    }
    default: break;
  }
}

// What a finished run comes to: weights, averages, optimizers, schedules, position and random state of its last
// checkpoint, and the rows of its logger. The metrics in that checkpoint are not compared: a run that is stopped after
// its last validation has saved later in the step than one that was not.
struct Outcome {
  std::vector<std::string> state;
  std::string rows;
};

inline Outcome outcome_of(const std::string& run) {
  Outcome outcome;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints")) {
    if (!entry.path().string().ends_with("-last.ckpt")) continue;
    const auto file = checkpoint::read_pickle_file(entry.path());
    for (const char* key : {"epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers"})
      flatten(file.value.at(key), key, outcome.state);
    const auto& own = file.value.at("fathom");
    for (const char* key : {"random_state", "ema", "batches_seen"}) flatten(own.at(key), key, outcome.state);
  }
  outcome.rows = read_file(run + "/metrics.csv");
  return outcome;
}

// "" or the first thing that differs.
inline std::string difference(const Outcome& whole, const Outcome& other) {
  if (whole.state.empty()) return "the whole run left no last checkpoint";
  if (whole.state.size() != other.state.size())
    return std::to_string(other.state.size()) + " values, expected " + std::to_string(whole.state.size());
  for (size_t i = 0; i < whole.state.size(); ++i) {
    if (whole.state[i] != other.state[i]) return whole.state[i].substr(0, whole.state[i].find(" = ")) + " differs";
  }
  return whole.rows == other.rows ? "" : "metrics.csv differs:\n" + whole.rows + "\nand\n" + other.rows;
}

}  // namespace fathom::faults
