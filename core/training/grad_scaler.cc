#include "core/training/grad_scaler.h"

#include <ATen/ATen.h>

#include "fathom/error.h"

namespace fathom::training {

using checkpoint::PickleValue;

GradScaler::GradScaler(const GradScalerOptions& options)
    : options_(options),
      scale_(at::full({}, options.init_scale, at::kFloat)),
      growth_tracker_(at::zeros({}, at::kInt)) {}

at::Tensor GradScaler::scale_loss(const at::Tensor& loss) const { return options_.enabled ? loss * scale_ : loss; }

bool GradScaler::unscale(const NamedTensors& parameters) const {
  if (!options_.enabled) return true;
  auto gradients = gradients_of(parameters);
  if (gradients.empty()) return true;
  at::Tensor found_inf = at::zeros({}, at::kFloat);
  // As PyTorch: the reciprocal is taken in float64, so that a power of two is undone exactly.
  const at::Tensor inverse = scale_.to(at::kDouble).reciprocal().to(at::kFloat);
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, found_inf, inverse);
  return found_inf.item<float>() == 0;
}

void GradScaler::update(bool finite) {
  if (!options_.enabled) return;
  const at::Tensor found_inf = at::full({}, finite ? 0.0 : 1.0, at::kFloat);
  at::_amp_update_scale_(scale_, growth_tracker_, found_inf, options_.growth_factor, options_.backoff_factor,
                         options_.growth_interval);
}

double GradScaler::scale() const { return options_.enabled ? scale_.item<double>() : 1; }

PickleValue GradScaler::state() const {
  PickleValue out = PickleValue::dict();
  if (!options_.enabled) return out;
  auto& dict = out.mutable_dict();
  dict.set("scale", scale());
  dict.set("growth_factor", options_.growth_factor);
  dict.set("backoff_factor", options_.backoff_factor);
  dict.set("growth_interval", options_.growth_interval);
  dict.set("_growth_tracker", static_cast<int64_t>(growth_tracker_.item<int32_t>()));
  return out;
}

void GradScaler::load_state(const PickleValue& state, const std::string& source) {
  if (!options_.enabled) return;
  if (state.as_dict().empty()) {
    throw Error(Code::kBadData, "the scaler's state is empty: the checkpoint is of a run with a disabled scaler")
        .at(source)
        .next("set enabled=false on trainer.plugins' scaler, or start from the weights with init_from_ptl_ckpt");
  }
  scale_.fill_(state.at("scale").as_double());
  options_.growth_factor = state.at("growth_factor").as_double();
  options_.backoff_factor = state.at("backoff_factor").as_double();
  options_.growth_interval = state.at("growth_interval").as_int();
  growth_tracker_.fill_(state.at("_growth_tracker").as_int());
}

}  // namespace fathom::training
