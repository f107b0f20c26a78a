#include "plugins/callbacks/gradient_norm_monitor.h"

#include <cmath>
#include <limits>

#include "fathom/abi/model.h"

namespace fathom::callbacks {

GradientNormMonitor::GradientNormMonitor(const Options& options) : options_(options) {
  const Json& given = options_.norm_type;
  if (given == "inf")
    norm_type_ = std::numeric_limits<double>::infinity();
  else
    norm_type_ = given.is_number() ? given.get<double>() : 0;
  if (!(norm_type_ > 0)) {
    throw Error(Code::kFailed, "is no norm of gradients")
        .at("norm_type")
        .seen(json_text(given))
        .expected("a positive number such as 2, or inf");
  }
  name_ = "grad_" + (std::isinf(norm_type_) ? std::string("inf") : json_text(Json(norm_type_))) + "_norm";
  on(Event::kBeforeOptimizerStep, &GradientNormMonitor::look);
}

void GradientNormMonitor::look(Trainer& trainer) {
  for (const auto& [parameter, norm] : trainer.gradient_norms(norm_type_)) {
    if (!parameter.empty() && !options_.log_parameters) continue;
    trainer.log(parameter.empty() ? name_ + "_total" : name_ + "/" + parameter, norm,
                FATHOM_METRIC_ON_STEP | FATHOM_METRIC_ON_EPOCH);
  }
}

}  // namespace fathom::callbacks
