// GradientNormMonitor: Lightning 1.x's track_grad_norm. Logs the norm of each gradient as grad_2.0_norm/<parameter>,
// and the norm of those norms as grad_2.0_norm_total, before clipping: of every step, and their means of the epoch.
#pragma once

#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class GradientNormMonitor final : public Callback {
 public:
  struct Options {
    Json norm_type = int64_t{2};
    bool log_parameters = true;
    static void describe(OptionSet<Options>& o) {
      o("norm_type", &Options::norm_type, "the p of the p-norm, a positive number or inf");
      o("log_parameters", &Options::log_parameters, "each parameter's norm, too; false: only the total");
    }
  };
  explicit GradientNormMonitor(const Options& options);

 private:
  void look(Trainer& trainer);

  Options options_;
  double norm_type_ = 2;
  std::string name_;  // "grad_2.0_norm"
};

}  // namespace fathom::callbacks
