#include "core/training/parameter_groups.h"

#include <gmock/gmock.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

namespace fathom::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Part final : public torch::nn::Module {
 public:
  Part() {
    register_module("0", torch::nn::Linear(2, 2));
    register_module("1", torch::nn::BatchNorm1d(2));
  }
};
class Net final : public torch::nn::Module {
 public:
  Net() {
    register_module("encoder", std::make_shared<Part>());
    register_module("decoder", std::make_shared<Part>());
    register_parameter("scale", torch::ones(1));
  }
};

std::vector<ParameterGroup> groups(const Json& sections, const Json& no_decay) {
  return parameter_groups(Net(), sections, "model.optim_param_groups", no_decay, "model.optim.no_decay");
}
std::vector<std::string> names(const ParameterGroup& group) {
  std::vector<std::string> out;
  for (const auto& [name, parameter] : group.members) out.push_back(name);
  return out;
}
std::string refusal(const Json& sections, const Json& no_decay) {
  try {
    groups(sections, no_decay);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ParameterGroups, OneWithoutAnySection) {
  const auto made = groups(nullptr, nullptr);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].members.size(), 9u);
  EXPECT_EQ(made[0].options, Json::object());
}

TEST(ParameterGroups, NormsAreKnownByTheirModuleAndBiasesByTheirName) {
  const auto made = groups(nullptr, {"bias", "norm"});
  ASSERT_EQ(made.size(), 2u);
  EXPECT_THAT(names(made[0]), ElementsAre("scale", "encoder.0.weight", "decoder.0.weight"));
  EXPECT_THAT(names(made[1]), ElementsAre("encoder.0.bias", "encoder.1.weight", "encoder.1.bias", "decoder.0.bias",
                                          "decoder.1.weight", "decoder.1.bias"));
  EXPECT_EQ(made[1].options, (Json{{"weight_decay", 0.0}}));
}

TEST(ParameterGroups, EachModulesGroupIsDividedAndKeepsItsOptions) {
  const auto made = groups({{"decoder", {{"lr", 0.5}, {"weight_decay", 0.25}}}}, {"bias", "sc*e", "decoder.1.*"});
  ASSERT_EQ(made.size(), 4u);
  EXPECT_THAT(names(made[0]), ElementsAre("encoder.0.weight", "encoder.1.weight"));
  EXPECT_THAT(names(made[1]), ElementsAre("scale", "encoder.0.bias", "encoder.1.bias"));
  EXPECT_THAT(names(made[2]), ElementsAre("decoder.0.weight"));
  EXPECT_THAT(names(made[3]), ElementsAre("decoder.0.bias", "decoder.1.weight", "decoder.1.bias"));
  EXPECT_EQ(made[2].options, (Json{{"lr", 0.5}, {"weight_decay", 0.25}}));
  EXPECT_EQ(made[3].options, (Json{{"lr", 0.5}, {"weight_decay", 0.0}}));
}

TEST(ParameterGroups, BadOnesAreRefusedByTheirKey) {
  EXPECT_THAT(refusal({{"decodr", {{"lr", 1}}}}, nullptr), HasSubstr("decodr not found in model."));
  EXPECT_THAT(refusal({{"decodr", {{"lr", 1}}}}, nullptr), HasSubstr("encoder, decoder"));
  EXPECT_THAT(refusal(nullptr, {"bais"}), HasSubstr("at: model.optim.no_decay"));
  EXPECT_THAT(refusal(nullptr, {"bais"}), HasSubstr("encoder.0.weight"));
  EXPECT_THAT(refusal(nullptr, 3), HasSubstr("list of patterns"));
  EXPECT_THAT(refusal(nullptr, {1}), HasSubstr("list of patterns"));
}

}  // namespace
}  // namespace fathom::training
