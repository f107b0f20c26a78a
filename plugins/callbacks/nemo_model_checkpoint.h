// NeMoModelCheckpoint: ModelCheckpoint as NeMo's exp_manager sets it up. Checkpoints are
// {name}--{monitor:.4f}-{epoch}.ckpt, the newest one is the same with -last.ckpt (only one of them is kept), the
// trained model is <prefix>.nemo at the end. While a checkpoint is written an empty file <name>-unfinished stands
// beside it; checkpoints that still have one when a run starts are incomplete and are removed. After a resume the list
// of the best is made anew from what is really there. A run that keeps an average of its weights (callback EMA) gets a
// twin of each file, with the averages: x.ckpt and x-EMA.ckpt, x.nemo and x-EMA.nemo.
#pragma once

#include <set>
#include <string>

#include "plugins/callbacks/model_checkpoint.h"

namespace fathom::callbacks {

class NeMoModelCheckpoint final : public ModelCheckpoint {
 public:
  struct Options : CheckpointOptions {
    Options() {
      monitor = "val_loss";
      verbose = true;
      save_last = true;
      every_n_epochs = 1;
      save_on_train_epoch_end = false;
    }
    std::optional<std::string> prefix, filepath;
    std::string postfix = ".nemo";
    bool save_best_model = false, always_save_nemo = false, save_nemo_on_train_end = true;
    std::optional<bool> n_resume;
    std::optional<int64_t> model_parallel_size;
    bool async_save = false;
    int64_t save_last_n_optim_states = -1;
    static void describe(OptionSet<Options>& o);
  };
  NeMoModelCheckpoint(const Options& options, const Json& context);

  // Path of the marker of an unfinished checkpoint: "a/b.ckpt", "a/b-EMA.ckpt" and "a/b.nemo" -> "a/b-unfinished".
  static std::string marker_of(const std::string& path);
  std::string nemo_path() const { return dirpath_ + "/" + prefix_ + nemo_.postfix; }
  // Path of the file with averaged weights: "a/b.ckpt" -> "a/b-EMA.ckpt".
  static std::string twin_of(const std::string& path);

 protected:
  void write(Trainer& trainer, const std::string& path) override;
  void remove(const std::string& path) override;
  bool may_remove(Trainer& trainer, const std::string& previous, const std::string& current) const override;
  bool is_taken(const std::string& path) const override;
  bool saves_on_train_epoch_end(const fathom_progress& progress) const override;

 private:
  void start_nemo_training(Trainer& trainer);
  void end_training(Trainer& trainer);
  void remove_unfinished(const std::string& keep);
  void drop_missing(const std::string& keep);
  void take_over(const std::string& resumed);
  void rebuild_top_k(const std::string& keep);
  // The weights in hand as the .nemo, and the averages as its twin; of the checkpoint `path` where one is given.
  void save_nemo(Trainer& trainer, const std::string& path = "");
  void save_nemo_beside(Trainer& trainer, const std::string& path);
  bool last_is_due(const fathom_progress& progress) const;

  Options nemo_;
  std::string prefix_, best_in_nemo_;
  std::set<std::string> left_;  // by a run that died, after the checkpoint that this one goes on from
  int64_t first_step_ = 0;
};

}  // namespace fathom::callbacks
