#include "core/plugins/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "core/plugins/absent_classes.h"
#include "core/plugins/host_table.h"
#include "core/plugins/kind.h"
#include "core/plugins/section.h"
#include "core/plugins/test_plugin.h"

namespace fathom::plugins {
namespace {

using ::testing::HasSubstr;
constexpr uint32_t kModule = kind_bit(FATHOM_KIND_MODULE);
constexpr uint32_t kOptimizer = kind_bit(FATHOM_KIND_OPTIMIZER);
constexpr uint32_t kLogger = kind_bit(FATHOM_KIND_LOGGER);

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    registry_.use_search_path({});
    registry_.add_builtin(testing::test_entry());
    testing::made.clear();
    testing::destroyed = 0;
  }
  Error error_of(auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(Code::kInternal, "");
  }
  void make(uint32_t kinds, const Json& section) {
    const fathom_object object = registry_.create(kinds, section, "model.x");
    object.component->destroy(object.self);
  }
  PluginRegistry registry_;
};

TEST_F(RegistryTest, FindsByNameAndAlias) {
  EXPECT_EQ(registry_.find(kLogger, "test.Logger").component->name, "test.Logger");
  EXPECT_EQ(registry_.find(kLogger, "nemo.TestLogger").component->name, "test.Logger");
  EXPECT_TRUE(registry_.contains(kAllKinds, "testopt"));
  EXPECT_FALSE(registry_.contains(kModule, "testopt"));
}

TEST_F(RegistryTest, UnknownNameGivesCandidatesAndCode) {
  const Error typo = error_of([&] { registry_.find(kOptimizer, "testpot", "optim.name"); });
  EXPECT_EQ(typo.code(), Code::kFailed);
  EXPECT_EQ(typo.where(), "optim.name");
  EXPECT_THAT(typo.candidates(), HasSubstr("testopt"));
  const Error path = error_of([&] { registry_.find(kModule, "nemo.other.place.Module"); });
  EXPECT_THAT(path.candidates(), HasSubstr("nemo.collections.test.Module"));
  const Error kind = error_of([&] { registry_.find(kModule, "testopt"); });
  EXPECT_THAT(kind.seen(), HasSubstr("of kind optimizer"));
}

TEST_F(RegistryTest, CreatesFromEveryFormOfSection) {
  make(kOptimizer, {{"name", "testopt"}, {"features", 3}});
  make(kOptimizer, {{"_target_", "torch.optim.TestOpt"}, {"features", 3}, {"_recursive_", false}});
  make(kModule, {{"cls", "nemo.collections.test.Module"}, {"params", {{"features", 3}}}});
  ASSERT_EQ(testing::made.size(), 3u);
  for (const auto& made : testing::made) {
    EXPECT_EQ(made.config, R"({"features":3})");
    EXPECT_EQ(made.config_path, "model.x");
  }
  EXPECT_EQ(testing::destroyed, 3);
}

TEST_F(RegistryTest, NameIsAnOptionOfAModule) {
  const Error error = error_of([&] { make(kModule, {{"name", "test.Module"}}); });
  EXPECT_THAT(error.message(), HasSubstr("names no module"));
  EXPECT_EQ(error.where(), "model.x");
}

TEST_F(RegistryTest, InfinitiesCrossAsWords) {
  make(kOptimizer, {{"name", "testopt"},
                    {"rate", std::numeric_limits<double>::infinity()},
                    {"betas", {1, -std::numeric_limits<double>::infinity()}}});
  EXPECT_EQ(testing::made.at(0).config, R"({"rate":"inf","betas":[1,"-inf"]})");
}

TEST_F(RegistryTest, OptionsAreCheckedBeforeAnythingIsMade) {
  const Error error = error_of([&] { make(kOptimizer, {{"name", "testopt"}, {"featurs", 3}}); });
  EXPECT_EQ(error.where(), "model.x.featurs");
  EXPECT_EQ(error.candidates(), "features");
  EXPECT_TRUE(testing::made.empty());
}

TEST_F(RegistryTest, AllProblemsAreReportedWithPlaces) {
  const Json section = {{"name", "testopt"},
                        {"features", 1.5},
                        {"rate", "fast"},
                        {"betas", {1, "x"}},
                        {"note", 3},
                        {"inner", Json::object()},
                        {"blocks", {{{"n", true}}}},
                        {"weights", {{"a", nullptr}}},
                        {"nonsense", 1},
                        {"free", "???"}};
  const auto problems = registry_.validate_section(kOptimizer, section, "optim", [](const std::string& key) {
    return key == "optim.nonsense" ? std::string("a.yaml:7:3") : std::string();
  });
  std::vector<std::string> places;
  for (const auto& problem : problems) places.push_back(problem.where());
  EXPECT_THAT(places, ::testing::UnorderedElementsAre("optim.features", "optim.rate", "optim.betas[1]", "optim.note",
                                                      "optim.inner", "optim.blocks[0].n", "optim.weights.a",
                                                      "a.yaml:7:3", "optim.free"));
  EXPECT_TRUE(registry_
                  .validate_section(kOptimizer,
                                    {{"name", "testopt"}, {"rate", 1}, {"note", nullptr}, {"inner", {{"deep", true}}}},
                                    "o")
                  .empty());
}

TEST_F(RegistryTest, WhatAnotherFillsMayBeLeftOut) {
  const Json section = {{"name", "testopt"}, {"rate", nullptr}, {"inner", {{"deep", nullptr}}}, {"note", 3}};
  EXPECT_GE(registry_.validate_section(kOptimizer, section, "o").size(), 3u);
  const auto problems = registry_.validate_section(kOptimizer, section, "o", {}, Gaps::kFilledLater);
  ASSERT_EQ(problems.size(), 1u) << "what is there is checked all the same";
  EXPECT_EQ(problems[0].where(), "o.note");
}

TEST_F(RegistryTest, PlacesInsideParams) {
  const Json section = {{"cls", "test.Module"}, {"params", {{"featurs", 1}, {"rate", "x"}}}};
  std::vector<std::string> places;
  for (const auto& problem : registry_.validate_section(kModule, section, "a.b")) places.push_back(problem.where());
  EXPECT_THAT(places, ::testing::UnorderedElementsAre("a.b.params.featurs", "a.b.params.rate"));
}

TEST_F(RegistryTest, ComponentErrorsComeBackWhole) {
  const Error error = error_of([&] { make(kModule, {{"_target_", "test.Failing"}, {"anything", 1}}); });
  EXPECT_EQ(error.code(), Code::kBadData);
  EXPECT_EQ(error.message(), "it cannot be");
  EXPECT_EQ(error.where(), "model.x");
  EXPECT_EQ(error.candidates(), "that");
}

TEST_F(RegistryTest, PartialAndPositionalAreRefused) {
  EXPECT_THAT(error_of([&] { make(kModule, {{"_target_", "test.Module"}, {"_partial_", true}}); }).message(),
              HasSubstr("_partial_"));
  EXPECT_THAT(error_of([&] { make(kModule, {{"_target_", "test.Module"}, {"_args_", {1}}}); }).message(),
              HasSubstr("_args_"));
}

TEST_F(RegistryTest, ShutdownRunsOncePerPlugin) {
  testing::shut_down.clear();
  registry_.shutdown();
  registry_.shutdown();
  EXPECT_EQ(testing::shut_down.size(), 1u);
}

TEST(HostTable, ErrorsArePerThread) {
  const fathom_host& host = *host_table();
  report(Error(Code::kIo, "mine").seen("x"));
  std::thread([&] {
    EXPECT_EQ(host.last_error(), nullptr);
    report(Error(Code::kFailed, "yours"));
  }).join();
  ASSERT_NE(host.last_error(), nullptr);
  EXPECT_EQ(to_string(host.last_error()->what), "mine");
  EXPECT_EQ(to_string(host.last_error()->seen), "x");
}

TEST(HostTable, SettingTheLastErrorAgainKeepsItsText) {
  const fathom_host& host = *host_table();
  report(Error(Code::kIo, "the text").next("do"));
  host.set_error(host.last_error());  // a plugin passing on what it was told
  EXPECT_EQ(to_string(host.last_error()->what), "the text");
  EXPECT_EQ(to_string(host.last_error()->next), "do");
}

TEST(HostTable, AnErrorOfAnOlderPluginIsReadAsFarAsItGoes) {
  fathom_error error{offsetof(fathom_error, where),
                     FATHOM_IO,
                     to_abi("short"),
                     {reinterpret_cast<const char*>(1), 99},
                     {},
                     {},
                     {},
                     {}};
  host_table()->set_error(&error);
  EXPECT_EQ(to_string(host_table()->last_error()->what), "short");
  EXPECT_EQ(host_table()->last_error()->where.len, 0u);
}

TEST(HostTable, TypesAreInterned) {
  const fathom_host& host = *host_table();
  fathom_type_id a = 0, b = 0;
  ASSERT_EQ(host.intern_type(to_abi(R"({"axes": ["B", "T"], "elements": "AudioSignal"})"), &a), FATHOM_OK);
  ASSERT_EQ(host.intern_type(to_abi(R"({"elements": "AudioSignal", "axes": ["B", "T"]})"), &b), FATHOM_OK);
  EXPECT_EQ(a, b);
  EXPECT_NE(host.intern_type(to_abi(R"({"elements": "NoSuchType"})"), &b), FATHOM_OK);
  std::string text;
  const auto sink = text_sink(text);
  host.type_text(a, &sink);
  EXPECT_THAT(text, HasSubstr("AudioSignal"));
}

TEST(HostTable, ThreadBudgetAndExtensions) {
  set_thread_budget(3);
  EXPECT_EQ(host_table()->thread_budget(), 3);
  static const int table = 1;
  add_host_extension("test.extension/1", &table);
  EXPECT_EQ(host_table()->get_extension(to_abi("test.extension/1")), &table);
  EXPECT_EQ(host_table()->get_extension(to_abi("test.extension/1x")), nullptr);
  EXPECT_THROW(add_host_extension("test.extension/1", &table), Error);
}

TEST(AbsentClasses, AreRefusedInWords) {
  const auto univnet = absent_class("nemo.collections.tts.models.univnet.UnivNetModel");
  ASSERT_TRUE(univnet.has_value());
  EXPECT_NE(univnet->instead.find("HifiGanModel"), std::string::npos);
  EXPECT_TRUE(absent_class("nemo.collections.tts.models.UnivNetModel").has_value());
  EXPECT_FALSE(absent_class("nemo.collections.asr.models.UnivNetModel").has_value());
  EXPECT_FALSE(absent_class("UnivNetModel").has_value());
  EXPECT_FALSE(absent_class("nemo.collections.tts.models.HifiGanModel").has_value());
}

}  // namespace
}  // namespace fathom::plugins
