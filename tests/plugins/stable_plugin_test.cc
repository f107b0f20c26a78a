// The plugin on libtorch's stable ABI beside its C++ twin: stable_adamw and adamw, both from their shared libraries.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/text.h"
#include "core/plugins/registry.h"
#include "fathom/optimizer.h"
#include "tests/e2e/process.h"
#include "tests/support/error_of.h"

namespace fathom {
namespace {

using ::testing::HasSubstr;

class StablePlugin : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    plugins::registry().use_search_path({});
    plugins::registry().add_plugin_dir(FATHOM_BINARY_DIR "/lib/fathom/plugins");
  }
  void SetUp() override { at::manual_seed(11); }

  static OptimizerHandle make(const char* name, const Json& options, const std::vector<at::Tensor>& parameters) {
    Json section = {{"name", name}};
    section.update(options);
    OptimizerHandle optimizer = make_optimizer(section, "model.optim");
    std::vector<std::pair<std::string, at::Tensor>> named;
    for (const at::Tensor& p : parameters) named.emplace_back("p" + std::to_string(named.size()), p);
    optimizer.add_group(named);
    return optimizer;
  }
  static std::vector<at::Tensor> tensors(at::ScalarType type) {
    std::vector<at::Tensor> out;
    for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{1}, {7}, {3, 5}, {2, 3, 33}, {}, {0}})
      out.push_back(at::randn(shape, type));
    return out;
  }
  static std::vector<at::Tensor> copies(const std::vector<at::Tensor>& all) {
    std::vector<at::Tensor> out;
    for (const at::Tensor& t : all) out.push_back(t.clone().requires_grad_(true));
    return out;
  }
  static double difference(const at::Tensor& a, const at::Tensor& b) {
    if (a.numel() == 0) return 0;
    return ((a - b).abs() / b.abs().clamp_min(1)).max().item<double>();
  }
};

TEST_F(StablePlugin, TakesTheStepsOfItsTwin) {
  const struct {
    at::ScalarType type;
    double tolerance;
  } types[] = {{at::kFloat, 1e-6}, {at::kDouble, 1e-12}};
  for (const auto& [type, tolerance] : types) {
    for (const Json& options : {Json::object(), Json{{"amsgrad", true}, {"weight_decay", 0.3}, {"lr", 0.05}},
                                Json{{"maximize", true}, {"betas", {0.5, 0.75}}, {"eps", 1e-3}}}) {
      const auto start = tensors(type);
      const auto ours = copies(start), theirs = copies(start);
      OptimizerHandle stable = make("stable_adamw", options, ours), cxx = make("adamw", options, theirs);
      for (int step = 0; step < 7; ++step) {
        auto gradients = tensors(type);
        if (step % 2 == 1) gradients[1] = at::Tensor();                                // none in this step
        gradients[2] = at::randn({5, 3}, type).t();                                    // not contiguous
        if (step == 3) stable.set_option(0, "lr", 0.5), cxx.set_option(0, "lr", 0.5);  // as a schedule does
        stable.step(gradients);
        cxx.step(gradients);
      }
      for (size_t i = 0; i < start.size(); ++i) EXPECT_LE(difference(ours[i], theirs[i]), tolerance) << options << i;
      // Values, state and options are the same under the same names.
      const auto ours_state = stable.save_state(), theirs_state = cxx.save_state();
      ASSERT_EQ(ours_state.size(), theirs_state.size());
      for (const auto& [index, values] : theirs_state) {
        for (const auto& [name, value] : values)
          EXPECT_LE(difference(ours_state.at(index).tensor(name), value.tensor()), tolerance) << name;
      }
      const Json group = stable.group_options(0), twins = cxx.group_options(0);
      for (const auto& [key, value] : group.items()) EXPECT_EQ(value, twins[key]) << key;
    }
  }
}

TEST_F(StablePlugin, GoesOnFromItsTwinsState) {
  const auto start = tensors(at::kDouble);
  const auto theirs = copies(start), ours = copies(start);
  OptimizerHandle cxx = make("adamw", {{"lr", 0.1}}, theirs);
  for (int step = 0; step < 3; ++step) cxx.step(tensors(at::kDouble));
  for (size_t i = 0; i < ours.size(); ++i) ours[i].detach().copy_(theirs[i].detach());
  OptimizerHandle stable = make("stable_adamw", {{"lr", 0.5}}, ours);
  const auto state = cxx.save_state();
  for (const auto& [index, values] : state) {
    for (const auto& [name, value] : values) stable.load_state(index, name, value);
  }
  stable.load_group(0, cxx.group_options(0));
  const auto gradients = tensors(at::kDouble);
  cxx.step(gradients);
  stable.step(gradients);
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_LE(difference(ours[i], theirs[i]), 1e-12);
  // Counts that PyTorch once kept as numbers.
  stable.load_state(0, "step", Value(int64_t{9}));
  EXPECT_EQ(stable.save_state().at(0).tensor("step").item<float>(), 9);
}

TEST_F(StablePlugin, RefusesWhatItsTwinRefuses) {
  at::Tensor p = at::zeros({2, 2});
  EXPECT_THAT(error_of([&] { make("stable_adamw", {{"lr", -1}}, {p}); }), HasSubstr("at: model.optim.lr"));
  EXPECT_THAT(error_of([&] { make("stable_adamw", {{"betas", {0.9, 1.0}}}, {p}); }),
              HasSubstr("at: model.optim.betas[1]"));
  EXPECT_THAT(error_of([&] { make("stable_adamw", {{"momentum", 1}}, {p}); }), HasSubstr("momentum"));
  EXPECT_THAT(error_of([&] { make("stable_adamw", Json::object(), {p, p}); }), HasSubstr("more than one"));
  EXPECT_THAT(error_of([&] { make("stable_adamw", Json::object(), {at::zeros({2, 3}).t()}); }),
              HasSubstr("contiguous"));
  EXPECT_THAT(error_of([&] { make("stable_adamw", Json::object(), {p.to(at::kBFloat16)}); }), HasSubstr("float32"));
  OptimizerHandle optimizer = make("stable_adamw", Json::object(), {p});
  EXPECT_THAT(error_of([&] { optimizer.step({p.to_sparse()}); }), HasSubstr("sparse"));
  EXPECT_THAT(error_of([&] { optimizer.step({at::zeros({4})}); }), HasSubstr("shape [4]"));
  EXPECT_THAT(error_of([&] { optimizer.load_state(0, "exp_avg", Value(at::zeros({3}))); }), HasSubstr("shape [3]"));
  EXPECT_THAT(error_of([&] { optimizer.load_state(0, "exp_agv", Value(p)); }), HasSubstr("exp_avg_sq"));
  EXPECT_THAT(error_of([&] { optimizer.load_state(1, "exp_avg", Value(p)); }), HasSubstr("parameter 1 of 1"));
  EXPECT_TRUE(at::equal(p, at::zeros({2, 2})));
}

// That it is what it says: no symbol of libtorch's C++ interface.
TEST_F(StablePlugin, NeedsOnlyTheCInterface) {
  const auto symbols = e2e::run({"nm", "-DCu", FATHOM_BINARY_DIR "/lib/fathom/plugins/stable_optimizers.so"});
  ASSERT_EQ(symbols.status, 0) << symbols.err;
  EXPECT_THAT(symbols.out, HasSubstr("aoti_torch_"));
  for (const char* cxx : {"at::", "c10::", "torch::"})
    EXPECT_EQ(symbols.out.find(cxx), std::string::npos) << cxx << " in\n" << symbols.out;
}

}  // namespace
}  // namespace fathom
