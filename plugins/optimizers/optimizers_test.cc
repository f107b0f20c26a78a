// Optimizers through the table a trainer uses, against their plain formulas written with tensor operations. The
// recorded trajectories of PyTorch and NeMo are the conformance suites `optimizers/*`.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/plugins/registry.h"
#include "fathom/abi/plugin.h"
#include "fathom/optimizer.h"
#include "tests/support/error_of.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom {
namespace {

using Tensors = std::vector<at::Tensor>;

class OptimizersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { plugins::registry().add_builtin(&fathom_plugin_entry_v1); }
  void SetUp() override { at::manual_seed(7); }

  static OptimizerHandle make(const Json& config, const Tensors& parameters, const Json& overrides = Json::object()) {
    OptimizerHandle optimizer = make_optimizer(config, "model.optim");
    std::vector<std::pair<std::string, at::Tensor>> named;
    for (size_t i = 0; i < parameters.size(); ++i) named.emplace_back("p" + std::to_string(i), parameters[i]);
    optimizer.add_group(named, overrides);
    return optimizer;
  }
  static void expect_close(const at::Tensor& got, const at::Tensor& expected, double tolerance = 1e-12) {
    EXPECT_LE((got.detach().to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(), tolerance);
  }
};

// adamw, sgd and rmsprop, several steps, sizes around the vector width.
TEST_F(OptimizersTest, MatchesThePlainFormulas) {
  for (const int64_t size : {1, 7, 16, 33, 1000}) {
    at::Tensor p = at::randn({size}, at::kDouble).requires_grad_(true), q = p.detach().clone(), r = p.detach().clone();
    at::Tensor x = p.detach().clone(), y = x.clone(), z = x.clone();
    OptimizerHandle adamw = make({{"name", "adamw"}, {"lr", 0.01}, {"weight_decay", 0.1}}, {p});
    OptimizerHandle sgd = make({{"name", "sgd"}, {"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}}, {q});
    OptimizerHandle rmsprop = make({{"name", "rmsprop"}, {"lr", 0.01}, {"centered", true}, {"momentum", 0.5}}, {r});
    at::Tensor m = at::zeros_like(x), v = at::zeros_like(x), buffer, s = m.clone(), mean = m.clone(), b = m.clone();
    for (int step = 1; step <= 5; ++step) {
      const at::Tensor g = at::randn({size}, at::kDouble);
      adamw.step({g});
      sgd.step({g});
      rmsprop.step({g});
      x = x * (1 - 0.01 * 0.1);
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      x = x - 0.01 * (m / (1 - std::pow(0.9, step))) / ((v / (1 - std::pow(0.999, step))).sqrt() + 1e-8);
      buffer = buffer.defined() ? 0.9 * buffer + g : g.clone();
      y = y - 0.1 * (g + 0.9 * buffer);
      s = 0.99 * s + 0.01 * g * g;
      mean = 0.99 * mean + 0.01 * g;
      b = 0.5 * b + g / ((s - mean * mean).sqrt() + 1e-8);
      z = z - 0.01 * b;
    }
    expect_close(p, x);
    expect_close(q, y);
    expect_close(r, z, 1e-10);
  }
}

// The fused updates of matrices and vectors against the formula in tensor operations, which other layouts take.
TEST_F(OptimizersTest, AdafactorIsTheSameInEveryLayout) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{5, 7}, {6, 9, 1}, {4, 1, 11}, {3, 4, 20}, {33}}) {
    const at::Tensor start = at::randn(shape, at::kDouble);
    at::Tensor fused = start.clone().requires_grad_(true);
    at::Tensor strided = start.clone();
    if (shape.size() > 1) strided = start.transpose(0, 1).contiguous().transpose(0, 1);
    strided.requires_grad_(true);
    const Json config = {{"name", "adafactor"}, {"weight_decay", 0.1}};
    OptimizerHandle a = make(config, {fused}), b = make(config, {strided});
    for (int step = 0; step < 4; ++step) {
      const at::Tensor g = at::randn(shape, at::kDouble);
      a.step({g});
      b.step({shape.size() > 1 ? g.transpose(0, 1).contiguous().transpose(0, 1) : g});
    }
    expect_close(fused, strided, 1e-12);
  }
}

// NeMo's published numbers.
TEST_F(OptimizersTest, NovogradGivesNemosNumbers) {
  const Tensors gradients = {at::tensor({.1, .2, -.3}), at::tensor({.4, -.1, .05}), at::tensor({0., .3, .3})};
  const auto run = [&](Json config) {
    at::Tensor p = at::tensor({1.f, -2.f, 3.f});
    config["name"] = "novograd";
    config["lr"] = 0.01;
    OptimizerHandle optimizer = make(config, {p});
    for (const at::Tensor& g : gradients) optimizer.step({g.to(at::kFloat)});
    return p;
  };
  expect_close(run({{"betas", {0.8, 0.25}}, {"weight_decay", 0.001}}), at::tensor({.97566777, -2.0156467, 3.01003695}),
               1e-6);
  expect_close(run({{"grad_averaging", true}}), at::tensor({.99857891, -2.00090122, 3.00061464}), 1e-6);
  expect_close(run({{"amsgrad", true}}), at::tensor({.97157824, -2.01802468, 3.01229405}), 1e-6);
  expect_close(run({{"luc", true}}), at::tensor({.99278712, -2.00496387, 3.00412726}), 1e-6);
}

TEST_F(OptimizersTest, LambScalesByTheWeights) {
  at::Tensor p = at::randn({4, 5}, at::kDouble), x = p.clone();
  OptimizerHandle optimizer = make({{"name", "lamb"}, {"lr", 0.01}, {"max_grad_norm", 1.0}}, {p});
  at::Tensor m = at::zeros_like(x), v = at::zeros_like(x);
  for (int step = 1; step <= 4; ++step) {
    at::Tensor g = at::randn({4, 5}, at::kDouble);
    optimizer.step({g});
    const double norm = g.norm().item<double>();
    if (norm > 1) g = g / norm;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const at::Tensor direction =
        (m / (1 - std::pow(0.9, step))) / ((v / (1 - std::pow(0.999, step))).sqrt() + 1e-6) + 0.01 * x;
    x = x - 0.01 * (x.norm() / direction.norm()) * direction;
  }
  expect_close(p, x, 1e-10);
  EXPECT_EQ(optimizer.group_options(0).at("step"), 4);
}

TEST_F(OptimizersTest, MuonStepsAlongAnOrthogonalMatrix) {
  at::Tensor p = at::randn({6, 3}, at::kFloat), before = p.clone();
  OptimizerHandle optimizer = make({{"name", "torch.optim.Muon"}, {"lr", 0.1}, {"weight_decay", 0.0}}, {p});
  optimizer.step({at::randn({6, 3}, at::kFloat)});
  const at::Tensor direction = (before - p) / (0.1 * std::sqrt(2.0));
  const at::Tensor singular = at::linalg_svdvals(direction);
  EXPECT_GT(singular.min().item<double>(), 0.5);  // the iteration brings them near 1, not to it
  EXPECT_LT(singular.max().item<double>(), 1.5);
  EXPECT_NE(error_of([&] { make({{"name", "torch.optim.Muon"}}, {at::zeros({3})}); }).find("matrices"),
            std::string::npos);
}

TEST_F(OptimizersTest, SkipsParametersWithoutGradient) {
  at::Tensor p = at::ones({3}), q = at::ones({3});
  OptimizerHandle optimizer = make({{"name", "sgd"}, {"lr", 1.0}, {"momentum", 0.5}}, {p, q});
  const at::Tensor g = at::ones({3});
  optimizer.step({g, at::Tensor()});
  expect_close(p, at::zeros({3}), 0);
  expect_close(q, at::ones({3}), 0);
  optimizer.step({at::Tensor(), g});  // q's first gradient: undamped and without momentum
  expect_close(p, at::zeros({3}), 0);
  expect_close(q, at::zeros({3}), 0);
  optimizer.step({g, g});  // both carry half of the former update
  expect_close(p, at::full({3}, -1.5), 0);
  expect_close(q, at::full({3}, -1.5), 0);
}

// Any strides of parameter and gradient, and half precision, give what contiguous float32 gives.
TEST_F(OptimizersTest, WorksOnAnyLayoutAndPrecision) {
  for (const char* name : {"adamw", "sgd", "novograd", "adan", "rprop", "adadelta", "adafactor"}) {
    Json config = {{"name", name}, {"lr", 0.01}};
    if (std::string(name) == "adafactor") config["relative_step"] = false;
    const at::Tensor start = at::randn({4, 6}, at::kFloat);
    at::Tensor plain = start.clone(), transposed = start.t().contiguous().t(),
               sliced = at::zeros({4, 12}, at::kFloat).slice(1, 0, 12, 2);
    sliced.copy_(start);
    at::Tensor half = start.to(at::kBFloat16);
    OptimizerHandle a = make(config, {plain}), b = make(config, {transposed}), c = make(config, {sliced}),
                    d = make(config, {half});
    for (int step = 0; step < 3; ++step) {
      const at::Tensor g = at::randn({4, 6}, at::kFloat);
      a.step({g});
      b.step({g});
      c.step({g.t().contiguous().t()});
      d.step({g.to(at::kBFloat16)});
    }
    SCOPED_TRACE(name);
    expect_close(transposed, plain, 1e-6);
    expect_close(sliced, plain, 1e-6);
    expect_close(half, plain, 0.05);
    EXPECT_GT((half.to(at::kFloat) - start).abs().max().item<double>(), 0);
  }
}

TEST_F(OptimizersTest, GroupsHaveTheirOwnOptions) {
  at::Tensor p = at::ones({2}), q = at::ones({2});
  OptimizerHandle optimizer = make({{"name", "sgd"}, {"lr", 0.1}}, {p});
  optimizer.add_group({{"q", q}}, {{"lr", 0.5}});
  EXPECT_EQ(optimizer.group_count(), 2u);
  optimizer.set_option(0, "lr", 0.2);
  EXPECT_DOUBLE_EQ(optimizer.get_option(0, "lr"), 0.2);
  EXPECT_DOUBLE_EQ(optimizer.get_option(1, "lr"), 0.5);
  optimizer.step({at::ones({2}), at::ones({2})});
  expect_close(p, at::full({2}, 0.8), 1e-7);
  expect_close(q, at::full({2}, 0.5), 1e-7);
  OptimizerHandle adam = make({{"name", "adam"}}, {at::ones({2})});
  adam.set_option(0, "betas[0]", 0.5);
  EXPECT_DOUBLE_EQ(adam.group_options(0).at("betas").at(0).get<double>(), 0.5);
  EXPECT_NE(error_of([&] { adam.set_option(0, "momentum", 0.5); }).find("momentum"), std::string::npos);
  EXPECT_NE(error_of([&] { adam.set_option(0, "betas[2]", 0.5); }).find("betas[2]"), std::string::npos);
}

// Saved, loaded into a new one, continued: the same bits as without.
TEST_F(OptimizersTest, ContinuesFromItsStateToTheBit) {
  for (const char* name :
       {"sgd", "adam", "adamw", "novograd", "adadelta", "adamax", "adagrad", "rmsprop", "rprop", "adafactor", "adan",
        "lamb", "torch.optim.RAdam", "torch.optim.NAdam", "torch.optim.ASGD", "torch.optim.Muon"}) {
    SCOPED_TRACE(name);
    Json config = {{"name", name}};
    if (std::string(name) == "sgd" || std::string(name) == "rmsprop") config["momentum"] = 0.9;
    const Tensors gradients = {at::randn({5, 3}), at::randn({5, 3}), at::randn({5, 3}), at::randn({5, 3})};
    at::Tensor p = at::randn({5, 3}), copy;
    OptimizerHandle whole = make(config, {p});
    whole.step({gradients[0]});
    whole.step({gradients[1]});
    copy = p.clone();
    OptimizerHandle resumed = make(config, {copy});
    resumed.load_group(0, whole.group_options(0));
    for (const auto& [parameter, values] : whole.save_state()) {
      for (const auto& [key, value] : values) resumed.load_state(parameter, key, value);
    }
    for (size_t step = 2; step < gradients.size(); ++step) {
      whole.step({gradients[step]});
      resumed.step({gradients[step]});
    }
    EXPECT_TRUE(at::equal(p, copy));
    EXPECT_TRUE(p.isfinite().all().item<bool>());
  }
}

TEST_F(OptimizersTest, RefusesStateThatDoesNotFit) {
  OptimizerHandle optimizer = make({{"name", "adam"}}, {at::ones({2, 3})});
  EXPECT_NE(error_of([&] { optimizer.load_state(0, "exp_avg", Value(at::zeros({3, 2}))); }).find("exp_avg"),
            std::string::npos);
  EXPECT_NE(error_of([&] { optimizer.load_state(0, "momentum_buffer", Value(at::zeros({2, 3}))); }).find("exp_avg_sq"),
            std::string::npos);
  EXPECT_FALSE(error_of([&] { optimizer.load_state(1, "exp_avg", Value(at::zeros({2, 3}))); }).empty());
  EXPECT_FALSE(error_of([&] { optimizer.load_state(0, "step", Value("three")); }).empty());
  optimizer.load_state(0, "step", Value(int64_t{3}));  // as PyTorch before 1.12
  EXPECT_FLOAT_EQ(optimizer.save_state().at(0).tensor("step").item<float>(), 3);
}

TEST_F(OptimizersTest, RefusesWhatItCannotWorkOn) {
  const at::Tensor p = at::ones({3});
  EXPECT_NE(error_of([&] { make({{"name", "adam"}}, {p, p}); }).find("more than one"), std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "adam"}}, {at::ones({3}, at::kLong)}); }).find("floating point"),
            std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "adam"}, {"capturable", true}}, {p}); }).find("capturable"),
            std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "adam"}, {"foreach", true}, {"fused", true}}, {p}); }).find("fused"),
            std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "sgd"}}, {p}, {{"lr", -1}}); }).find("learning rate"), std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "sgd"}}, {p}, {{"betas", 1}}); }).find("betas"), std::string::npos);
  EXPECT_NE(error_of([&] { make({{"name", "SGD"}}, {p}); }).find("sgd"), std::string::npos);
  OptimizerHandle optimizer = make({{"name", "torch.optim.AdamW"}}, {p});
  const at::Tensor sparse = at::sparse_coo_tensor(at::zeros({1, 1}, at::kLong), at::ones({1}), {3});
  EXPECT_NE(error_of([&] { optimizer.step({sparse}); }).find("sparse"), std::string::npos);
  EXPECT_NE(error_of([&] { optimizer.step({at::ones({4})}); }).find("does not fit"), std::string::npos);
  EXPECT_FALSE(error_of([&] { optimizer.step(std::vector<at::Tensor>()); }).empty());
}

// A NaN in the gradient reaches the parameter: training must not look healthy when it is not.
TEST_F(OptimizersTest, LetsNotANumberThrough) {
  for (const char* name :
       {"sgd", "adam", "adamax", "novograd", "adadelta", "rmsprop", "adan", "torch.optim.RAdam", "torch.optim.NAdam"}) {
    at::Tensor p = at::ones({33}), g = at::ones({33});
    g[20] = std::nan("");
    OptimizerHandle optimizer = make({{"name", name}}, {p});
    optimizer.step({g});
    EXPECT_TRUE(std::isnan(p[20].item<float>())) << name;
  }
}

// Without decay the parameter is not read, as in PyTorch: one that is no number stays out of the state.
TEST_F(OptimizersTest, KeepsTheParameterOutOfTheStateWithoutDecay) {
  for (const char* name : {"sgd", "adam", "adamax", "novograd", "adadelta", "rmsprop", "torch.optim.RAdam",
                           "torch.optim.NAdam", "torch.optim.ASGD"}) {
    at::Tensor p = at::ones({33});
    p[20] = std::nan("");
    Json config = {{"name", name}};
    if (std::string(name) == "sgd") config["momentum"] = 0.9;
    OptimizerHandle optimizer = make(config, {p});
    optimizer.step({at::ones({33})});
    const auto state = optimizer.save_state();
    for (const auto& [key, value] : state.at(0)) {
      if (key == "ax" || !value.is_tensor()) continue;  // ax averages the parameter
      EXPECT_FALSE(at::isnan(value.tensor()).any().item<bool>()) << name << ' ' << key;
    }
  }
}

// With a positive decay_rate the second moment may be negative; the root is not a number, and must not be hidden.
TEST_F(OptimizersTest, AdafactorTellsANegativeMoment) {
  at::Tensor p = at::zeros({2, 3}, at::kDouble);
  OptimizerHandle optimizer =
      make({{"name", "adafactor"}, {"lr", 0.01}, {"relative_step", false}, {"decay_rate", 0.8}}, {p});
  optimizer.step({at::ones({2, 3}, at::kDouble)});
  EXPECT_FALSE(at::isnan(p).any().item<bool>());
  optimizer.step({at::full({2, 3}, 1e-3, at::kDouble)});
  EXPECT_TRUE(at::isnan(p).all().item<bool>());
}

// One norm over both groups, summed and rooted in float32, with the eps of the last group.
TEST_F(OptimizersTest, AdanClipsAsNemoDoes) {
  at::Tensor p = at::zeros({40}, at::kDouble), q = at::zeros({3}, at::kDouble);
  OptimizerHandle optimizer = make({{"name", "adan"}, {"max_grad_norm", 0.5}}, {p}, {{"eps", 1e-8}});
  optimizer.add_group({{"q", q}}, {{"eps", 0.25}});
  const at::Tensor g = at::randn({40}, at::kDouble), h = at::randn({3}, at::kDouble);
  optimizer.step({g, h});
  const at::Tensor norm = at::zeros({1}).add_(g.pow(2).sum()).add_(h.pow(2).sum()).sqrt();
  const double clip = (at::scalar_tensor(0.5, at::kFloat) / (norm + 0.25)).clamp_max(1.0).item<double>();
  const auto state = optimizer.save_state();
  expect_close(state.at(0).find("exp_avg")->tensor(), g * clip * (1 - 0.98), 1e-16);
  expect_close(state.at(1).find("exp_avg")->tensor(), h * clip * (1 - 0.98), 1e-16);
  // A norm that is no number leaves nothing to take a step with.
  optimizer.step({g, h * std::nan("")});
  EXPECT_TRUE(at::isnan(p).all().item<bool>() && at::isnan(q).all().item<bool>());
}

TEST_F(OptimizersTest, MuonTakesMatricesAndAdamWTheRest) {
  const Json options = {{"lr", 0.02}, {"weight_decay", 0.1}, {"betas", {0.8, 0.9}}};
  Json muon_options = options, plain = {{"lr", 0.02}, {"weight_decay", 0.1}, {"adjust_lr_fn", "match_rms_adamw"}};
  muon_options["name"] = "muon";
  muon_options["adamw_eps"] = 1e-6;
  plain["_target_"] = "torch.optim.Muon";
  Json adamw_options = options;
  adamw_options["name"] = "adamw";
  adamw_options["eps"] = 1e-6;
  const Tensors start = {at::randn({4, 6}), at::randn({5}), at::randn({3, 2, 2}), at::randn({4, 4})};
  const auto copy = [&](std::initializer_list<size_t> which) {
    Tensors out;
    for (const size_t i : which) out.push_back(start[i].clone());
    return out;
  };
  Tensors all = copy({0, 1, 2, 3}), matrices = copy({0, 3}), others = copy({1, 2});
  OptimizerHandle both = make(muon_options, all), muon = make(plain, matrices), adamw = make(adamw_options, others);
  for (int step = 0; step < 4; ++step) {
    const Tensors g = {at::randn({4, 6}), at::randn({5}), at::randn({3, 2, 2}), at::randn({4, 4})};
    both.step(g);
    muon.step({g[0], g[3]});
    adamw.step({g[1], g[2]});
  }
  expect_close(all[0], matrices[0], 0);
  expect_close(all[3], matrices[1], 0);
  expect_close(all[1], others[0], 0);
  expect_close(all[2], others[1], 0);
  // A parameter's state is that of what updates it, and goes round.
  const auto state = both.save_state();
  EXPECT_TRUE(state.at(0).find("momentum_buffer") != nullptr && state.at(0).find("exp_avg") == nullptr);
  EXPECT_TRUE(state.at(1).find("momentum_buffer") == nullptr && state.at(1).find("exp_avg") != nullptr);
  Tensors again;
  for (const at::Tensor& p : all) again.push_back(p.clone());
  OptimizerHandle resumed = make(muon_options, again);
  for (const auto& [index, values] : state) {
    for (const auto& [name, value] : values) resumed.load_state(index, name, value);
  }
  const Tensors g = {at::randn({4, 6}), at::randn({5}), at::randn({3, 2, 2}), at::randn({4, 4})};
  both.step(g);
  resumed.step(g);
  for (size_t i = 0; i < all.size(); ++i) expect_close(again[i], all[i], 0);
  // A group may leave its matrices to AdamW.
  Tensors embedding = copy({0}), twin = copy({0});
  OptimizerHandle off = make(muon_options, embedding, {{"use_muon", false}}), adam = make(adamw_options, twin);
  off.step({g[0]});
  adam.step({g[0]});
  expect_close(embedding[0], twin[0], 0);
  EXPECT_NE(error_of([&] { make(plain, {at::zeros({3})}); }).find("muon"), std::string::npos);
}

TEST_F(OptimizersTest, BadValuesAreToldByTheirKey) {
  const struct {
    Json config;
    const char *key, *seen;
  } cases[] = {{{{"name", "adam"}, {"lr", -0.5}}, "at: model.optim.lr", "seen: -0.5"},
               {{{"name", "sgd"}, {"eps", -1}}, "at: model.optim.eps", "seen: -1"},
               {{{"name", "adamw"}, {"eps", -1e-8}}, "at: model.optim.eps", "seen: -1e-08"},
               {{{"name", "novograd"}, {"betas", {0.5, 1.0}}}, "at: model.optim.betas[1]", "seen: 1.0"},
               {{{"name", "adam"}, {"betas", {-0.1, 0.9}}}, "at: model.optim.betas[0]", "seen: -0.1"},
               {{{"name", "rprop"}, {"etas", {2, 3}}}, "at: model.optim.etas", "seen: [2.0,3.0]"},
               {{{"name", "sgd"}, {"nesterov", true}}, "at: model.optim.nesterov", "momentum 0.0"},
               {{{"name", "adam"}, {"weigth_decay", 1}}, "at: model.optim.weigth_decay", "did you mean: weight_decay"}};
  for (const auto& bad : cases) {
    const std::string error = error_of([&] { make(bad.config, {at::zeros({2})}); });
    EXPECT_NE(error.find(bad.key), std::string::npos) << error;
    EXPECT_NE(error.find(bad.seen), std::string::npos) << error;
    // The same in a group of its own.
    Json overrides = bad.config;
    overrides.erase("name");
    const std::string in_group = error_of([&] { make({{"name", bad.config["name"]}}, {at::zeros({2})}, overrides); });
    EXPECT_NE(in_group.find(bad.key), std::string::npos) << in_group;
  }
}

}  // namespace
}  // namespace fathom
