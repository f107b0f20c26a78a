// In which precision a run computes: trainer.precision, or Lightning's MixedPrecision in trainer.plugins. No torch.
#pragma once

#include <optional>
#include <string>

#include "fathom/options.h"

namespace fathom {

enum class Precision { k32True, k64True, kBf16True, kBf16Mixed, k16Mixed };

// torch.amp.GradScaler's parameters and defaults.
struct GradScalerOptions {
  std::string device = "cpu";
  double init_scale = 65536.0, growth_factor = 2.0, backoff_factor = 0.5;
  int64_t growth_interval = 2000;
  bool enabled = true;

  static void describe(OptionSet<GradScalerOptions>& o);
};

struct PrecisionPlan {
  Precision precision = Precision::k32True;
  std::optional<GradScalerOptions> scaler;  // with k16Mixed only
};

// `precision` = trainer.precision, `plugins` = trainer.plugins; `path` = "trainer". As in Lightning, 16-mixed means
// bf16-mixed on a CPU unless a MixedPrecision plugin asks for it. Throws Error(kFailed): unknown values, or both given.
PrecisionPlan plan_precision(const Json& precision, const Json& plugins, const std::string& path);

}  // namespace fathom
