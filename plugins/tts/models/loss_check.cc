#include "plugins/tts/models/loss_check.h"

#include <ATen/ATen.h>

#include <cmath>

#include "fathom/log_level.h"

namespace fathom::tts {

namespace {

Error not_finite(const at::Tensor& loss, const std::string& name, const Step& step,
                 const std::vector<LossTerm>& terms) {
  const auto value_of = [](const at::Tensor& one) { return one.detach().to(at::kDouble).item<double>(); };
  std::string culprits, finite;
  for (const auto& [term, value] : terms) {
    if (!value->defined()) continue;
    std::string& list = std::isfinite(value_of(*value)) ? finite : culprits;
    list += (list.empty() ? "" : ", ") + std::string(term) + " " + std::to_string(value_of(*value));
  }
  return Error(Code::kFailed, "a loss is not finite: " + name)
      .at("step " + std::to_string(step.global_step()) + ", batch " + std::to_string(step.batch_idx()))
      .seen(culprits.empty() ? std::to_string(value_of(loss))
                             : "of its terms " + culprits + (finite.empty() ? "" : "; finite are " + finite))
      .expected("a number")
      .next("lower the learning rate, or look at this batch's audio");
}

bool all_finite(const at::Tensor& loss) { return at::isfinite(loss.detach()).all().item<bool>(); }

}  // namespace

void require_finite(const at::Tensor& loss, const std::string& name, const Step& step,
                    const std::vector<LossTerm>& terms) {
  if (!all_finite(loss)) throw not_finite(loss, name, step, terms);
}

void warn_of_infinite(const at::Tensor& loss, const std::string& name, const Step& step,
                      const std::vector<LossTerm>& terms) {
  if (!all_finite(loss)) log(LogLevel::kWarning, "tts", not_finite(loss, name, step, terms).what());
}

}  // namespace fathom::tts
