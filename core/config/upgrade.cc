#include "core/config/upgrade.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/config/errors.h"
#include "core/config/printer.h"

namespace fathom::config {
namespace {

std::string place(const Node& node) {
  const std::string text = node.origin().text();
  return text.empty() ? "" : " (" + text + ")";
}

class Trainer {
 public:
  Trainer(Node& section, std::string key) : section_(section), key_(std::move(key)) {}

  UpgradeNotes upgrade() {
    strategy();  // first: `accelerator: ddp` frees the name that gpus needs
    gpus();
    processes();
    rename("replace_sampler_ddp", "use_distributed_sampler");
    rename("terminate_on_nan", "detect_anomaly");
    checkpoint_callback();
    progress_bar();
    weights_summary();
    apex();
    null_max_steps();
    if (const auto old = take("reload_dataloaders_every_epoch")) {
      if (is_true(*old)) {
        set("reload_dataloaders_every_epoch", *old, "reload_dataloaders_every_n_epochs", Node::scalar(int64_t{1}));
      } else {
        dropped("reload_dataloaders_every_epoch", *old, "it asked for nothing");
      }
    }
    if (const auto old = take("prepare_data_per_node"))
      dropped("prepare_data_per_node", *old, "data is prepared once per machine");
    // Callbacks by now, which a run adds where the trainer asks for them.
    for (const char* flag : {"track_grad_norm", "stochastic_weight_avg"}) {
      const Node* node = section_.find(flag);
      if (node == nullptr || !(node->is_null() || is_false(*node) || *node == Node::scalar(int64_t{-1}))) continue;
      const Node old = *take(flag);
      dropped(flag, old, "it asked for nothing");
    }
    for (const auto& [flag, reason] : kDropped) {
      if (const auto old = take(flag)) {
        dropped(flag, *old, old->is_null() || is_false(*old) ? "it asked for nothing" : reason);
      }
    }
    return std::move(notes_);
  }

 private:
  struct Dropped {
    const char* flag;
    const char* reason;
  };
  static constexpr Dropped kDropped[] = {
      {"log_gpu_memory", "device memory is logged by the callback of that purpose"},
      {"auto_lr_find", "there is no automatic search for a learning rate: set model.optim.lr"},
      {"auto_scale_batch_size", "there is no automatic batch size: set model.train_ds.batch_size"},
      {"flush_logs_every_n_steps", "logs are flushed as they are written"},
      {"weights_save_path", "checkpoints go where exp_manager puts them"},
      {"move_metrics_to_cpu", "metrics live on the device of their inputs"},
      {"multiple_trainloader_mode", "several training loaders are given to the model by name"},
      {"tpu_cores", "there are no TPUs here"},
      {"ipus", "there are no IPUs here"},
      {"auto_select_gpus", "devices are taken in order: set devices"},
      {"process_position", "there is one progress bar"},
  };

  static bool is_true(const Node& node) { return node == Node::scalar(true); }
  static bool is_false(const Node& node) { return node == Node::scalar(false); }
  bool unset(const char* flag) const {
    const Node* node = section_.find(flag);
    return node == nullptr || node->is_null();
  }

  std::optional<Node> take(const char* flag) {
    const Node* node = section_.find(flag);
    if (node == nullptr) return std::nullopt;
    Node copy = *node;
    section_.erase(flag);
    return copy;
  }

  std::string old_text(const char* flag, const Node& old) const {
    return key_ + "." + flag + "=" + python_str(old) + place(old);
  }

  void set(const char* flag, const Node& old, const char* successor, Node value) {
    value.set_origin(old.origin());
    notes_.push_back(old_text(flag, old) + " is read as " + key_ + "." + successor + "=" + python_str(value));
    section_.set(successor, std::move(value));
  }

  void dropped(const char* flag, const Node& old, const std::string& reason) {
    notes_.push_back(old_text(flag, old) + " has no effect: " + reason);
  }

  // The new flag wins where both are written.
  void rename(const char* flag, const char* successor) {
    const auto old = take(flag);
    if (!old) return;
    if (section_.find(successor) != nullptr) {
      dropped(flag, *old, key_ + "." + successor + " is set");
    } else if (old->is_null()) {
      dropped(flag, *old, "it asked for nothing");
    } else {
      set(flag, *old, successor, *old);
    }
  }

  void gpus() {
    const auto old = take("gpus");
    if (!old) return;
    if (old->is_scalar() && std::holds_alternative<bool>(old->value())) {
      throw ConfigError("ValidationError", key_ + ".gpus must be a number or a list, not a bool", key_ + ".gpus")
          .with_where(old->origin())
          .with_next("write trainer.devices and trainer.accelerator instead");
    }
    const std::string text = python_str(*old);
    if (old->is_null() || text == "0" || text == "[]" || text.empty()) {
      if (unset("accelerator")) {
        set("gpus", *old, "accelerator", Node::scalar(std::string("cpu")));
      } else {
        dropped("gpus", *old, "it asked for nothing");
      }
      return;
    }
    if (!unset("devices")) return dropped("gpus", *old, key_ + ".devices is set");
    Node devices = *old;
    if (text == "-1") devices = Node::scalar(int64_t{-1});
    set("gpus", *old, "devices", std::move(devices));
    if (unset("accelerator")) set("gpus", *old, "accelerator", Node::scalar(std::string("gpu")));
  }

  void processes() {
    const auto old = take("num_processes");
    if (!old) return;
    if (old->is_null() || !unset("devices")) return dropped("num_processes", *old, key_ + ".devices is set");
    set("num_processes", *old, "devices", *old);
  }

  // `accelerator: ddp` and `distributed_backend` named what is the strategy now.
  void strategy() {
    for (const char* flag : {"accelerator", "distributed_backend"}) {
      const Node* node = section_.find(flag);
      if (node == nullptr) continue;
      const std::string text = python_str(*node);
      const bool backend = std::string_view(flag) == "distributed_backend";
      if (!backend && !text.starts_with("ddp") && text != "dp" && text != "horovod") continue;
      const Node old = *take(flag);
      if (old.is_null()) {
        dropped(flag, old, "it asked for nothing");
      } else if (!unset("strategy")) {
        dropped(flag, old, key_ + ".strategy is set");
      } else {
        set(flag, old, "strategy", old);
      }
    }
  }

  void checkpoint_callback() {
    const auto old = take("checkpoint_callback");
    if (!old) return;
    const Node* present = section_.find("enable_checkpointing");
    if (present != nullptr && is_false(*present))
      return dropped("checkpoint_callback", *old, "enable_checkpointing=False is set");
    set("checkpoint_callback", *old, "enable_checkpointing", old->is_null() ? Node::scalar(true) : *old);
  }

  void progress_bar() {
    const auto old = take("progress_bar_refresh_rate");
    if (!old) return;
    if (old->is_null()) return dropped("progress_bar_refresh_rate", *old, "it asked for nothing");
    const bool on = python_str(*old) != "0";
    if (section_.find("enable_progress_bar") != nullptr) {
      return dropped("progress_bar_refresh_rate", *old, key_ + ".enable_progress_bar is set");
    }
    set("progress_bar_refresh_rate", *old, "enable_progress_bar", Node::scalar(on));
  }

  void weights_summary() {
    const auto old = take("weights_summary");
    if (!old) return;
    if (section_.find("enable_model_summary") != nullptr) {
      return dropped("weights_summary", *old, key_ + ".enable_model_summary is set");
    }
    set("weights_summary", *old, "enable_model_summary", Node::scalar(!old->is_null()));
  }

  // NVIDIA's apex: O1 and O2 were kinds of mixed precision, O0 none.
  void apex() {
    const auto level = take("amp_level");
    const auto backend = take("amp_backend");
    if (backend) dropped("amp_backend", *backend, "mixed precision is torch's own");
    if (!level) return;
    const std::string text = python_str(*level);
    if (text == "O0" || level->is_null()) return dropped("amp_level", *level, "it asked for nothing");
    const Node* precision = section_.find("precision");
    const std::string present = precision == nullptr ? "" : python_str(*precision);
    if (present.empty() || present == "32" || present == "None") {
      set("amp_level", *level, "precision", Node::scalar(std::string("16-mixed")));
    } else {
      dropped("amp_level", *level, key_ + ".precision is set");
    }
  }

  void null_max_steps() {
    Node* steps = section_.find("max_steps");
    if (steps == nullptr || !steps->is_null()) return;
    const Node old = *steps;
    set("max_steps", old, "max_steps", Node::scalar(int64_t{-1}));
  }

  Node& section_;
  std::string key_;
  UpgradeNotes notes_;
};

void upgrade_component(Node& section, const std::string& key, UpgradeNotes& notes) {
  if (!section.is_map()) return;
  if (const Node* type = section.find("cls"); type != nullptr && section.find("_target_") == nullptr) {
    const Node old = *type;
    for (Node::Entry& entry : section.mutable_entries()) {
      if (entry.first.is_string("cls")) entry.first = Key("_target_");
    }
    notes.push_back(key + ".cls=" + python_str(old) + place(old) + " is read as " + key + "._target_");
  }
  const Node* params = section.find("params");
  if (params != nullptr && params->is_map()) {
    const Node old = *params;
    section.erase("params");
    for (const Node::Entry& entry : old.entries()) section.set(entry.first, entry.second);
    notes.push_back(key + ".params" + place(old) + " is read as keys of " + key);
  }
  for (Node::Entry& entry : section.mutable_entries())
    upgrade_component(entry.second, key + "." + entry.first.text(), notes);
}

}  // namespace

UpgradeNotes upgrade_component_config(Node& section, const std::string& key) {
  UpgradeNotes notes;
  upgrade_component(section, key, notes);
  return notes;
}

UpgradeNotes upgrade_trainer_config(Node& trainer, const std::string& key) {
  return trainer.is_map() ? Trainer(trainer, key).upgrade() : UpgradeNotes{};
}

UpgradeNotes upgrade_job_config(Node& job) {
  UpgradeNotes notes;
  if (!job.is_map()) return notes;
  if (Node* model = job.find("model")) notes = upgrade_model_config(*model, "model");
  if (Node* trainer = job.find("trainer")) {
    for (std::string& note : upgrade_trainer_config(*trainer)) notes.push_back(std::move(note));
    // The checkpoint to go on from became an argument of fit.
    if (const Node* old = trainer->is_map() ? trainer->find("resume_from_checkpoint") : nullptr) {
      const Node checkpoint = *old;
      trainer->erase("resume_from_checkpoint");
      const std::string what = "trainer.resume_from_checkpoint=" + python_str(checkpoint) + place(checkpoint);
      const Node* present = job.find("ckpt_path");
      if (checkpoint.is_null()) {
        notes.push_back(what + " has no effect: it asked for nothing");
      } else if (present != nullptr && !present->is_null()) {
        notes.push_back(what + " has no effect: ckpt_path is set");
      } else {
        notes.push_back(what + " is read as ckpt_path");
        job.set("ckpt_path", checkpoint);
      }
    }
  }
  return notes;
}

}  // namespace fathom::config
