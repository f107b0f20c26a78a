#include "core/config/upgrade.h"

#include <gtest/gtest.h>

#include "core/config/errors.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"

namespace fathom::config {
namespace {

TEST(Upgrade, ClsAndParams) {
  Node job = load_yaml_text("model:\n  encoder:\n    cls: a.B\n    params: {x: 1, inner: {cls: c.D, params: {y: 2}}}\n",
                            "t.yaml");
  const UpgradeNotes notes = upgrade_job_config(job);
  EXPECT_EQ(to_yaml(job),
            "model:\n  encoder:\n    _target_: a.B\n    x: 1\n    inner:\n      _target_: c.D\n      'y': 2\n");
  EXPECT_EQ(notes.size(), 4u);
  EXPECT_NE(notes[0].find("t.yaml:3:"), std::string::npos);
}

TEST(Upgrade, TrainerFlags) {
  Node job = load_yaml_text(
      "trainer: {gpus: 2, accelerator: ddp, checkpoint_callback: false, max_steps: null, weights_summary: null, "
      "resume_from_checkpoint: x.ckpt, track_grad_norm: 2, amp_level: O1, precision: 32}\n",
      "t.yaml");
  const UpgradeNotes notes = upgrade_job_config(job);
  EXPECT_EQ(to_yaml(job),
            "trainer:\n  max_steps: -1\n  track_grad_norm: 2\n  precision: 16-mixed\n  strategy: ddp\n  devices: 2\n  "
            "accelerator: gpu\n"
            "  enable_checkpointing: false\n  enable_model_summary: false\nckpt_path: x.ckpt\n");
  EXPECT_EQ(notes.size(), 8u);
}

TEST(Upgrade, FlagsThatAreCallbacksStayWhereTheyAskForOne) {
  Node job = load_yaml_text("trainer: {track_grad_norm: -1, stochastic_weight_avg: true}\n", "t.yaml");
  EXPECT_EQ(upgrade_job_config(job).size(), 1u);
  EXPECT_EQ(to_yaml(job), "trainer:\n  stochastic_weight_avg: true\n");
}

TEST(Upgrade, NothingToDoGivesNoNotes) {
  Node job = load_yaml_text("trainer: {devices: 1, max_epochs: 3}\nmodel: {optim: {name: adam}}\n", "t.yaml");
  const std::string before = to_yaml(job);
  EXPECT_TRUE(upgrade_job_config(job).empty());
  EXPECT_EQ(to_yaml(job), before);
}

TEST(Upgrade, BoolGpusIsAnError) {
  Node job = load_yaml_text("trainer: {gpus: true}\n", "t.yaml");
  EXPECT_THROW(upgrade_job_config(job), ConfigError);
}

}  // namespace
}  // namespace fathom::config
