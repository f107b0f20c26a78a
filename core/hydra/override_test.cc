#include <gtest/gtest.h>

#include <map>

#include "core/config/errors.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"
#include "core/hydra/override_apply.h"
#include "core/hydra/override_parser.h"

namespace fathom::config {
namespace {

std::string error_of(const std::string& word) {
  try {
    parse_override(word);
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.kind(), "OverrideParseException");
    return error.what();
  }
  ADD_FAILURE() << word << " was accepted";
  return {};
}

TEST(OverrideParser, TypesOfPrimitives) {
  EXPECT_EQ(parse_override("a=1_000").value.as<int64_t>(), 1000);
  EXPECT_EQ(parse_override("a=1e-3").value.as<double>(), 0.001);
  EXPECT_TRUE(parse_override("a=TRUE").value.as<bool>());
  EXPECT_TRUE(parse_override("a=NULL").value.is_null());
  EXPECT_EQ(parse_override("a=01").value.as<std::string>(), "01");
  EXPECT_EQ(parse_override("a=1e-3x").value.as<std::string>(), "1e-3x");
  EXPECT_EQ(parse_override("a=x  y ").value.as<std::string>(), "x  y");
  EXPECT_EQ(parse_override("a=").value.as<std::string>(), "");
}

TEST(OverrideParser, PrefixesKeysAndPackages) {
  EXPECT_EQ(parse_override("+a.0.b=1").type, OverrideType::kAdd);
  EXPECT_EQ(parse_override("++a=1").type, OverrideType::kForceAdd);
  const Override deletion = parse_override("~db/sub@pkg.x");
  EXPECT_EQ(deletion.type, OverrideType::kDelete);
  EXPECT_EQ(deletion.value_type, ValueType::kNone);
  EXPECT_EQ(deletion.key_element(), "db/sub@pkg.x");
  EXPECT_TRUE(parse_override("hydra/launcher=basic").is_hydra());
}

TEST(OverrideParser, QuotesKeepTheirTextAndAreWrittenBack) {
  const Override override = parse_override(R"(a='it\'s \\ x\\')");
  EXPECT_EQ(override.value.as<QuotedString>().text, R"(it's \\ x\)");
  EXPECT_EQ(value_text(override.value), R"('it\'s \\ x\\')");
  EXPECT_EQ(value_text(parse_override("a={x:[1,b c],y:true}").value), R"({x:[1,b\ c],y:True})");
}

TEST(OverrideParser, LaterEqualKeyOfAMapWins) {
  const Override override = parse_override("a={1:x,b:y,true:z}");
  const ElementMap& map = override.value.as<ElementMap>();
  ASSERT_EQ(map.size(), 2u);
  EXPECT_EQ(map[0].second.as<std::string>(), "z");
}

TEST(OverrideParser, ErrorsShowThePlaceAndTheWayOut) {
  EXPECT_NE(error_of("a=[.8,").find("did the shell split"), std::string::npos);
  EXPECT_NE(error_of("a=b=c").find("\n    a=b=c\n       ^"), std::string::npos);
  EXPECT_NE(error_of("name=\xC3\xA9t\xC3\xA9").find("'\xC3\xA9'"), std::string::npos);
  EXPECT_NE(error_of("a[0]=1").find("a.0.b"), std::string::npos);
  EXPECT_NE(error_of("a=99999999999999999999").find("64 bits"), std::string::npos);
  EXPECT_NE(error_of("a=nosuch(1)").find("Available: bool,choice"), std::string::npos);
  for (const auto& [words, hint] : std::map<std::vector<std::string>, std::string>{
           {{"lr=", "0.1"}, "lr=0.1"}, {{"name=hello", "world"}, "'name=hello world'"}, {{"~a", "b"}, "key=value"}}) {
    try {
      parse_overrides(words);
      ADD_FAILURE() << "accepted " << words[1];
    } catch (const ConfigError& e) {
      EXPECT_NE(std::string(e.what()).find(hint), std::string::npos) << e.what();
    }
  }
  error_of("a=[1,]");
  error_of("a='x' ");
  error_of(std::string("a=") + std::string(5000, '['));
}

TEST(OverrideParser, LenientReadsWhatCanMeanOneThingOnly) {
  const OverrideParseOptions lenient{.lenient = true};
  EXPECT_EQ(parse_override("ckpt=epoch=9-step=1.ckpt", lenient).value.as<std::string>(), "epoch=9-step=1.ckpt");
  EXPECT_EQ(parse_override("dir=~/\xC3\xA9", lenient).value.as<std::string>(), "~/\xC3\xA9");
  EXPECT_THROW(parse_override("a=[b=c]", lenient), ConfigError);
}

TEST(OverrideParser, Functions) {
  EXPECT_EQ(value_text(parse_override("a=sort([3,1,2],reverse=true)").value), "[3,2,1]");
  EXPECT_EQ(value_text(parse_override("a=int({x:1.7,y:'3'})").value), "{x:1,y:3}");
  EXPECT_EQ(parse_override("a=choice(x,y)").value_type, ValueType::kChoiceSweep);
  EXPECT_EQ(parse_override("a=tag(t,range(1,3))").value.as<RangeSweep>().tags, std::vector<std::string>{"t"});
  EXPECT_THROW(parse_override("a=range(start=1,5)"), ConfigError);
  EXPECT_THROW(parse_override("a=bool(off)"), ConfigError);
}

class OverrideApply : public testing::Test {
 protected:
  OverrideApply()
      : root_(load_yaml_text("optim: {name: adam, lr: 0.1}\nds: {path: '\?\?\?', batch: 2}\nl: [1, 2]\nn: null\n",
                             "t.yaml")) {
    root_.struct_flag = true;
  }
  std::string apply(const std::string& word, bool strict = true) {
    apply_override(root_, parse_override(word), {.strict = strict, .warnings = &warnings_});
    return to_yaml(root_);
  }
  std::string failure(const std::string& word) {
    try {
      apply(word);
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.kind(), "ConfigCompositionException");
      return error.what();
    }
    ADD_FAILURE() << word << " was accepted";
    return {};
  }
  Node root_;
  std::vector<Warning> warnings_;
};

TEST_F(OverrideApply, UnknownKeyNamesThePlusFormAndTheNearestKey) {
  const std::string text = failure("ds.bath=3");
  EXPECT_NE(text.find("+ds.bath=3"), std::string::npos);
  EXPECT_NE(text.find("full_key: ds.bath"), std::string::npos);
  EXPECT_NE(text.find("batch"), std::string::npos);
}

TEST_F(OverrideApply, MapsMergeListsReplace) {
  EXPECT_NE(apply("optim={lr: 1}").find("optim:\n  name: adam\n  lr: 1\n"), std::string::npos);
  EXPECT_NE(apply("l=[7]").find("l:\n- 7\n"), std::string::npos);
  failure("optim={new: 1}");
  EXPECT_NE(apply("+optim={new: 1}").find("  new: 1\n"), std::string::npos);
}

TEST_F(OverrideApply, AddAndDelete) {
  failure("+optim.lr=2");
  EXPECT_NE(apply("++optim.lr=2").find("lr: 2"), std::string::npos);
  EXPECT_NE(apply("+n.deep.er=1").find("n':\n  deep:\n    er: 1\n"), std::string::npos);
  EXPECT_EQ(apply("~l.0").find("- 1\n"), std::string::npos);
  failure("~optim.lr=3");
  EXPECT_EQ(apply("~optim.lr=2.0").find("lr"), std::string::npos);
  failure("~nosuch");
}

TEST_F(OverrideApply, NameOfASectionUnlessStrict) {
  EXPECT_NE(apply("optim=sgd", false).find("optim:\n  name: sgd\n  lr: 0.1\n"), std::string::npos);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].text.find("optim.name=sgd"), std::string::npos);
  EXPECT_NE(apply("optim=sgd", true).find("optim: sgd\n"), std::string::npos);
}

TEST_F(OverrideApply, ValuesKnowTheirWord) {
  apply("ds.path=/data");
  EXPECT_NE(root_.find("ds")->find("path")->origin().text().find("ds.path=/data"), std::string::npos);
}

}  // namespace
}  // namespace fathom::config
