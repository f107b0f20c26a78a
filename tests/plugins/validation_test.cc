// `plugins list`, `info`, `validate`, `new`, and resolvers of plugins in configs.
#include "core/plugins/validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/config/access.h"
#include "core/config/json.h"
#include "core/plugins/kind.h"
#include "core/plugins/listing.h"
#include "core/plugins/plugin_resolvers.h"
#include "core/plugins/registry.h"
#include "core/plugins/scaffold.h"

namespace fathom::plugins {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

const fs::path kOddPlugins = fs::path(FATHOM_BINARY_DIR) / "tests/plugins/odd";

std::vector<std::string> failed_checks(const std::string& name) {
  const auto report = validate_plugin(kOddPlugins / name / (name + ".so"));
  std::vector<std::string> out;
  for (const auto& check : report.checks) {
    if (!check.ok) out.push_back(check.name + ": " + check.detail);
  }
  EXPECT_EQ(report.ok(), out.empty());
  return out;
}

class Validation : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { registry().use_search_path({}); }
};

TEST_F(Validation, SoundPluginPassesEverything) {
  const auto report = validate_plugin(kOddPlugins / "described/test_sound_plugin.so");
  EXPECT_TRUE(report.ok()) << validation_text(report);
  std::vector<std::string> names;
  for (const auto& check : report.checks) names.push_back(check.name);
  EXPECT_THAT(names, ::testing::ElementsAre("description", "versions", "exported symbols", "load", "registration",
                                            "names", "unknown extension", "options repeat", "create repeat"));
  const Json json = validation_json(report);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["checks"].size(), names.size());
}

TEST_F(Validation, EachBreakOfARuleIsNamed) {
  EXPECT_THAT(failed_checks("no_description"), Contains(HasSubstr("description: ")));
  EXPECT_THAT(failed_checks("wrong_tag"), Contains(HasSubstr("versions: ")));
  EXPECT_THAT(failed_checks("throws"), Contains(AllOf(HasSubstr("load: "), HasSubstr("no licence found"))));
  EXPECT_THAT(failed_checks("registers_nothing"),
              Contains(AllOf(HasSubstr("registration: "), HasSubstr("odd.Logger is missing"))));
  EXPECT_THAT(failed_checks("many_symbols"),
              Contains(AllOf(HasSubstr("exported symbols: "), HasSubstr("odd_surplus"))));
  EXPECT_THAT(failed_checks("crashes"),
              Contains(AllOf(HasSubstr("create odd.Logger: "), HasSubstr("crashed (signal 11"))));
  // These take any option: the component parses none.
  EXPECT_THAT(failed_checks("sound"), Contains(AllOf(HasSubstr("options odd.Logger: "), HasSubstr("ignored"))));
}

TEST_F(Validation, AFileThatIsNotThere) {
  const auto report = validate_plugin("/nowhere/x.so");
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(validation_text(report), HasSubstr("FAIL  description"));
}

TEST(Listing, KeysAreTheDocumentedOnes) {
  PluginRegistry registry;
  SearchRequest request;
  request.plugin_dirs = {kOddPlugins / "described", kOddPlugins / "wrong_libtorch", kOddPlugins / "no_description"};
  registry.use_search_path(resolve_search_path(request));
  const Json list = plugins_json(registry.plugins());
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]["name"], "sound_test");
  EXPECT_EQ(list[0]["status"], "ok");
  EXPECT_FALSE(list[0].contains("reason"));
  EXPECT_EQ(list[0]["abi"], (Json{FATHOM_ABI_MAJOR, FATHOM_ABI_MINOR}));
  EXPECT_EQ(list[0]["torch_use"], "none");
  EXPECT_EQ(list[0]["provides"],
            Json::parse(R"([{"kind": "resolver", "name": "repeat", "aliases": ["test.repeat"]}])"));
  EXPECT_EQ(list[1]["status"], "refused");
  EXPECT_THAT(list[1]["reason"].get<std::string>(), HasSubstr("1.13.1"));
  EXPECT_EQ(list[1]["provides"][0]["name"], "odd.Logger");
  EXPECT_EQ(list[2]["name"], "no_description");
  EXPECT_TRUE(list[2]["version"].is_null());
  const std::string text = plugins_text(registry.plugins(), registry.search_path());
  EXPECT_THAT(text, AllOf(HasSubstr("resolver   repeat"), HasSubstr("refused:"),
                          HasSubstr((kOddPlugins / "described").string())));
}

TEST(Listing, InfoOfComponentsAndPlugins) {
  PluginRegistry registry;
  SearchRequest request;
  request.plugin_dirs = {kOddPlugins / "described"};
  registry.use_search_path(resolve_search_path(request));
  for (const char* name : {"repeat", "test.repeat"}) {
    const Json info = info_json(registry, name);
    ASSERT_EQ(info.size(), 1u);
    EXPECT_EQ(info[0]["plugin"], "sound_test");
    EXPECT_EQ(info[0]["options"][0]["name"], "separator");
    EXPECT_THAT(info_text(info),
                AllOf(HasSubstr("resolver repeat"), HasSubstr("separator: str"), HasSubstr("between the copies")));
  }
  EXPECT_THAT(info_text(info_json(registry, "sound_test")),
              AllOf(HasSubstr("plugin sound_test 1.2.3"), HasSubstr("resolver repeat: a text several times")));
  try {
    info_json(registry, "repaet");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.candidates(), "repeat");
  }
}

TEST(Resolvers, OfPluginsWorkInConfigs) {
  SearchRequest request;
  request.plugin_dirs = {kOddPlugins / "described"};
  registry().use_search_path(resolve_search_path(request));
  auto resolvers = config::ResolverRegistry::with_builtins();
  register_plugin_resolvers(resolvers);
  const config::Node job =
      config::from_json(Json::parse(R"({"a": "${repeat:ab,3}", "b": "${test.repeat:x,0}", "c": "${repeat:1}"})"));
  EXPECT_EQ(std::get<std::string>(config::get(job, "a", resolvers).value()), "ababab");
  EXPECT_EQ(std::get<std::string>(config::get(job, "b", resolvers).value()), "");
  try {
    config::get(job, "c", resolvers);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("repeat takes a text and a number"));
  }
}

TEST(Scaffold, CopiesAndRenamesTheTemplate) {
  const TemporaryFolder folder;
  const std::string target = folder.path() + "/my-own.thing";
  const auto files = new_plugin_project(fs::path(FATHOM_SOURCE_DIR) / "sdk/template", target);
  EXPECT_THAT(files, Contains(target + "/configs/my_own_thing.yaml"));
  EXPECT_THAT(read_file(target + "/CMakeLists.txt"), HasSubstr("fathom_add_plugin(my_own_thing "));
  EXPECT_THAT(read_file(target + "/plugin.cc"), HasSubstr("\"my_own_thing.Lion\""));
  EXPECT_THROW(new_plugin_project(fs::path(FATHOM_SOURCE_DIR) / "sdk/template", target), Error);
}

TEST(Scaffold, TemplateLiesBelowThePrefix) { EXPECT_TRUE(fs::exists(fs::path(template_folder()) / "plugin.cc")); }

}  // namespace
}  // namespace fathom::plugins
