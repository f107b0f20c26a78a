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

// How a model is restored; the names are those of NeMo's restore_from().
struct RestoreOptions {
  Json override_config = nullptr;  // takes the config's place: a model's section
  // The same from a YAML file: a model's section, or an experiment with a section `model`.
  std::string override_config_path = {};
  Json overrides = nullptr;  // merged into the config before the model is built; sections of data and optim replace
  bool strict = true;        // the file's weights must be the model's, name by name
  std::string map_location = "cpu";  // where the weights go: this program computes on the CPU
};

// `path` may be an unpacked archive too (NeMo's model_extracted_dir). Names that changed between versions of NeMo are
// read by their new ones (config/upgrade.h). Error(kNoInput) when there is no such file, kBadData when it is no .nemo
// or its weights do not fit, kUnavailable when no plugin has the model's class or for another device. A config that
// asks for far more than the weights are (three times their bytes, and 64 MB for tables and filters; 1 GB where the
// options change the model) is kBadData too, whatever option asks for it.
RestoredModel restore_nemo(const std::string& path, const RestoreOptions& options = {});

// NeMo's restore_from(return_config=True): the model's section, resolved, without building the model.
Json read_nemo_config(const std::string& path);

}  // namespace fathom
