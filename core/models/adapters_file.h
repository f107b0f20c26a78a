// Files that hold a model's adapters alone, as NeMo's save_adapters() writes and load_adapters() reads them: a
// torch.save of {"ONE": [state of each module that has the adapter…], "__cfg__": the model's `adapters` section}.
#pragma once

#include <string>

#include "fathom/support.h"

namespace torch::nn {
class Module;
}

namespace fathom {

class ModelHandle;

// Every adapter named in `section` (model.adapters). Written atomically.
void save_adapters(const torch::nn::Module& model, const Json& section, const std::string& path);

// The `adapters` section of such a file, to build the model with. Throws Error: kNoInput, kBadData.
Json read_adapters_section(const std::string& path);

// Copies the file's weights into the adapters of a model that was built with its section. Throws Error(kBadData) for
// another number of modules, missing or surplus tensors, other shapes; nothing is copied then.
void load_adapters(const torch::nn::Module& model, const std::string& path);

// Trains the enabled adapters alone: freezes the model, unfreezes them (`adapters.global_cfg.train_only: true`).
// Throws Error(kFailed) when the model has none.
void train_adapters_only(const ModelHandle& model);

}  // namespace fathom
