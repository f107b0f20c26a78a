#include "core/training/grad_scaler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "fathom/error.h"

namespace fathom::training {
namespace {

NamedTensors parameter_with(const at::Tensor& gradient) {
  at::Tensor parameter = at::zeros_like(gradient).set_requires_grad(true);
  parameter.mutable_grad() = gradient;
  return {{"w", parameter}};
}

// The numbers are those of torch.amp.GradScaler("cpu", init_scale=8, growth_interval=2) with the same gradients.
TEST(GradScaler, ScalesUnscalesGrowsAndBacksOff) {
  GradScalerOptions options;
  options.init_scale = 8;
  options.growth_interval = 2;
  GradScaler scaler(options);
  const at::Tensor loss = at::full({}, 3.0f).set_requires_grad(true);
  scaler.scale_loss(loss).backward();
  EXPECT_EQ(loss.grad().item<float>(), 8);

  struct Step {
    float gradient;
    bool finite;
    double scale_after;
  };
  constexpr float inf = std::numeric_limits<float>::infinity();
  const Step steps[] = {{24, true, 8},    {24, true, 16},  {32, true, 16}, {inf, false, 8},
                        {-inf, false, 4}, {NAN, false, 2}, {6, true, 2},   {6, true, 4}};
  for (const Step& step : steps) {
    const double scale = scaler.scale();
    const NamedTensors parameters = parameter_with(at::tensor({1.0f, step.gradient}));
    EXPECT_EQ(scaler.unscale(parameters), step.finite) << step.gradient;
    if (step.finite) EXPECT_EQ(parameters[0].second.grad()[1].item<double>(), step.gradient / scale);
    scaler.update(step.finite);
    EXPECT_EQ(scaler.scale(), step.scale_after) << step.gradient;
  }
}

TEST(GradScaler, StateIsPyTorchsAndGoesRound) {
  GradScalerOptions options;
  options.init_scale = 8;
  options.growth_interval = 3;
  GradScaler scaler(options);
  scaler.update(true);
  scaler.update(true);
  const auto state = scaler.state();
  EXPECT_EQ(state.at("scale").as_double(), 8);
  EXPECT_EQ(state.at("growth_factor").as_double(), 2);
  EXPECT_EQ(state.at("backoff_factor").as_double(), 0.5);
  EXPECT_EQ(state.at("growth_interval").as_int(), 3);
  EXPECT_EQ(state.at("_growth_tracker").as_int(), 2);
  GradScaler other{GradScalerOptions()};
  other.load_state(state, "x.ckpt");
  other.update(true);
  EXPECT_EQ(other.scale(), 16) << "the third finite step in a row";
}

TEST(GradScaler, DisabledItDoesNothing) {
  GradScalerOptions options;
  options.enabled = false;
  GradScaler scaler(options);
  const NamedTensors parameters = parameter_with(at::tensor({std::numeric_limits<float>::infinity()}));
  EXPECT_TRUE(scaler.unscale(parameters));
  EXPECT_EQ(scaler.scale(), 1);
  EXPECT_TRUE(scaler.state().as_dict().empty());
  GradScaler enabled{GradScalerOptions()};
  EXPECT_THROW(enabled.load_state(scaler.state(), "x.ckpt"), Error);
}

TEST(Gradients, FiniteOnesWhoseSumOverflowsAreFinite) {
  constexpr float largest = std::numeric_limits<float>::max();
  EXPECT_TRUE(gradients_are_finite(parameter_with(at::tensor({largest, largest}))));
  EXPECT_TRUE(gradients_are_finite(parameter_with(at::zeros({3}))));
  EXPECT_FALSE(gradients_are_finite(parameter_with(at::tensor({0.0f, NAN, 1.0f}))));
  EXPECT_FALSE(gradients_are_finite(parameter_with(at::tensor({HUGE_VALF, -HUGE_VALF}))));
}

}  // namespace
}  // namespace fathom::training
