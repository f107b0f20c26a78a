#include "core/training/freezing.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "fathom/module.h"

namespace fathom::training {
namespace {

class Layers final : public NeuralModule {
 public:
  explicit Layers(bool with_children) {
    register_module("linear", torch::nn::Linear(2, 2));
    if (!with_children) return;
    register_module("encoder", std::make_shared<Layers>(false));
    register_module("decoder", std::make_shared<Layers>(false));
  }
  Values forward(const Values&) override { return {}; }
};

constexpr const char* kPath = "model.freeze_updates";
const std::vector<std::string> kTyped = {"encoder", "decoder"};
Json section(const Json& modules) { return {{"enabled", true}, {"modules", modules}}; }

// The error of the check, which must also be that of a training within its first ten steps.
Error refusal(const Json& section) {
  const auto model = std::make_shared<Layers>(true);
  DynamicFreezing freezing(section, kPath, kTyped);
  EXPECT_THROW(
      {
        freezing.start();
        for (int64_t step = 0; step < 10; ++step) freezing.before_batch(*model, step);
      },
      Error)
      << json_text(section);
  try {
    check_freeze_updates(section, *model, kTyped, kPath);
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kInternal, "not refused");
}

TEST(FreezeUpdates, NamesTheNearestModule) {
  const Error error = refusal(section({{"encodr", 2}}));
  EXPECT_EQ(error.where(), "model.freeze_updates.modules.encodr");
  EXPECT_EQ(error.seen(), "encodr");
  EXPECT_EQ(error.candidates(), "encoder");
  EXPECT_NE(error.expected().find("encoder, decoder"), std::string::npos);
  EXPECT_FALSE(error.next().empty());
}

TEST(FreezeUpdates, RefusesWhatCannotBeFrozenByName) {
  EXPECT_EQ(refusal(section({{"linear", 2}})).where(), "model.freeze_updates.modules.linear");
  EXPECT_EQ(refusal(section({{"encoder.linear", 2}})).seen(), "encoder.linear");
}

TEST(FreezeUpdates, RefusesStepsThatAreNone) {
  EXPECT_EQ(refusal(section({{"encoder", "2"}})).seen(), "\"2\"");
  EXPECT_EQ(refusal(section({{"encoder", nullptr}})).where(), "model.freeze_updates.modules.encoder");
  EXPECT_EQ(refusal(section({{"encoder", Json::array({5})}})).seen(), "[5]");
  EXPECT_EQ(refusal(section({{"encoder", Json::array({5, "6"})}})).where(), "model.freeze_updates.modules.encoder[1]");
}

TEST(FreezeUpdates, RefusesASectionOfTheWrongForm) {
  EXPECT_EQ(refusal({{"enabled", true}}).where(), "model.freeze_updates.modules");
  EXPECT_EQ(refusal(section(Json::array({"encoder"}))).where(), "model.freeze_updates.modules");
  EXPECT_EQ(refusal("encoder").where(), kPath);
}

TEST(FreezeUpdates, AbsentOrSwitchedOffFreezesNothing) {
  const auto model = std::make_shared<Layers>(true);
  for (const Json& off : {Json(nullptr), Json::object(), Json{{"enabled", false}, {"modules", {{"nothing", 1}}}}}) {
    check_freeze_updates(off, *model, kTyped, kPath);
    DynamicFreezing freezing(off, kPath, kTyped);
    freezing.start();
    freezing.before_batch(*model, 0);
    EXPECT_EQ(num_weights(*model), 18) << json_text(off);
  }
}

TEST(FreezeUpdates, AModelInEvalModeIsLeftAlone) {
  const auto model = std::make_shared<Layers>(true);
  DynamicFreezing freezing(section({{"encoder", -1}}), kPath, kTyped);
  freezing.start();
  model->eval();
  freezing.before_batch(*model, 0);
  EXPECT_EQ(num_weights(*model), 18);
  model->train();
  freezing.before_batch(*model, 0);
  EXPECT_EQ(num_weights(*model), 12);
}

TEST(FrozenScope, EndsQuietlyWhenTheModuleWasUnfrozenMeanwhile) {
  const auto model = std::make_shared<Layers>(true);
  FrozenScope frozen(*model);
  unfreeze(*model);
  EXPECT_THROW(frozen.end(), Error);
  frozen.end();  // ended already
  EXPECT_EQ(num_weights(*model), 18);
}

TEST(Freeze, WhatIsRememberedGoesWithTheModule) {
  for (int i = 0; i < 4; ++i) {  // most likely at the same address
    const auto model = std::make_shared<Layers>(true);
    EXPECT_FALSE(remembers_gradients(*model));
    freeze(*model);
    EXPECT_TRUE(remembers_gradients(*model));
  }
}

}  // namespace
}  // namespace fathom::training
