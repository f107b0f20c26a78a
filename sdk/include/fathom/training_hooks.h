// Models that act between their steps ("fathom.training_hooks/1"), under the names of a LightningModule's hooks: they
// change gradients before the optimizer sees them, or move a schedule at the end of an epoch.
//
//   class Model final : public fathom::Model, public fathom::TrainingHooks {
//     void on_after_backward(const fathom::Step& step) override { … }
//   };
#pragma once

#include "fathom/abi/training_hooks.h"
#include "fathom/model.h"

namespace fathom {

// Each is called after the callbacks of its event; not again for an epoch that a resumed run goes on with.
class TrainingHooks {
 public:
  virtual ~TrainingHooks() = default;
  virtual void on_train_epoch_start(const Step& /*step*/) {}
  // After every backward pass; gradients of an unfinished accumulation are sums so far.
  virtual void on_after_backward(const Step& /*step*/) {}
  // Not for an epoch that is broken off by max_steps or a request to stop.
  virtual void on_train_epoch_end(const Step& /*step*/) {}
};

template <>
struct Capability<TrainingHooks> {
  static constexpr std::string_view id = FATHOM_TRAINING_HOOKS_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_training_hooks_v1 table = {sizeof(fathom_training_hooks_v1),
                                                   [](void* self, uint32_t event, const fathom_step* step) {
                                                     return guard([&] {
                                                       TrainingHooks& model = Get::get(self);
                                                       switch (event) {
                                                         case FATHOM_ON_TRAIN_EPOCH_START:
                                                           return model.on_train_epoch_start(Step(step));
                                                         case FATHOM_ON_AFTER_BACKWARD:
                                                           return model.on_after_backward(Step(step));
                                                         case FATHOM_ON_TRAIN_EPOCH_END:
                                                           return model.on_train_epoch_end(Step(step));
                                                         default: return;
                                                       }
                                                     });
                                                   }};
    return &table;
  }
};

}  // namespace fathom
