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

TEST(Upgrade, NamesThatNeMoChanged) {
  Node model = load_yaml_text(
      "text_tokenizer:\n  _target_: nemo.collections.tts.torch.tts_tokenizers.EnglishPhonemesTokenizer\n"
      "  g2p: {_target_: nemo_text_processing.g2p.modules.EnglishG2p}\n"
      "decoding:\n  greedy: {max_symbols_per_step: 5}\n"
      "joint: {experimental_fuse_loss_wer: null, fuse_loss_wer: true}\n"
      "parts: [{cls: nemo.collections.tts.torch.data.TTSDataset, params: {x: 1}}]\n"
      "other: {max_symbols_per_step: 7}\n",
      "t.yaml");
  const UpgradeNotes notes = upgrade_model_config(model, "model");
  EXPECT_EQ(to_yaml(model),
            "text_tokenizer:\n"
            "  _target_: nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers.EnglishPhonemesTokenizer\n"
            "  g2p:\n    _target_: nemo.collections.tts.g2p.modules.EnglishG2p\n"
            "decoding:\n  greedy:\n    max_symbols: 5\n"
            "joint:\n  fuse_loss_wer: true\n"
            "parts:\n- cls: nemo.collections.tts.data.dataset.TTSDataset\n  params:\n    x: 1\n"
            "other:\n  max_symbols_per_step: 7\n");
  ASSERT_EQ(notes.size(), 4u);
  EXPECT_EQ(notes[2],
            "model.decoding.greedy.max_symbols_per_step=5 (t.yaml:5:34) is read as model.decoding.greedy.max_symbols");
  Node both = load_yaml_text("greedy: {max_symbols_per_step: 5, max_symbols: 3}\n", "t.yaml");
  EXPECT_EQ(upgrade_model_config(both, "decoding").size(), 1u);
  EXPECT_EQ(to_yaml(both), "greedy:\n  max_symbols: 3\n");
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
