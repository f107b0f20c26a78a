// Microseconds of one optimizer step, one thread, measured in turn: ours through the plugin's table, torch::optim or
// the plain loop over tensors, the least the memory allows, and, where FATHOM_PYTHON (default python3) has torch,
// torch.optim with fused=True and with foreach=True.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/plugins/host_table.h"
#include "fathom/optimizer.h"
#include "tests/bench/measure.h"
#include "tests/bench/python_peer.h"

namespace {

using namespace fathom;  // NOLINT

using Step = std::function<void()>;
using Tensors = std::vector<at::Tensor>;

struct Problem {
  std::string name;
  std::vector<std::vector<int64_t>> shapes;
};

// The parameters of QuartzNet 15x5 (arXiv:1910.10261): a prologue, 5 x 3 blocks of 5 separable convolutions with a
// residual branch, an epilogue, a decoder.
std::vector<std::vector<int64_t>> quartznet_shapes() {
  std::vector<std::vector<int64_t>> shapes;
  const auto separable = [&](int64_t in, int64_t out, int64_t kernel) {
    shapes.insert(shapes.end(), {{in, 1, kernel}, {out, in, 1}, {out}, {out}});
  };
  separable(64, 256, 33);
  int64_t channels = 256;
  constexpr std::pair<int64_t, int64_t> kBlocks[] = {{256, 33}, {256, 39}, {512, 51}, {512, 63}, {512, 75}};
  for (const auto& [filters, kernel] : kBlocks) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      const int64_t in = channels;
      for (int i = 0; i < 5; ++i) {
        separable(channels, filters, kernel);
        channels = filters;
      }
      shapes.insert(shapes.end(), {{filters, in, 1}, {filters}, {filters}});
    }
  }
  separable(512, 512, 87);
  shapes.insert(shapes.end(), {{1024, 512, 1}, {1024}, {1024}, {29, 1024, 1}, {29}});
  return shapes;
}

Tensors make(const Problem& problem, bool gradients) {
  at::manual_seed(7);
  Tensors out;
  for (const auto& shape : problem.shapes) {
    out.push_back(at::randn(shape));
    if (gradients) {
      out.back().set_requires_grad(true);
      out.back().mutable_grad() = at::randn(shape);
    }
  }
  return out;
}

// --- the plain loops, one tensor after another

struct Plain {
  Tensors parameters = {}, gradients = {};
  std::vector<std::map<std::string, at::Tensor>> state = {};
  int64_t t = 0;
  explicit Plain(Tensors given) : parameters(std::move(given)), state(parameters.size()) {
    for (const auto& p : parameters) gradients.push_back(p.grad());
  }
  at::Tensor& at(size_t i, const char* name, const at::Tensor& like) {
    at::Tensor& value = state[i][name];
    if (!value.defined()) value = at::zeros_like(like);
    return value;
  }
};

void plain_adamax(Plain& s) {
  const double lr = 2e-3, b1 = 0.9, b2 = 0.999, eps = 1e-8;
  ++s.t;
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const at::Tensor &p = s.parameters[i], &g = s.gradients[i];
    at::Tensor &m = s.at(i, "m", p), &u = s.at(i, "u", p);
    m.mul_(b1).add_(g, 1 - b1);
    at::maximum_out(u, u.mul(b2), g.abs().add_(eps));
    p.addcdiv_(m, u, -lr / (1 - std::pow(b1, s.t)));
  }
}

void plain_novograd(Plain& s) {
  const double lr = 1e-3, b1 = 0.95, b2 = 0.98, eps = 1e-8;
  ++s.t;
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const at::Tensor &p = s.parameters[i], &g = s.gradients[i];
    at::Tensor& m = s.at(i, "m", p);
    at::Tensor& v = s.state[i]["v"];
    const at::Tensor norm = g.pow(2).sum();
    if (s.t == 1)
      v = norm;
    else
      v.mul_(b2).add_(norm, 1 - b2);
    m.mul_(b1).add_(g / (v.sqrt() + eps));
    p.add_(m, -lr);
  }
}

void plain_lamb(Plain& s) {
  const double lr = 1e-3, b1 = 0.9, b2 = 0.999, eps = 1e-6, decay = 0.01, limit = 1;
  ++s.t;
  Tensors norms;
  for (const auto& g : s.gradients) norms.push_back(g.norm());
  const double clip = std::max(1.0, at::stack(norms).norm().item<double>() / limit);
  const double correction1 = 1 - std::pow(b1, s.t), correction2 = 1 - std::pow(b2, s.t);
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const at::Tensor &p = s.parameters[i], g = s.gradients[i] / clip;
    at::Tensor &m = s.at(i, "m", p), &v = s.at(i, "v", p);
    m.mul_(b1).add_(g, 1 - b1);
    v.mul_(b2).addcmul_(g, g, 1 - b2);
    const at::Tensor update = (m / correction1).div_((v / correction2).sqrt_().add_(eps)).add_(p, decay);
    const at::Tensor trust = p.norm() / update.norm();
    p.sub_(update * (trust * lr));
  }
}

void plain_adafactor(Plain& s) {
  const double eps = 1e-30, clip = 1.0;
  ++s.t;
  const double b2 = 1 - std::pow(static_cast<double>(s.t), -0.8), rate = std::min(1e-2, 1 / std::sqrt(s.t));
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const at::Tensor &p = s.parameters[i], &g = s.gradients[i];
    at::Tensor update = g.pow(2).add_(eps);
    if (p.dim() >= 2) {
      at::Tensor &row = s.at(i, "row", update.mean(-1)), &column = s.at(i, "column", update.mean(-2));
      row.mul_(b2).add_(update.mean(-1), 1 - b2);
      column.mul_(b2).add_(update.mean(-2), 1 - b2);
      update = (row / row.mean(-1, true)).rsqrt_().unsqueeze(-1) * column.unsqueeze(-2).rsqrt() * g;
    } else {
      at::Tensor& v = s.at(i, "v", p);
      v.mul_(b2).add_(update, 1 - b2);
      update = v.rsqrt().mul_(g);
    }
    const double rms = update.norm().item<double>() / std::sqrt(static_cast<double>(update.numel()));
    const double scale = std::max(1e-3, p.norm().item<double>() / std::sqrt(static_cast<double>(p.numel())));
    p.add_(update, -rate * scale / std::max(1.0, rms / clip));
  }
}

// --- who is compared with whom

struct Contest {
  const char* name;
  Json options;
  std::function<Step(const Tensors&)> peer;
  const char* peer_name;
  int states = 0;  // of a parameter's size, read and written each step; 0: not told
};

// The least time for the memory that a step must move: parameters and `states` read and written, gradients read, and
// one addition each.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3"))) void touch(
    float* __restrict p, float* __restrict a, float* __restrict b, const float* __restrict g, int64_t count) {
  if (b == nullptr) {
    for (int64_t i = 0; i < count; ++i) a[i] += g[i], p[i] += a[i];
  } else {
    for (int64_t i = 0; i < count; ++i) a[i] += g[i], b[i] += g[i], p[i] += a[i] + b[i];
  }
}
Step memory_floor(const Tensors& parameters, int states) {
  Tensors first, second;
  for (const auto& p : parameters) {
    first.push_back(at::zeros_like(p));
    if (states > 1) second.push_back(at::zeros_like(p));
  }
  return [=] {
    for (size_t i = 0; i < parameters.size(); ++i) {
      touch(parameters[i].data_ptr<float>(), first[i].mutable_data_ptr<float>(),
            states > 1 ? second[i].mutable_data_ptr<float>() : nullptr, parameters[i].grad().const_data_ptr<float>(),
            parameters[i].numel());
    }
  };
}

template <typename Optimizer, typename Options>
std::function<Step(const Tensors&)> torch_optim(Options options) {
  return [options](const Tensors& parameters) -> Step {
    auto optimizer = std::make_shared<Optimizer>(parameters, options);
    return [optimizer] { optimizer->step(); };
  };
}
std::function<Step(const Tensors&)> plain_loop(void (*step)(Plain&)) {
  return [step](const Tensors& parameters) -> Step {
    auto state = std::make_shared<Plain>(parameters);
    return [state, step] {
      const at::NoGradGuard no_grad;
      step(*state);
    };
  };
}

std::vector<Contest> contests() {
  using namespace torch::optim;  // NOLINT
  return {
      {"sgd", {{"lr", 0.01}, {"momentum", 0.9}}, torch_optim<SGD>(SGDOptions(0.01).momentum(0.9)), "torch::optim", 1},
      {"adam", {{"lr", 1e-3}}, torch_optim<Adam>(AdamOptions(1e-3)), "torch::optim", 2},
      {"adamw", {{"lr", 1e-3}}, torch_optim<AdamW>(AdamWOptions(1e-3)), "torch::optim", 2},
      {"adagrad", {{"lr", 1e-2}}, torch_optim<Adagrad>(AdagradOptions(1e-2)), "torch::optim", 1},
      {"rmsprop", {{"lr", 1e-2}}, torch_optim<RMSprop>(RMSpropOptions(1e-2)), "torch::optim", 1},
      {"adamax", {{"lr", 2e-3}}, plain_loop(plain_adamax), "plain loop", 2},
      {"novograd", {{"lr", 1e-3}}, plain_loop(plain_novograd), "plain loop", 1},
      {"lamb", {{"lr", 1e-3}, {"weight_decay", 0.01}}, plain_loop(plain_lamb), "plain loop", 2},
      {"adafactor", Json::object(), plain_loop(plain_adafactor), "plain loop"},
  };
}

// Microseconds of a step, over as many as take 20 ms.
std::function<double()> timed(const Step& step) {
  step();
  step();
  const int repeats = std::max(1, static_cast<int>(0.02 / std::max(bench::seconds_of(step), 1e-7)));
  return [step, repeats] {
    return bench::seconds_of([&] {
             for (int i = 0; i < repeats; ++i) step();
           }) /
           repeats * 1e6;
  };
}

void run(const Contest& contest, const Problem& problem, bench::PythonPeer& python, const Json& python_has) {
  const Tensors mine = make(problem, true);
  Json section = contest.options;
  section["name"] = contest.name;
  OptimizerHandle optimizer = make_optimizer(section, "optim");
  std::vector<std::pair<std::string, at::Tensor>> named;
  Tensors gradients;
  for (const auto& p : mine) {
    named.emplace_back("p" + std::to_string(named.size()), p);
    gradients.push_back(p.grad());
  }
  optimizer.add_group(named, Json::object());

  std::vector<std::string> names = {"ours", "peer"};
  std::vector<std::function<double()>> runs = {timed([&] { optimizer.step(gradients); }),
                                               timed(contest.peer(make(problem, true)))};
  if (contest.states > 0) {
    names.emplace_back("memory floor");
    runs.push_back(timed(memory_floor(make(problem, true), contest.states)));
  }
  for (const char* way : {"fused", "foreach"}) {
    if (std::find(python_has.begin(), python_has.end(), Json::array({contest.name, way})) == python_has.end()) continue;
    names.push_back(std::string("torch.optim ") + way);
    const std::string question = json_text(Json::array({contest.name, way, problem.name}));
    runs.emplace_back([&python, question] { return std::stod(python.ask(question)); });
  }
  const std::vector<double> us = bench::in_turn(runs);
  nlohmann::ordered_json extra = nlohmann::ordered_json::object();
  for (size_t i = 2; i < us.size(); ++i) {
    extra[names[i]] = us[i];
    if (const size_t space = names[i].find("optim "); space != std::string::npos)
      extra["ratio " + names[i].substr(space + 6)] = us[i] / us[0];
  }
  bench::report("optim", std::string(contest.name) + ", " + problem.name, us[0], us[1], contest.peer_name, "us/step",
                true, extra);
}

// What the boundary costs: a step of one number through the plugin's table, and the same kernel called directly.
void run_boundary() {
  const at::Tensor mine = at::zeros({1}), gradient = at::ones({1});
  OptimizerHandle handle = make_optimizer({{"name", "adam"}, {"lr", 1e-3}}, "optim");
  handle.add_group({{"p", mine}}, Json::object());
  const Tensors gradients{gradient}, theirs{at::zeros({1})}, mean{at::zeros({1})}, square{at::zeros({1})}, none;
  const Tensors steps{at::ones({})};
  constexpr int kSteps = 100000;
  const auto timed = bench::alternate(
      [&] {
        for (int i = 0; i < kSteps; ++i) handle.step(gradients);
      },
      [&] {
        const at::NoGradGuard no_grad;
        for (int i = 0; i < kSteps; ++i)
          at::_fused_adam_(theirs, gradients, mean, square, none, steps, 1e-3, 0.9, 0.999, 0, 1e-8, false, false);
      });
  const double ours = timed.ours / kSteps * 1e6, direct = timed.peer / kSteps * 1e6;
  bench::report("optim", "adam, one number, through the plugin boundary", ours, direct, "at::_fused_adam_ directly",
                "us/step", true, {{"overhead_us", ours - direct}});
}

}  // namespace

int main() {
  at::set_num_threads(1);
  host_slot() = plugins::host_table();
  const std::vector<Problem> problems = {{"100 x 10000", std::vector<std::vector<int64_t>>(100, {10000})},
                                         {"100 x 64", std::vector<std::vector<int64_t>>(100, {64})},
                                         {"QuartzNet 15x5", quartznet_shapes()}};
  run_boundary();
  bench::PythonPeer python(FATHOM_SOURCE_DIR "/tests/bench/bench_optim.py");
  if (!python.answers()) {
    std::fprintf(stderr, "bench optim: %s has no torch (set FATHOM_PYTHON): torch.optim is left out\n",
                 python.python().c_str());
  }
  const Json python_has = python.answers() ? parse_text(python.greeting()) : Json::array();
  for (const auto& contest : contests()) {
    for (const auto& problem : problems) run(contest, problem, python, python_has);
  }
  return 0;
}
