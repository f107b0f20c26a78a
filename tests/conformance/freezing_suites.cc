// Frozen modules, and modules frozen for some steps: recorded operations on a tree of modules, recorded trainings of a
// small model. The trainings are those of the program's own trainer.
#include <fmt/format.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>

#include "core/base/log.h"
#include "core/plugins/registry.h"
#include "core/training/freezing.h"
#include "core/training/trainer.h"
#include "tests/conformance/recorded_hooks.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
using ModulePtr = std::shared_ptr<torch::nn::Module>;

// --- freeze

class Node : public NeuralModule {
 public:
  using torch::nn::Module::unregister_module;
  Values forward(const Values&) override { return {}; }
};

std::shared_ptr<Node> make_enc(bool nested) {
  auto node = std::make_shared<Node>();
  node->register_module("lin", torch::nn::Linear(2, 2));
  node->register_module("bn", torch::nn::BatchNorm1d(2));
  node->register_module("drop", torch::nn::Dropout());
  if (nested) node->register_module("sub", make_enc(false));
  return node;
}

// One recorded tree and the operations on it.
class Tree {
 public:
  Tree() : root_(std::make_shared<Node>()) {
    root_->register_module("encoder", make_enc(true));
    root_->register_module("decoder", make_enc(false));
    root_->register_parameter("scale", at::ones({1}));
    root_->register_module("plain", torch::nn::Linear(2, 1));
  }

  void apply(const std::string& operation, const std::string& path, const std::string& extra) {
    if (operation == "exit_frozen") return exit_frozen();
    const ModulePtr module = path.empty() ? root_ : root_->named_modules()[path];
    if (operation == "freeze") return training::freeze(*module);
    if (operation == "unfreeze") return training::unfreeze(*module);
    if (operation == "unfreeze_partial") return training::unfreeze(*module, /*partial=*/true);
    if (operation == "train") return module->train();
    if (operation == "eval") return module->eval();
    if (operation == "grad_off" || operation == "grad_on") {
      for (const auto& parameter : module->parameters()) parameter.set_requires_grad(operation == "grad_on");
      return;
    }
    if (operation == "enter_frozen") {
      frozen_.push_back(std::make_unique<training::FrozenScope>(*module));
    } else if (operation == "add_parameter") {
      module->register_parameter(extra, at::ones({2}));
    } else if (operation == "delete_child") {
      dynamic_cast<Node&>(*module).unregister_module(extra);
    } else {
      throw std::runtime_error("unknown operation " + operation);
    }
  }

  json state() const {
    std::vector<std::string> without_gradient, eval, remembered;
    for (const auto& item : root_->named_parameters()) {
      if (!item.value().requires_grad()) without_gradient.push_back(item.key());
    }
    for (const auto& item : root_->named_modules()) {
      const std::string name = item.key().empty() ? "(root)" : item.key();
      if (!item.value()->is_training()) eval.push_back(name);
      if (training::remembers_gradients(*item.value())) remembered.push_back(name);
    }
    for (auto* names : {&without_gradient, &eval, &remembered}) std::sort(names->begin(), names->end());
    return {{"requires_grad_false", without_gradient},
            {"eval_modules", eval},
            {"num_weights", training::num_weights(*root_)},
            {"remembered", remembered}};
  }

 private:
  void exit_frozen() {
    if (frozen_.empty()) throw Error(Code::kFailed, "no frozen context is open");
    const auto newest = std::move(frozen_.back());
    frozen_.pop_back();
    newest->end();
  }

  std::shared_ptr<Node> root_;
  std::vector<std::unique_ptr<training::FrozenScope>> frozen_;
};

// The error's text, or "".
template <typename Body>
std::string error_of(Body&& body) {
  try {
    body();
    return "";
  } catch (const Error& error) {
    return error.what();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
}

std::string compare(const json& got, const json& expected, const std::string& what) {
  return got == expected ? "" : fmt::format("{}: expected {}, got {}", what, json_text(expected), json_text(got));
}

std::string compare_error(const json& expected, const std::string& got, const std::string& what) {
  if (expected.contains("error") == !got.empty()) return "";
  return fmt::format("{}: expected {}, got {}", what, expected.value("message", "no error"),
                     got.empty() ? "no error" : got);
}

Outcome run_freeze(const Case& c) {
  set_log_level(LogLevel::kError);
  Tree tree;
  const json& operations = c.body.at("ops");
  for (size_t i = 0; i < operations.size(); ++i) {
    const json& operation = operations[i];
    const json& expected = c.body.at("after").at(i);
    const std::string what = fmt::format("operation {} {}", i, json_text(operation));
    const std::string error = error_of(
        [&] { tree.apply(operation[0], operation[1], operation.size() > 2 ? operation[2].get<std::string>() : ""); });
    std::string difference = compare_error(expected, error, what);
    const json state = tree.state();
    for (const auto& [key, value] : state.items()) {
      if (difference.empty()) difference = compare(value, expected.at(key), what + ": " + key);
    }
    if (!difference.empty()) return fail(difference);
  }
  return pass();
}

// --- dynamic_freezing

json rows;  // what Tiny wrote down in the training at hand

class Layer final : public Node {
 public:
  Layer() : linear_(register_module("l", torch::nn::Linear(2, 2))) {}
  at::Tensor apply(const at::Tensor& x) { return linear_->forward(x); }

 private:
  torch::nn::Linear linear_;
};

// Names of the model's children that hold for `test`, in the model's order.
template <typename Test>
json children(const torch::nn::Module& model, Test&& test) {
  json names = json::array();
  for (const auto& child : model.named_children()) {
    if (test(*child.value())) names.push_back(child.key());
  }
  return names;
}
json frozen_children(const torch::nn::Module& model) {
  return children(model, [](const torch::nn::Module& child) { return training::num_weights(child) == 0; });
}

void add_row(const torch::nn::Module& model, const char* kind, int64_t epoch, json batch, int64_t step) {
  rows.push_back({kind, epoch, std::move(batch), step, frozen_children(model),
                  children(model, [](const torch::nn::Module& child) { return !child.is_training(); })});
}

class Tiny final : public Model {
 public:
  Tiny(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        encoder_(register_module("encoder", std::make_shared<Layer>())),
        decoder_(register_module("decoder", std::make_shared<Layer>())),
        plain_(register_module("plain", torch::nn::Linear(2, 2))) {}
  Values forward(const Values& in) override {
    return {{"y", plain_->forward(decoder_->apply(encoder_->apply(in.tensor("x"))))}};
  }
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return nullptr; }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    add_row(*this, "step", step.epoch(), step.batch_idx(), step.global_step());
    return forward(batch).tensor("y").pow(2).mean();
  }
  void validation_step(const Values&, const Step& step) override {
    if (step.batch_idx() == 0) add_row(*this, "validation", step.epoch(), nullptr, step.global_step());
  }

 private:
  std::shared_ptr<Layer> encoder_, decoder_;
  torch::nn::Linear plain_;
};

class Ones final : public DatasetOf<at::Tensor> {
 public:
  explicit Ones(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  at::Tensor get(int64_t, uint64_t) const override { return at::ones({2, 2}); }
  Values collate(const std::vector<const at::Tensor*>& samples) const override { return {{"x", *samples[0]}}; }

 private:
  int64_t size_;
};

std::unique_ptr<DataLoader> loader(int64_t batches) {
  return std::make_unique<DataLoader>(DatasetHandle(MadeDataset(std::make_shared<Ones>(batches)).object()),
                                      LoaderOptions{}, 0);
}

void add_tiny(Registry& registry) { registry.add<Tiny>("conformance.Tiny", "two modules and a plain layer"); }

ModelHandle make_tiny() {
  add_suite_plugin<add_tiny>("conformance_freezing");
  return ModelHandle(create_object(1u << FATHOM_KIND_MODEL, {{"_target_", "conformance.Tiny"}}, "model"));
}

// One training; the model comes back for the next.
std::string run_fit(const Case& c, ModelHandle& model, const json& expected) {
  Json flags = Json::parse(json_text(c.body.at("trainer")));
  flags["logger"] = false;
  flags["num_sanity_val_steps"] = 0;
  if (!flags.contains("max_epochs")) flags["max_epochs"] = -1;
  training::TrainerParts parts;
  parts.model = std::move(model);
  parts.train = loader(c.body.at("batches"));
  if (c.body.value("validation", false)) parts.validation.push_back(loader(2));
  parts.optim = {{"name", "sgd"}, {"lr", 0.01}};
  if (c.body.contains("freeze_updates")) parts.freeze_updates = Json::parse(json_text(c.body["freeze_updates"]));
  training::Trainer trainer(read_trainer_options(flags, "trainer"), std::move(parts));
  const ModulePtr module = trainer.model().torch_module();

  rows = json::array();
  const std::string error = error_of([&] {
    const training::FitResult result = trainer.fit();
    add_row(*module, "train_end", result.epochs, nullptr, result.global_step);
  });
  model = std::move(trainer.model());
  std::string difference = compare_error(expected, error, "fit");
  if (difference.empty()) difference = compare(rows, expected.at("rows"), "rows");
  if (!difference.empty()) return difference;
  const json at_end = {{"frozen", frozen_children(*module)}, {"has_record", trainer.freezing().started()}};
  return compare(at_end, expected.at("at_end"), "at_end");
}

Outcome run_dynamic_freezing(const Case& c) {
  set_log_level(LogLevel::kError);
  ModelHandle model = make_tiny();
  if (const std::string before = c.body.value("frozen_before", ""); !before.empty()) {
    training::freeze(*model.torch_module()->named_modules()[before]);
  }
  for (const json& expected : c.body.at("expect")) {
    if (const std::string difference = run_fit(c, model, expected); !difference.empty()) return fail(difference);
  }
  return pass();
}

// What no recorded case should meet is a failure with its reason, not the end of the run.
template <typename Run>
auto guarded_run(Run run) {
  return [run](const Case& c) {
    try {
      return run(c);
    } catch (const std::exception& error) {
      return fail(error.what());
    }
  };
}

}  // namespace

void add_freezing_suites(std::vector<Suite>& suites) {
  suites.push_back({"module_semantics/freeze", guarded_run(run_freeze)});
  suites.push_back({"module_semantics/dynamic_freezing", guarded_run(run_dynamic_freezing)});
}

}  // namespace fathom::conformance
