#include "plugins/asr/models/transducer_gradients.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "fathom/error.h"

namespace fathom::asr {
namespace {

// Encoder, prediction and joint network, each with gradients of twos.
struct Networks : torch::nn::Module {
  Networks() {
    for (const char* name : {"encoder", "decoder", "joint"}) {
      const auto layer = register_module(name, torch::nn::Linear(3, 4));
      for (at::Tensor& parameter : layer->parameters()) parameter.mutable_grad() = at::full_like(parameter, 2);
    }
  }
  at::Tensor gradient(const char* child) { return named_children()[child]->named_parameters()["weight"].grad(); }
};

Networks changed(const Json& section, int64_t step = 0) {
  Networks networks;
  TransducerGradients gradients(section, "model.variational_noise");
  gradients.set_lengths(/*most_frames=*/8, /*most_tokens=*/4);
  gradients.change(networks, step);
  return networks;
}
void expect_all(const at::Tensor& gradient, double value) {
  EXPECT_TRUE(at::allclose(gradient, at::full_like(gradient, value))) << gradient;
}

TEST(TransducerGradients, NothingIsAskedAndNothingChanges) {
  Networks networks = changed(Json::object());
  for (const char* child : {"encoder", "decoder", "joint"}) expect_all(networks.gradient(child), 2);
}

TEST(TransducerGradients, LengthsAndNorms) {
  Networks lengths = changed({{"normalize_joint_txu", true}});
  expect_all(lengths.gradient("encoder"), 2.0 / 4);
  expect_all(lengths.gradient("decoder"), 2.0 / 8);
  expect_all(lengths.gradient("joint"), 2);
  Networks norms = changed({{"normalize_decoder_norm", true}, {"normalize_joint_norm", true}});
  expect_all(norms.gradient("encoder"), 2);
  expect_all(norms.gradient("decoder"), 1 / std::sqrt(12.0));
  expect_all(norms.gradient("joint"), 1 / std::sqrt(12.0));
  // What has no gradient has no direction.
  Networks zeros;
  zeros.gradient("encoder").zero_();
  TransducerGradients({{"normalize_encoder_norm", true}}, "").change(zeros, 0);
  expect_all(zeros.gradient("encoder"), 0);
}

TEST(TransducerGradients, NoiseIsOnThePredictionNetworkFromItsStep) {
  const Json noise = {{"variational_noise", {{"std", 0.5}, {"start_step", 10}}}};
  expect_all(changed(noise, 9).gradient("decoder"), 2);
  at::manual_seed(1);
  Networks noisy = changed(noise, 10);
  expect_all(noisy.gradient("encoder"), 2);
  const double spread = (noisy.gradient("decoder") - 2).std().item<double>();
  EXPECT_GT(spread, 0.2);
  EXPECT_LT(spread, 0.9);
  EXPECT_THROW(changed({{"variational_noise", {{"std", -1}}}}), Error);
  EXPECT_THROW(changed({{"variational_noise", 3}}), Error);
}

}  // namespace
}  // namespace fathom::asr
