// What a training step of a model that optimizes by hand may ask (fathom/manual_optimization.h): Lightning's manual
// optimization, with its hooks and its counting of steps.
#include <ATen/ATen.h>

#include "core/planning/precision.h"
#include "core/training/trainer.h"

namespace fathom::training {

struct ManualSteps {
  static Trainer& trainer(void* ctx) { return *static_cast<Trainer*>(ctx); }
  static Optimization& optimizer(Trainer& t, size_t index) {
    if (index < t.optimizations_.size()) return *t.optimizations_[index];
    throw Error(Code::kFailed, "the model has no such optimizer")
        .seen(std::to_string(index))
        .expected("0 to " + std::to_string(t.optimizations_.size() - 1));
  }

  static fathom_status backward(void* ctx, fathom_tensor tensor) {
    return guard([&] {
      Trainer& t = trainer(ctx);
      const at::Tensor& loss = *reinterpret_cast<const at::Tensor*>(tensor);
      if (!loss.requires_grad())
        throw Error(Code::kFailed, "the loss depends on no parameter that is trained")
            .next("look for what is frozen or toggled off");
      t.emit(FATHOM_ON_BEFORE_BACKWARD);
      profiled(t.profiler_.get(), "backward", [&] { (t.scaler_ ? t.scaler_->scale_loss(loss) : loss).backward(); });
      t.gradient_norm_known_ = false;
      t.emit(FATHOM_ON_AFTER_BACKWARD);
      t.call_hook(FATHOM_ON_AFTER_BACKWARD);
    });
  }

  static fathom_status step(void* ctx, size_t index) {
    return guard([&] {
      Trainer& t = trainer(ctx);
      Optimization& optimization = optimizer(t, index);
      const ProfileScope scope(t.profiler_.get(), "optimizer_step");
      const bool usable = t.gradients_usable(optimization);
      t.emit(FATHOM_ON_BEFORE_OPTIMIZER_STEP);
      if (usable) optimization.update_parameters();
      if (usable && t.average_) t.average_->after_step(index);
      ++t.run_.progress.global_step;
    });
  }

  static fathom_status zero_grad(void* ctx, size_t index) {
    return guard([&] { optimizer(trainer(ctx), index).zero_grad(); });
  }

  // Other optimizers' parameters require no gradients, this one's what they did.
  static fathom_status toggle(void* ctx, size_t index, int32_t on) {
    return guard([&] {
      Trainer& t = trainer(ctx);
      Optimization& wanted = optimizer(t, index);
      for (auto& [parameter, requires_grad] : t.toggled_) parameter.set_requires_grad(requires_grad);
      t.toggled_.clear();
      if (on == 0) return;
      for (const auto& other : t.optimizations_) {
        if (other.get() == &wanted) continue;
        for (auto [name, parameter] : other->parameters()) {
          t.toggled_.emplace_back(parameter, parameter.requires_grad());
          parameter.set_requires_grad(false);
        }
      }
    });
  }

  static fathom_status clip(void* ctx, size_t index, double limit, fathom_str algorithm, double* norm) {
    return guard([&] {
      Trainer& t = trainer(ctx);
      if (t.scaler_) {
        throw Error(Code::kUnavailable, "gradients of scaled losses cannot be clipped by hand")
            .at("trainer.precision")
            .next("use precision=bf16-mixed");
      }
      const auto& parameters = optimizer(t, index).parameters();
      if (to_view(algorithm) == "norm") {
        const double before = gradient_norm(parameters);
        clip_gradient_norm(parameters, limit, before);
        if (norm != nullptr) *norm = before;
      } else if (to_view(algorithm) == "value") {
        clip_gradient_value(parameters, limit);
      } else {
        throw Error(Code::kFailed, "unknown way to clip gradients").seen(to_string(algorithm)).expected("norm, value");
      }
    });
  }

  static fathom_status scheduler_step(void* ctx, size_t index, const double* monitor) {
    return guard([&] { optimizer(trainer(ctx), index).move_schedule(monitor); });
  }
};

void Trainer::offer_manual_steps(fathom_step& step) {
  step.optimizer_count = optimizations_.size();
  step.backward = &ManualSteps::backward;
  step.optimizer_step = &ManualSteps::step;
  step.zero_grad = &ManualSteps::zero_grad;
  step.toggle = &ManualSteps::toggle;
  step.clip_gradients = &ManualSteps::clip;
  step.scheduler_step = &ManualSteps::scheduler_step;
}

}  // namespace fathom::training
