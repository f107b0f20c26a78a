#include "tests/support/scripted_run.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <utility>

#include "tests/conformance/recorded_hooks.h"

namespace fathom {
namespace {

Script* g_script = nullptr;  // of the run at work

class ScriptedItems final : public DatasetOf<int64_t> {
 public:
  explicit ScriptedItems(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& items) const override {
    return {{"x", at::ones({static_cast<int64_t>(items.size()), 1})}};
  }

 private:
  int64_t size_;
};

class ScriptedModel final : public Model {
 public:
  ScriptedModel(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)), layer_(register_module("layer", torch::nn::Linear(1, 1))) {}
  Values forward(const Values& in) override { return {{"y", layer_->forward(in.tensor("x"))}}; }
  MadeDataset make_dataset(Stage, const Json& section, const std::string&) override {
    return std::make_shared<ScriptedItems>(section.at("items").get<int64_t>());
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    const auto& values = g_script->train_x;
    if (!values.empty()) step.log("x", values[g_script->batches++ % values.size()]);
    return layer_->forward(batch.tensor("x")).mean();
  }
  void validation_step(const Values&, const Step& step) override {
    const auto& values = g_script->val_loss;
    if (!values.empty()) step.log(g_script->val_name, values[std::min(g_script->validations++, values.size() - 1)]);
  }

 private:
  torch::nn::Linear layer_;
};

class ScriptedLook final : public conformance::HookCallback {
 public:
  explicit ScriptedLook(const Options&) {}
  Order order() const override { return Order::kCheckpoint; }

 private:
  void called(const std::string& hook, Trainer& trainer) override {
    if (g_script->look) g_script->look(hook, trainer);
  }
};

void add_scripted_components(Registry& registry) {
  registry.add<ScriptedModel>("scripted.Model", "one layer");
  registry.add<ScriptedLook>("scripted.Look", "looks on");
}

}  // namespace

RunRequest scripted_request(Json trainer, int64_t batches, bool validates) {
  RunRequest request;
  request.threads = 1;
  const Json quiet = {
      {"logger", false}, {"enable_progress_bar", false}, {"enable_model_summary", false}, {"num_sanity_val_steps", 0}};
  for (const auto& [key, value] : quiet.items()) {
    if (!trainer.contains(key)) trainer[key] = value;
  }
  Json model = {{"_target_", "scripted.Model"},
                {"train_ds", {{"items", batches}, {"batch_size", 1}}},
                {"optim", {{"name", "sgd"}, {"lr", 0.1}}}};
  if (validates) model["validation_ds"] = {{"items", 1}, {"batch_size", 1}};
  request.config = {{"trainer", std::move(trainer)}, {"model", std::move(model)}};
  return request;
}

void run_scripted(const RunRequest& request, Script& script, RunSummary& summary,
                  const std::function<void(const RunPlan& plan, RunParts& parts)>& made) {
  conformance::add_suite_plugin<add_scripted_components>("scripted");
  g_script = &script;
  const size_t validations = script.validations, batches = script.batches;
  const RunPlan plan = plan_training(request);
  RunParts parts = make_parts(plan);
  // The step that shows whether the data fit is no part of the script.
  script.validations = validations;
  script.batches = batches;
  parts.trainer.callbacks.emplace_back(
      create_object(1u << FATHOM_KIND_CALLBACK, {{"_target_", "scripted.Look"}}, "callback"));
  if (made) made(plan, parts);
  run_training(plan, std::move(parts), request, summary);
}

}  // namespace fathom
