// A training of a second: a line fitted by the toy plugins of tests/toys, with validation and checkpoints.
#pragma once

#include "tests/e2e/training.h"

namespace fathom::e2e {

class ToyRunTest : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    write_file_atomically(folder_ + "/toy.yaml", R"(name: toy
model:
  _target_: toy.Line
  train_ds: {_target_: toy.Lengths, items: 16, batch_size: 4, shuffle: true}
  validation_ds: {_target_: toy.Lengths, items: 8, batch_size: 4}
  optim: {name: sgd, lr: 0.1}
trainer: {max_epochs: 3, num_sanity_val_steps: 0, log_every_n_steps: 1, enable_model_summary: false}
exp_manager:
  resume_if_exists: true
  resume_ignore_no_checkpoint: true
  checkpoint_callback_params: {monitor: val_loss, mode: min, save_top_k: 1, save_last: true}
)");
  }
  std::vector<std::string> toy(const std::string& run_name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out = {fathom_program(),
                                    "--plugin-dir",
                                    FATHOM_BINARY_DIR "/tests/toys/plugins",
                                    "train",
                                    "-cp",
                                    folder_,
                                    "-cn",
                                    "toy",
                                    "++seed=5",
                                    "++exp_manager.explicit_log_dir='" + folder_ + "/" + run_name + "'",
                                    "--threads",
                                    "1"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
};

}  // namespace fathom::e2e
