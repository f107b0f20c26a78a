// Optimizer state exchanged with the real torch.optim both ways: each side takes up the other's state and goes on to
// the same parameters. Skipped where FATHOM_PYTHON (default python3) has no torch.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <filesystem>

#include "core/checkpoint/torch_file.h"
#include "core/plugins/registry.h"
#include "core/training/optimization.h"
#include "tests/e2e/process.h"

namespace fathom::e2e {
namespace {

using checkpoint::PickleValue;

constexpr int kSteps = 5;

struct Weights : torch::nn::Module {
  Weights() {
    register_parameter("matrix", at::randn({4, 3}, at::kDouble));
    register_parameter("vector", at::randn({5}, at::kDouble));
  }
};

using Gradients = std::vector<std::vector<at::Tensor>>;  // [step][parameter]

PickleValue tensors(const std::vector<at::Tensor>& list) {
  PickleValue out = PickleValue::list();
  for (const at::Tensor& tensor : list) out.mutable_items().push_back(checkpoint::from_tensor(tensor.detach()));
  return out;
}

// Ours over `module`, `count` steps from gradient `first` on.
void run_ours(training::Optimization& optimization, const torch::nn::Module& module, const Gradients& gradients,
              size_t first, size_t count) {
  auto parameters = module.parameters();
  for (size_t step = first; step < first + count; ++step) {
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].mutable_grad() = gradients[step][i].clone();
    optimization.step();
  }
}

// PyTorch keeps some scalar state in float32 and casts it when it is loaded; ours stays as it was.
void expect_same(const torch::nn::Module& module, const PickleValue& recorded, const char* what) {
  const auto parameters = module.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor expected = checkpoint::to_tensor(recorded.items()[i]);
    EXPECT_LE((parameters[i].detach() - expected).abs().max().item<double>(), 1e-10) << what << ", parameter " << i;
  }
}

constexpr const char* kScript = R"(
import copy, json, sys, torch
folder, cases = sys.argv[1], json.loads(sys.argv[2])
for name, options in cases:
    for key in ("betas", "etas"):
        if key in options: options[key] = tuple(options[key])
    given = torch.load(f"{folder}/{name}.ours.pt", weights_only=True)
    parameters = [torch.nn.Parameter(p.clone()) for p in given["parameters"]]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    optimizer.load_state_dict(given["state"])
    def go(first):
        for gradients in given["gradients"][first:first + 5]:
            for p, g in zip(parameters, gradients): p.grad = g.clone()
            optimizer.step()
        return [p.detach().clone() for p in parameters]
    continued = go(5)
    state = copy.deepcopy(optimizer.state_dict())
    torch.save({"continued": continued, "state": state, "last": go(0)}, f"{folder}/{name}.theirs.pt")
)";

TEST(PythonOptimizer, TakesUpOurStateAndWeTakeUpItsState) {
  const char* chosen = std::getenv("FATHOM_PYTHON");
  const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  if (run({python, "-c", "import torch"}).status != 0)
    GTEST_SKIP() << python << " has no torch; set FATHOM_PYTHON to one that has";
  at::manual_seed(11);
  plugins::registry().use_search_path({});
  plugins::registry().add_plugin_dir(FATHOM_BINARY_DIR "/lib/fathom/plugins");
  const std::string folder = testing::TempDir() + "fathom_python_optimizer";
  std::filesystem::create_directories(folder);
  const std::vector<std::pair<std::string, Json>> cases = {
      {"SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}, {"weight_decay", 0.01}}},
      {"Adam", {{"lr", 0.01}, {"betas", {0.8, 0.95}}, {"amsgrad", true}}},
      {"AdamW", {{"lr", 0.01}, {"weight_decay", 0.1}}},
      {"Adadelta", {{"lr", 0.5}, {"rho", 0.8}}},
      {"Adamax", {{"lr", 0.01}}},
      {"Adagrad", {{"lr", 0.1}, {"lr_decay", 0.01}}},
      {"RMSprop", {{"lr", 0.01}, {"centered", true}, {"momentum", 0.5}}},
      {"Rprop", {{"lr", 0.01}, {"etas", {0.4, 1.3}}}},
      {"NAdam", {{"lr", 0.01}}},
      {"RAdam", {{"lr", 0.01}}},
      {"ASGD", {{"lr", 0.1}, {"t0", 3}}},
  };
  struct Run {
    std::shared_ptr<Weights> module = std::make_shared<Weights>();
    Gradients gradients = {};
    Json section = {};
    std::unique_ptr<training::Optimization> ours = {};
  };
  std::vector<Run> runs(cases.size());
  for (size_t k = 0; k < cases.size(); ++k) {
    const auto& [name, options] = cases[k];
    Run& r = runs[k];
    PickleValue recorded = PickleValue::list();
    for (int step = 0; step < 2 * kSteps; ++step) {
      r.gradients.emplace_back();
      for (const auto& p : r.module->parameters()) r.gradients.back().push_back(at::randn_like(p.detach()));
      recorded.mutable_items().push_back(tensors(r.gradients.back()));
    }
    r.section = options;
    r.section["name"] = "torch.optim." + name;
    r.ours =
        std::make_unique<training::Optimization>(r.section, "optim", *r.module, nullptr, training::TrainingFacts{});
    run_ours(*r.ours, *r.module, r.gradients, 0, kSteps);
    PickleValue file = PickleValue::dict();
    file.mutable_dict().set("parameters", tensors(r.module->parameters()));
    file.mutable_dict().set("state", r.ours->optimizer_state());
    file.mutable_dict().set("gradients", std::move(recorded));
    checkpoint::save_torch_file(folder + "/" + name + ".ours.pt", file);
  }
  const Result theirs = run({python, "-c", kScript, folder, json_text(Json(cases))});
  ASSERT_EQ(theirs.status, 0) << theirs.err;

  for (size_t k = 0; k < cases.size(); ++k) {
    const std::string& name = cases[k].first;
    Run& r = runs[k];
    SCOPED_TRACE(name);
    const std::string path = folder + "/" + name + ".theirs.pt";
    const PickleValue answer = checkpoint::load_torch_file(path);
    run_ours(*r.ours, *r.module, r.gradients, kSteps, kSteps);
    expect_same(*r.module, answer.at("continued"), "PyTorch went on from our state");

    const auto other = std::make_shared<Weights>();
    {
      const at::NoGradGuard no_grad;
      auto parameters = other->parameters();
      for (size_t i = 0; i < parameters.size(); ++i)
        parameters[i].copy_(checkpoint::to_tensor(answer.at("continued").items()[i]));
    }
    training::Optimization taken(r.section, "optim", *other, nullptr, {});
    taken.load_optimizer_state(answer.at("state"), path);
    run_ours(taken, *other, r.gradients, 0, kSteps);
    expect_same(*other, answer.at("last"), "we went on from PyTorch's state");
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fathom::e2e
