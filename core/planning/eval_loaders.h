// One validation or test section as one or several loaders, and the names their metrics get: NeMo's rules
// (ModelPT.setup_multiple_validation_data, on_validation_epoch_end). No torch. Thread-safe: no state.
//
//   validation_ds: {manifest_filepath: [dev_clean.json, dev-other.json], val_dl_idx: 1}
//
// makes two loaders whose epoch metrics are logged as dev_clean_val_wer and dev_other_val_wer; those of loader
// val_dl_idx (default 0) also bare, as val_wer: what checkpoints and schedulers monitor.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fathom/support.h"

namespace fathom::training {

enum class EvalKind { kValidation, kTest };

struct EvalLoaderPlan {
  Json data_key;                   // the key whose value lists the datasets; null when there is none
  bool several = false;            // one loader per element of that value, also when it has one element
  std::vector<Json> sections;      // what each loader is made of
  std::vector<std::string> names;  // prefix of each loader's metrics; empty: val_0_, val_1_, … (see prefix())
  int64_t dl_idx = 0;              // val_dl_idx or test_dl_idx

  std::string prefix(EvalKind kind, size_t loader) const;
};

// Fills `plan` as far as it gets; paths are looked up in the file system. Throws ConfigError with the class NeMo would
// raise: ValueError (a name that is empty, or as many names as there are no datasets), TypeError, ConfigKeyError,
// ConfigAttributeError, KeyValidationError.
void plan_eval_loaders(const Json& section, EvalKind kind, EvalLoaderPlan& plan);

// "dev-clean.json" -> "dev_clean_". Throws ConfigError ValueError when nothing remains of the name.
std::string dataset_prefix(const Json& value);

// The names under which one of several loaders logs an epoch's metric: PREFIX + name, and from loader dl_idx also the
// bare name unless something was logged as that before.
std::vector<std::string> eval_metric_names(const std::string& prefix, std::string_view name, bool is_main_loader,
                                           const std::set<std::string>& logged);

}  // namespace fathom::training
