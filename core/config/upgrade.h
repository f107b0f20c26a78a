// Reads configs written for NeMo and Lightning 1.x: renames what was renamed, one line of explanation each.
//
// Model sections: `cls: path` + `params: {…}` becomes `_target_: path` with the parameters beside it. Trainer sections:
// flags removed from Lightning 2 become their successors, or are dropped with the reason. Nothing is changed silently.
// Thread-safe: no state.
#pragma once

#include <string>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

// One reading: "trainer.gpus=2 (a.yaml:3:3) is read as trainer.devices=2, trainer.accelerator=gpu".
using UpgradeNotes = std::vector<std::string>;

// `cls`/`params`, recursively through maps (lists are left alone, as in NeMo). `key` is the section's full key, for the
// notes. A key that stands both beside and inside `params` keeps the value of `params`.
UpgradeNotes upgrade_component_config(Node& section, const std::string& key);

// The same, and names that changed between versions of NeMo (the table in upgrade_model.cc): classes that moved, keys
// that were renamed. Other keys are left alone: who reads them knows whether they mean something.
UpgradeNotes upgrade_model_config(Node& section, const std::string& key);

// Flags of Lightning 1.x's Trainer. Throws ConfigError for values that no version took (gpus: true).
UpgradeNotes upgrade_trainer_config(Node& trainer, const std::string& key = "trainer");

// Both, on a whole job config: its `model` and `trainer` sections where they are.
UpgradeNotes upgrade_job_config(Node& job);

}  // namespace fathom::config
