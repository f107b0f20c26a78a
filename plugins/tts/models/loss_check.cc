#include "plugins/tts/models/loss_check.h"

#include <ATen/ATen.h>

namespace fathom::tts {

void require_finite(const at::Tensor& loss, const std::string& name, const Step& step) {
  if (at::isfinite(loss.detach()).all().item<bool>()) return;
  throw Error(Code::kFailed, "a loss is not finite: " + name)
      .at("step " + std::to_string(step.global_step()) + ", batch " + std::to_string(step.batch_idx()))
      .seen(std::to_string(loss.detach().to(at::kDouble).item<double>()))
      .expected("a number")
      .next("lower the learning rate, or look at this batch's audio");
}

}  // namespace fathom::tts
