// What the suites that drive the trainer share: a plugin of their own, and a callback that is called at every event
// under the name that Lightning's recordings have for it.
#pragma once

#include <iterator>
#include <utility>

#include "core/plugins/registry.h"
#include "fathom/callback.h"

namespace fathom::conformance {

// Registers once what kRegister adds. FATHOM_PLUGIN by hand: this program links a collection's objects, which bring the
// one symbol that macro defines.
template <void (*kRegister)(Registry&)>
void add_suite_plugin(std::string_view name) {
  static const fathom_plugin_entry entry = {FATHOM_PLUGIN_MAGIC,
                                            sizeof(fathom_plugin_entry),
                                            FATHOM_ABI_MAJOR,
                                            FATHOM_ABI_MINOR,
                                            to_abi(name),
                                            to_abi("0.1.0"),
                                            to_abi("Apache-2.0"),
                                            to_abi("fathom"),
                                            to_abi(""),
                                            FATHOM_TORCH_NONE,
                                            to_abi(""),
                                            to_abi(""),
                                            [](const fathom_host* host, const fathom_registrar* registrar) {
                                              host_slot() = host;
                                              return guard([&] {
                                                Registry registry(registrar);
                                                kRegister(registry);
                                              });
                                            },
                                            nullptr,
                                            nullptr};
  [[maybe_unused]] static const bool registered = (plugins::registry().add_builtin(&entry), true);
}

inline constexpr std::pair<Event, const char*> kHooks[] = {{Event::kSetup, "setup"},
                                                           {Event::kFitStart, "on_fit_start"},
                                                           {Event::kSanityCheckStart, "on_sanity_check_start"},
                                                           {Event::kSanityCheckEnd, "on_sanity_check_end"},
                                                           {Event::kTrainStart, "on_train_start"},
                                                           {Event::kTrainEpochStart, "on_train_epoch_start"},
                                                           {Event::kTrainBatchStart, "on_train_batch_start"},
                                                           {Event::kBeforeZeroGrad, "on_before_zero_grad"},
                                                           {Event::kBeforeBackward, "on_before_backward"},
                                                           {Event::kAfterBackward, "on_after_backward"},
                                                           {Event::kBeforeOptimizerStep, "on_before_optimizer_step"},
                                                           {Event::kTrainBatchEnd, "on_train_batch_end"},
                                                           {Event::kTrainEpochEnd, "on_train_epoch_end"},
                                                           {Event::kTrainEnd, "on_train_end"},
                                                           {Event::kFitEnd, "on_fit_end"},
                                                           {Event::kValidationStart, "on_validation_start"},
                                                           {Event::kValidationEpochStart, "on_validation_epoch_start"},
                                                           {Event::kValidationBatchStart, "on_validation_batch_start"},
                                                           {Event::kValidationBatchEnd, "on_validation_batch_end"},
                                                           {Event::kValidationEpochEnd, "on_validation_epoch_end"},
                                                           {Event::kValidationEnd, "on_validation_end"},
                                                           {Event::kTestStart, "on_test_start"},
                                                           {Event::kTestEpochStart, "on_test_epoch_start"},
                                                           {Event::kTestBatchStart, "on_test_batch_start"},
                                                           {Event::kTestBatchEnd, "on_test_batch_end"},
                                                           {Event::kTestEpochEnd, "on_test_epoch_end"},
                                                           {Event::kTestEnd, "on_test_end"},
                                                           {Event::kPredictStart, "on_predict_start"},
                                                           {Event::kPredictEpochStart, "on_predict_epoch_start"},
                                                           {Event::kPredictBatchStart, "on_predict_batch_start"},
                                                           {Event::kPredictBatchEnd, "on_predict_batch_end"},
                                                           {Event::kPredictEpochEnd, "on_predict_epoch_end"},
                                                           {Event::kPredictEnd, "on_predict_end"},
                                                           {Event::kException, "on_exception"},
                                                           {Event::kTeardown, "teardown"}};

struct NoSettings {
  static void describe(OptionSet<NoSettings>&) {}
};

class HookCallback : public Callback {
 public:
  using Options = NoSettings;
  HookCallback() {
    [this]<size_t... I>(std::index_sequence<I...>) {
      (on(kHooks[I].first, &HookCallback::forward<I>), ...);
    }(std::make_index_sequence<std::size(kHooks)>());
  }

 private:
  virtual void called(const std::string& hook, fathom::Trainer& trainer) = 0;
  template <size_t I>
  void forward(fathom::Trainer& trainer) {
    called(kHooks[I].second, trainer);
  }
};

}  // namespace fathom::conformance
