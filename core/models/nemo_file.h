// .nemo files: a model's config, weights and artifacts in one archive, as NeMo reads and writes them.
#pragma once

#include <memory>
#include <string>

#include "core/base/temporary_folder.h"
#include "fathom/model.h"

namespace fathom {

// A restored model and what it was restored from. The folder holds its artifacts and must outlive it.
struct RestoredModel {
  std::shared_ptr<TemporaryFolder> artifacts;
  Json config;  // model_config.yaml, resolved
  ModelHandle model;
};

// Writes atomically: an existing file is replaced in one step. `config` is the model's section; `target` and
// `nemo_version` are added where absent.
void save_nemo(const ModelHandle& model, const std::string& path);

// Error(kNoInput) when there is no such file, kBadData when it is no .nemo or its weights do not fit, kUnavailable when
// no plugin has the model's class. `overrides` is merged into the config before the model is built. A config that asks
// for far more than the weights are (three times their bytes, and 64 MB for tables and filters; 1 GB where `overrides`
// changes the model) is kBadData too, whatever option asks for it.
RestoredModel restore_nemo(const std::string& path, const Json& overrides = nullptr, bool strict = true);

// The class path that NeMo knows the component by, else its name.
std::string nemo_target(const std::string& name);

}  // namespace fathom
