// Freezing modules as NeMo's NeuralModule does (freeze, unfreeze, as_frozen), and freezing some of them for some of a
// training's steps (model.freeze_updates).
//
// A module remembers what each of its parameters was before it was frozen, by name, until it is unfrozen; children
// remember for themselves. What is remembered goes away with the module. The remembering is guarded by a lock; the
// module itself is not: one thread at a time changes a module's parameters and mode.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fathom/support.h"

namespace torch::nn {
class Module;
}

namespace fathom::training {

// Remembers requires_grad of every parameter, switches it off, and puts the module into eval mode. Frozen again, the
// module remembers "off". `module` must be held by a shared_ptr, as every registered module is.
void freeze(torch::nn::Module& module);

// Gives every parameter its gradient back and puts the module into train mode. `partial` gives back what was
// remembered instead; a parameter added since is trained. Either way the module remembers nothing afterwards, its
// children still what they did. Throws Error (kFailed), changing nothing, for `partial` without a freeze before it.
void unfreeze(torch::nn::Module& module, bool partial = false);

// Whether this very module was frozen and not unfrozen since.
bool remembers_gradients(const torch::nn::Module& module);

// Numbers in the parameters that are trained; a parameter met twice counts once.
int64_t num_weights(const torch::nn::Module& module);

// Freezes a module for its lifetime, then gives back every requires_grad and the module's own mode, with which all its
// children go.
class FrozenScope {
 public:
  explicit FrozenScope(torch::nn::Module& module);
  ~FrozenScope();  // as end(), but what cannot be given back is logged
  FrozenScope(const FrozenScope&) = delete;
  FrozenScope& operator=(const FrozenScope&) = delete;

  // Ends it now, once. Throws Error (kFailed), changing nothing, when the module was unfrozen meanwhile.
  void end();

 private:
  std::shared_ptr<torch::nn::Module> module_;  // null once ended
  bool was_training_;
};

// The section `freeze_updates: {enabled: true, modules: {NAME: N, NAME: [A, B], …}}` of a model at work. With n
// counting optimizer steps from 1, a module is frozen while n <= N, or while A <= n <= B; -1 as N or B means for ever.
// A frozen module keeps its mode of training: dropout and batch statistics go on.
//
// NeMo reads the section as it goes, and so does this class: an entry is an error at the step that needs it.
// check_freeze_updates says the same errors beforehand. One training at a time.
class DynamicFreezing {
 public:
  DynamicFreezing() = default;  // freezes nothing
  // `section` null: freezes nothing. `config_path`: "model.freeze_updates". `freezable`: the children that are typed
  // modules, of any plugin (ModelHandle::modules); others cannot be frozen by name, as in NeMo.
  DynamicFreezing(Json section, std::string config_path, std::vector<std::string> freezable);

  // When training starts. Keeps what an earlier training that failed has left. Throws Error (kFailed) if the section is
  // no mapping, or is enabled without a mapping `modules`.
  void start();
  // Before each batch, with the number of optimizer steps done. Does nothing while the model is in eval mode. Throws
  // Error (kFailed) for a name that is no NeuralModule among the model's children, and for a step that is no number.
  void before_batch(torch::nn::Module& model, int64_t global_step);
  // When training ends well. Modules stay as they are.
  void end();
  // Between start() and end().
  bool started() const { return started_; }

 private:
  Json section_;
  std::string config_path_;
  std::vector<std::string> freezable_;
  bool started_ = false, enabled_ = false;
  std::set<std::string> frozen_;  // by this object
};

// Every error of the section that training with `model` would run into, sooner or later; warns about an entry that
// freezes nothing. Throws Error (kFailed).
void check_freeze_updates(const Json& section, const torch::nn::Module& model,
                          const std::vector<std::string>& freezable, const std::string& config_path);

}  // namespace fathom::training
