// Models that step their optimizers themselves ("fathom.manual_optimization/1"), as Lightning's
// automatic_optimization = False: a GAN with a generator and a discriminator, or any order of updates of one's own.
//
//   class Gan final : public fathom::Model, public fathom::ManualOptimization {
//     std::vector<OptimizerSpec> configure_optimizers() const override {
//       return {{{"generator"}, config()["optim"], "model.optim"}, {{"discriminator"}, config()["optim"],
//       "model.optim"}};
//     }
//     at::Tensor training_step(const Values& batch, const Step& step) override {
//       step.toggle(1); step.zero_grad(1); step.backward(loss_d); step.optimizer_step(1); step.untoggle(1); …
//
// The trainer then accumulates, clips and schedules nothing by itself: trainer.accumulate_grad_batches and
// gradient_clip_val are refused. Every optimizer_step counts as a step of the run (max_steps, global_step).
#pragma once

#include <string>
#include <vector>

#include "fathom/abi/manual_optimization.h"
#include "fathom/capability.h"

namespace fathom {

struct OptimizerSpec {
  std::vector<std::string> modules;  // paths of modules of the model; their parameters are the optimizer's
  Json section;                      // as model.optim, with `sched` in it
  std::string config_path = "model.optim";
};

class ManualOptimization {
 public:
  virtual ~ManualOptimization() = default;
  // In the order of the indices that Step's functions take.
  virtual std::vector<OptimizerSpec> configure_optimizers() const = 0;
};

template <>
struct Capability<ManualOptimization> {
  static constexpr std::string_view id = FATHOM_MANUAL_OPTIMIZATION_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_manual_optimization_v1 table = {
        sizeof(fathom_manual_optimization_v1), [](void* self, const fathom_text_sink* json) {
          return guard([&] {
            Json list = Json::array();
            for (auto& spec : Get::get(self).configure_optimizers())
              list.push_back({{"modules", spec.modules}, {"section", spec.section}, {"config_path", spec.config_path}});
            write(json, json_text(list));
          });
        }};
    return &table;
  }
};

}  // namespace fathom
