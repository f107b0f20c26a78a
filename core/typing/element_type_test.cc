#include "core/typing/element_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fathom/error.h"

namespace fathom::typing {
namespace {

using testing::HasSubstr;

Comparison compare_names(std::string_view a, std::string_view b) { return compare(make_element(a), make_element(b)); }

TEST(ElementType, the_tree_is_complete) {
  size_t builtin = 0;
  for (const auto* cls : element_classes()) builtin += cls->provider == "nemo" ? 1 : 0;
  EXPECT_EQ(builtin, 43u);
  EXPECT_TRUE(element_class("MFCCSpectrogramType").is_a(element_class("ChannelType")));
  EXPECT_FALSE(element_class("ChannelType").is_a(element_class("SpectrogramType")));
}

TEST(ElementType, comparison_follows_the_tree) {
  EXPECT_EQ(compare_names("SpectrogramType", "MelSpectrogramType"), Comparison::kGreater);
  EXPECT_EQ(compare_names("MelSpectrogramType", "SpectrogramType"), Comparison::kLess);
  EXPECT_EQ(compare_names("LogitsType", "LossType"), Comparison::kIncompatible);
  EXPECT_EQ(compare_names("VoidType", "LossType"), Comparison::kSame);
  EXPECT_EQ(compare_names("LossType", "VoidType"), Comparison::kIncompatible);
  EXPECT_EQ(compare_names("ElementType", "VoidType"), Comparison::kGreater);
}

TEST(ElementType, parameters_compare_as_in_python) {
  const auto audio = [](ParamValue freq) { return make_element("AudioSignal", {{"freq", std::move(freq)}}); };
  EXPECT_EQ(compare(audio(int64_t{16000}), audio(16000.0)), Comparison::kSame);
  EXPECT_EQ(compare(audio(int64_t{1}), audio(true)), Comparison::kSame);
  EXPECT_EQ(compare(audio({}), audio(int64_t{8000})), Comparison::kSame);
  EXPECT_EQ(compare(audio(int64_t{0}), audio(int64_t{8000})), Comparison::kSameTypeIncompatibleParams);
  EXPECT_EQ(compare(audio(std::string("8000")), audio(int64_t{8000})), Comparison::kSameTypeIncompatibleParams);
  EXPECT_FALSE(params_equal(int64_t{9007199254740993}, 9007199254740992.0));
  EXPECT_FALSE(params_equal(int64_t{INT64_MAX}, 0x1p63));
  EXPECT_EQ(audio(16000.0).text(), "AudioSignal(freq=16000.0)");
  EXPECT_EQ(audio({}).text(), "AudioSignal");
}

TEST(ElementType, unknown_names_and_parameters_are_refused) {
  try {
    make_element("SpectogramType");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.candidates(), HasSubstr("SpectrogramType"));
  }
  EXPECT_THROW(make_element("AudioSignal", {{"rate", int64_t{1}}}), Error);
  EXPECT_THROW(make_element("LogitsType", {{"freq", int64_t{1}}}), Error);
  EXPECT_THROW(make_element("AudioSignal", {{"freq", std::numeric_limits<double>::quiet_NaN()}}), Error);
}

TEST(ElementType, plugins_add_types_and_meet_by_name) {
  const char* definition =
      R"({"name": "CodecTokens", "parent": "TokenIndex", "params": {"books": 8, "rate": null}, "doc": "x"})";
  const ElementClass& first = register_element_type_json(definition, "plugin_a");
  // The words about it may differ.
  EXPECT_EQ(&register_element_type_json(
                R"({"name":"CodecTokens","parent":"TokenIndex","params":{"rate":null,"books":8}})", "plugin_b"),
            &first);
  EXPECT_EQ(compare_names("IntType", "CodecTokens"), Comparison::kGreater);
  EXPECT_EQ(make_element("CodecTokens").text(), "CodecTokens(books=8)");
  try {
    register_element_type_json(R"({"name": "CodecTokens", "parent": "IntType"})", "plugin_c");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("plugin_a"));
    EXPECT_THAT(error.message(), HasSubstr("plugin_c"));
  }
  // A child takes over parameters and fields and may change a default.
  register_element_type_json(R"({"name": "Box", "fields": ["x", "y"]})", "plugin_a");
  register_element_type_json(R"({"name": "ScaledBox", "parent": "Box", "params": {"scale": 1.5}})", "plugin_a");
  EXPECT_EQ(element_class("ScaledBox").fields, (std::vector<std::string>{"x", "y"}));
  EXPECT_THROW(register_element_type_json(R"({"name": "LogitsType", "parent": "IntType"})", "plugin_a"), Error);
}

TEST(ElementType, malformed_definitions_are_refused) {
  for (const char* wrong :
       {"", "[]", "{", R"({"parent": "IntType"})", R"({"name": ""})", R"({"name": "A b"})", R"({"name": 5})",
        R"({"name": "A", "parent": "Nothing"})", R"({"name": "A", "params": [1]})",
        R"({"name": "A", "params": {"x": [1]}})", R"({"name": "A", "fields": "x"})", R"({"name": "A", "fields": [1]})",
        R"({"name": "A", "colour": 1})", R"({"name": "A", "params": {"x": 18446744073709551615}})"}) {
    EXPECT_THROW(register_element_type_json(wrong, "plugin_a"), Error) << wrong;
    EXPECT_EQ(find_element_class("A"), nullptr) << wrong;
  }
}

}  // namespace
}  // namespace fathom::typing
