// The tree: nodes, loading, reading, merging, printing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <tuple>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/merge.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"

namespace fathom::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Node load(const std::string& text) { return load_yaml_text(text, "test.yaml"); }

ConfigError error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const ConfigError& problem) {
    return problem;
  }
  ADD_FAILURE() << "no error";
  return ConfigError("none", "");
}

TEST(NodeTest, LargeMapsFindTheirKeysAlsoInCopiesAndAfterErasing) {
  Node map = Node::map();
  for (int64_t i = 0; i < 100; ++i) {
    map.set("key" + std::to_string(i), Node::scalar(i));
    map.set(Key(Scalar(i)), Node::scalar(-i));
  }
  Node copy = map;
  ASSERT_TRUE(copy.erase("key10"));
  EXPECT_EQ(copy.find("key10"), nullptr);
  for (int64_t i = 11; i < 100; ++i) {
    EXPECT_EQ(std::get<int64_t>(copy.find("key" + std::to_string(i))->value()), i);
    EXPECT_EQ(std::get<int64_t>(map.find(Key(Scalar(i)))->value()), -i);
  }
  copy.set("key10", Node::scalar(std::string("again")));
  EXPECT_EQ(copy.entries().back().first.text(), "key10");
  EXPECT_EQ(std::get<int64_t>(map.find("key10")->value()), 10);
}

TEST(YamlLoaderTest, TypesFollowOmegaConf) {
  const Node root = load("a: 1e-3\nb: 010\nc: 1:30\nd: on\ne: 2021-01-01\nf: .5\ng: -.5\nh: ~\ni: 1_000\nj: '1'\n");
  EXPECT_EQ(root.find("a")->value(), Scalar(0.001));
  EXPECT_EQ(root.find("b")->value(), Scalar(int64_t{8}));
  EXPECT_EQ(root.find("c")->value(), Scalar(int64_t{90}));
  EXPECT_EQ(root.find("d")->value(), Scalar(true));
  EXPECT_EQ(root.find("e")->value(), Scalar(std::string("2021-01-01")));
  EXPECT_EQ(root.find("f")->value(), Scalar(0.5));
  EXPECT_EQ(root.find("g")->value(), Scalar(std::string("-.5")));
  EXPECT_TRUE(root.find("h")->is_null());
  EXPECT_EQ(root.find("i")->value(), Scalar(int64_t{1000}));
  EXPECT_EQ(root.find("j")->value(), Scalar(std::string("1")));
}

TEST(YamlLoaderTest, ErrorsNameTheirPlace) {
  const auto duplicate = error_of([] { load("a: 1\nb: 2\na: 3\n"); });
  EXPECT_EQ(duplicate.kind(), "ConstructorError");
  EXPECT_EQ(duplicate.where(), "test.yaml:3:1");
  EXPECT_THAT(duplicate.seen(), HasSubstr("first in line 1, again in line 3"));
  EXPECT_EQ(error_of([] { load("a: 1\nk.x=v\n"); }).where(), "test.yaml:2:1");
  EXPECT_EQ(error_of([] { load("min_lr: 1e-9:\n"); }).where(), "test.yaml:1:13");
  EXPECT_EQ(error_of([] { load("- a\n-b\n"); }).kind(), "ScannerError");
  EXPECT_EQ(error_of([] { load("a: 'b\n"); }).kind(), "ScannerError");
  EXPECT_EQ(error_of([] { load("a: 1\n---\nb: 2\n"); }).kind(), "ComposerError");
  EXPECT_EQ(error_of([] { load("a: 123456789012345678901\n"); }).where(), "test.yaml:1:4");
  EXPECT_EQ(error_of([] { load("x:\n  y: ${}\n"); }).full_key(), "x.y");
}

TEST(YamlLoaderTest, HostileInputIsRefused) {
  std::string bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    const std::string before = "*" + std::string(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [" + before;
    for (int i = 0; i < 9; ++i) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_THAT(error_of([&] { load(bomb); }).what(), HasSubstr("aliases expand"));
  EXPECT_THAT(error_of([] { load(std::string(100000, '[')); }).what(), HasSubstr("nested deeper"));
  EXPECT_EQ(error_of([] { load("a: &a\n  b: *a\n"); }).kind(), "ComposerError");
  EXPECT_EQ(error_of([] { load("a: \xff\n"); }).kind(), "ReaderError");
}

TEST(YamlLoaderTest, MergeKeysAndAnchors) {
  const Node root = load("base: &b {x: 1, y: 2}\nother:\n  y: 3\n  <<: *b\n");
  EXPECT_EQ(to_yaml(*root.find("other")), "x: 1\n'y': 3\n");
}

TEST(YamlLoaderTest, CornersOfPyYaml) {
  EXPECT_EQ(to_yaml(load("=: 1\n")), "'=': 1\n");
  EXPECT_THAT(error_of([] { load("a: =\n"); }).what(), HasSubstr("'='"));
  EXPECT_EQ(load("a: !!binary aGVsbG8=\n").find("a")->value(), Scalar(Bytes{"hello"}));
  EXPECT_EQ(load("a: !!binary aG,VsbG8=\n").find("a")->value(), Scalar(Bytes{"hello"}));
  for (const char* text : {"a: !!binary aGVsG8=\n", "a: !!binary a\n", "a: !!binary aGé=\n"})
    EXPECT_THAT(error_of([&] { load(text); }).what(), HasSubstr("base64")) << text;
  EXPECT_EQ(error_of([] { load("...\na: 1\n"); }).kind(), "ParserError");
  EXPECT_EQ(to_yaml(load("a: 1\n...\n...\n")), "a: 1\n");
}

// Where libyaml is laxer than PyYAML.
TEST(YamlLoaderTest, TabsStandInTextAlone) {
  for (const char* text : {"a:\tb\n", "a: b\t\n", "a: b\tc\n", "a: [1,\t2]\n", "a: |\t\n  x\n", "a: &x\tb\n",
                           "a: !!str\t'b'\n", "-\ta\n", "a: 1\n\t\n", "\t# c\na: 1\n", "%YAML 1.1\t\n---\na: 1\n"}) {
    const auto error = error_of([&] { load(text); });
    EXPECT_EQ(error.kind(), "ScannerError") << text;
    EXPECT_THAT(error.next(), HasSubstr("spaces")) << text;
  }
  EXPECT_EQ(error_of([] { load("é: ü\nb: [é,\t2]\n"); }).where(), "test.yaml:2:7");
  EXPECT_EQ(to_yaml(load("a: &x # \t\n  !!str # \t\n  \"b\tc\" #\t\nd: 'e\tf'\ng: |  # \t\n  h\ti\n")),
            "a: \"b\\tc\"\nd: \"e\\tf\"\ng: \"h\\ti\\n\"\n");
}

TEST(YamlLoaderTest, FlowQuestionMarksAndByteOrderMarks) {
  EXPECT_EQ(error_of([] { load("a: [http://b?c=d]\n"); }).kind(), "ParserError");
  EXPECT_EQ(to_yaml(load("a: http://b?c=d\ne: ['f?']\n")), "a: http://b?c=d\ne:\n- f?\n");
  const Node root = load("\xEF\xBB\xBF'a': [é, x]\nb: \"\xEF\xBB\xBF\"\n");
  EXPECT_EQ(root.find("a")->items()[1].origin().text(), "test.yaml:1:10");
  EXPECT_EQ(root.find("b")->value(), Scalar(std::string("\xEF\xBB\xBF")));
  for (const char* text : {"a: 1\n\xEF\xBB\xBF"
                           "b: 2\n",
                           "- 1\n\xEF\xBB\xBF- 2\n", "a: 1\n\xEF\xBB\xBF# c\n"}) {
    const auto error = error_of([&] { load(text); });
    EXPECT_THAT(error.what(), HasSubstr("byte order mark")) << text;
    EXPECT_EQ(error.where(), "test.yaml:2:1") << text;
  }
  EXPECT_EQ(error_of([] {
              load(
                  std::string("\xFF\xFE"
                              "a\0:\0 \0",
                              8));
            }).kind(),
            "ReaderError");  // UTF-16
}

TEST(YamlLoaderTest, AliasesNameOneEarlierAnchor) {
  EXPECT_EQ(error_of([] { load("a: *b\n"); }).where(), "test.yaml:1:4");
  const auto repeated = error_of([] { load("a: &b 1\nc: &b 2\n"); });
  EXPECT_EQ(repeated.kind(), "ComposerError");
  EXPECT_EQ(repeated.where(), "test.yaml:2:4");
}

// The Python loader reads these, libyaml does not; the message says what to write.
TEST(YamlLoaderTest, WhatLibyamlRefuses) {
  EXPECT_THAT(error_of([] { load("a: {b:[1]}\n"); }).next(), HasSubstr("blank after the ':'"));
  EXPECT_THAT(error_of([] { load("a: |\n  \tb\n"); }).next(), HasSubstr("|2"));
  EXPECT_EQ(load("a: |2\n  \tb\n").find("a")->value(), Scalar(std::string("\tb\n")));
}

TEST(YamlLoaderTest, WarnsOfWhatIsSurelyNotMeant) {
  std::vector<std::string> warnings;
  LoadOptions options;
  options.warnings = &warnings;
  load_yaml_text("time: 1:30\nmode: 0755\na.b: 1\nx: 0x10\n", "t.yaml", options);
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_THAT(warnings[0], HasSubstr("t.yaml:1:7"));
  EXPECT_THAT(warnings[1], HasSubstr("octal"));
  EXPECT_THAT(warnings[2], HasSubstr("dot"));
}

TEST(AccessTest, InterpolationsKeepTypesAndPlaces) {
  const Node root =
      load("a: {b: 5, l: [10, {k: v}], rel: '${.b}', up: '${..c}'}\nc: '${a}'\nd: 'x${a.b}${n}'\nn: null\n");
  EXPECT_EQ(get(root, "c.b").value(), Scalar(int64_t{5}));
  EXPECT_EQ(get(root, "d").value(), Scalar(std::string("x5None")));
  EXPECT_EQ(get(root, "a.rel").value(), Scalar(int64_t{5}));
  EXPECT_EQ(get(root, "a.l[1].k").value(), Scalar(std::string("v")));
  const auto parent = error_of([&] { get_resolved(root, {"c"}); });
  EXPECT_EQ(parent.kind(), "InterpolationResolutionError");
}

TEST(AccessTest, ErrorsOfReading) {
  const Node root = load("model: {sample_rate: 1, missing: '???'}\nx: '${model.sample_rat}'\ny: '${y}'\n");
  const auto absent = error_of([&] { get(root, "model.sample_rat"); });
  EXPECT_EQ(absent.kind(), "ConfigKeyError");
  EXPECT_EQ(absent.full_key(), "model.sample_rat");
  EXPECT_EQ(absent.candidates(), "sample_rate");
  EXPECT_EQ(error_of([&] { get(root, "x"); }).candidates(), "sample_rate");
  EXPECT_EQ(error_of([&] { get(root, "x"); }).where(), "test.yaml:2:4");
  EXPECT_EQ(error_of([&] { get(root, "model.missing"); }).kind(), "MissingMandatoryValue");
  EXPECT_EQ(error_of([&] { get(root, "y"); }).kind(), "InterpolationResolutionError");
  EXPECT_THAT(missing_keys(load("a: ???\nb:\n- c: ???\n")), ElementsAre("a", "b[0].c"));
}

TEST(AccessTest, CyclesThroughContainersEnd) {
  const Node root = load("a: {x: '${b}'}\nb: {y: '${a}'}\n");
  EXPECT_EQ(error_of([&] { to_container(root); }).kind(), "InterpolationResolutionError");
  // The root copied into itself: every copy asks for the next.
  const Node endless = load("a: '${oc.select:,9}'\nb: '${oc.select:,9}'\n");
  EXPECT_EQ(error_of([&] { to_container(endless); }).kind(), "InterpolationResolutionError");
}

TEST(AccessTest, TextsCannotHoldWhatTheyStandIn) {
  for (const char* text : {"d: {x: 1, v: 'q ${d}'}\n", "d: {v: ['q ${d}']}\n", "d: {v: 'q ${e}'}\ne: ${d}\n",
                           "d: {v: '${oc.create:${d}}'}\n", "d: {v: '${d}'}\n"}) {
    const Node root = load(text);
    EXPECT_THAT(error_of([&] { to_container(root); }).what(), HasSubstr("Interpolation to parent node detected"))
        << text;
  }
  EXPECT_EQ(get(load("d: {x: 1}\nv: 'q ${d}'\n"), "v").value(), Scalar(std::string("q {'x': 1}")));
}

// Each value names the one before several times: written out they would double, line by line.
TEST(AccessTest, InterpolationsThatDoubleEnd) {
  for (const auto& [first, open, close] : {std::tuple{"aaaaaaaaaaaaaaaa", "\"", "\""}, std::tuple{"[a]", "[", "]"}}) {
    std::string text = std::string("s0: ") + first + "\n";
    for (int i = 1; i < 40; ++i) {
      const std::string known = "${s" + std::to_string(i - 1) + "}", comma = *open == '[' ? "\", \"" : "";
      const std::string quote = *open == '[' ? "\"" : "";
      text +=
          "s" + std::to_string(i) + ": " + open + quote + known + comma + known + comma + known + quote + close + "\n";
    }
    const Node tree = load_yaml_text(text, "double.yaml");
    const auto started = std::chrono::steady_clock::now();
    for (const auto& read :
         {std::function<void()>([&] { get_resolved(tree, {Key("s39")}); }), std::function<void()>([&] {
            Node copy = tree;
            resolve(copy);
          }),
          std::function<void()>([&] { to_container(tree); })}) {
      const std::string error = error_of(read).what();
      EXPECT_NE(error.find("interpolations expand to more than"), std::string::npos) << error;
      EXPECT_NE(error.find("double.yaml:"), std::string::npos) << error;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(30));
    EXPECT_EQ(get_resolved(tree, {Key("s1")}).is_list(), *open == '[') << "short ones are as before";
  }
  const ConfigError longer = error_of([] { get(load_yaml_text("a: \"${multiply:[1],2000000}\"", "m.yaml"), "a"); });
  EXPECT_THAT(longer.what(), ::testing::HasSubstr("longer than"));
}

TEST(AccessTest, IndicesOfLists) {
  const Node root = load("l: [10, 20]\na: '${oc.select:l.9,none}'\nb: '${oc.select:l.x,none}'\n");
  EXPECT_EQ(get(root, "a").value(), Scalar(std::string("none")));
  EXPECT_THAT(error_of([&] { get(root, "b"); }).what(), HasSubstr("'x' (str) is not an int"));
  EXPECT_EQ(get(load("l: [10, 20]\nc: '${oc.select:\"l.١\"}'\n"), "c").value(), Scalar(int64_t{20}));
}

TEST(AccessTest, CustomResolversSeeArgumentsAndTree) {
  auto registry = ResolverRegistry::with_builtins();
  registry.add("count", [](const std::vector<Node>& args, const ResolverContext& context) {
    return Node::scalar(static_cast<int64_t>(args.size() + context.parent()->size()));
  });
  const Node root = load("a: '${count:1,[2,3],{k: v}}'\nb: 1\n");
  EXPECT_EQ(get(root, "a", registry).value(), Scalar(int64_t{5}));
  EXPECT_THROW(registry.add("count", nullptr), ConfigError);
}

TEST(AccessTest, UpdateMakesMapsAndRespectsStruct) {
  Node root = load("optim: {lr: 1}\n");
  update(root, "optim.sched.name", Node::scalar(std::string("cosine")));
  EXPECT_EQ(to_yaml(root), "optim:\n  lr: 1\n  sched:\n    name: cosine\n");
  root.struct_flag = true;
  EXPECT_EQ(error_of([&] { update(root, "optim.lrr", Node()); }).kind(), "ConfigAttributeError");
  update(root, "optim.lrr", Node::scalar(int64_t{2}), {.force_add = true});
  EXPECT_TRUE(remove_path(root, "optim.lrr"));
  EXPECT_FALSE(remove_path(root, "optim.lrr"));
}

TEST(MergeTest, RightWinsLeftOrderStays) {
  const Node merged =
      merge(load("b: 1\na: {x: 1, l: [1, 2]}\nr: '${a}'\n"), load("a: {l: [3], z: 2}\nc: 4\nr: {n: 1}\n"));
  EXPECT_EQ(to_yaml(merged),
            "b: 1\na:\n  x: 1\n  l:\n  - 3\n  z: 2\nr:\n  x: 1\n  l:\n  - 3\n  z: 2\n  'n': 1\nc: 4\n");
  EXPECT_EQ(error_of([] { merge(load("a: [1]\n"), load("a: {b: 1}\n")); }).kind(), "ConfigTypeError");
}

// What Python would read as a number is quoted, whatever the script.
TEST(PrinterTest, QuotesNumeralsOfAllScripts) {
  Node list = Node::list();
  for (const char* text : {"٣", "\u00a01.5", "１_０", "٣x", "é"}) list.append(Node::scalar(std::string(text)));
  EXPECT_EQ(to_yaml(list), "- '٣'\n- '\u00a01.5'\n- '１_０'\n- ٣x\n- é\n");
}

TEST(PrinterTest, QuotesFoldsAndComesBack) {
  const Node root = load("a: '1'\nb: 'yes'\nc: \"line\\nbreak\"\nd: 1e-5\ne: []\nf: {}\ng: [[1], {k: v}]\nh: ' x'\n");
  const std::string text = to_yaml(root);
  EXPECT_EQ(text, "a: '1'\nb: 'yes'\nc: 'line\n\n  break'\nd: 1.0e-05\ne: []\nf: {}\ng:\n- - 1\n- k: v\nh: ' x'\n");
  EXPECT_EQ(load(text), root);
}

TEST(PrinterTest, EveryShippedConfigOfTheRecordComesBack) {
  const std::string folder = std::string(FATHOM_SOURCE_DIR) + "/../shared/golden/config/nemo/examples";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no recorded configs beside the source tree";
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    const Node root = load_yaml_file(entry.path().string());
    EXPECT_EQ(load(to_yaml(root)), root) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0u);
}

TEST(JsonTest, KeepsOrderAndTypes) {
  const Node root = load("b: 1\na: [1.5, null, true, .inf]\n");
  EXPECT_EQ(json_text(to_json(root)), R"({"b":1,"a":[1.5,null,true,"inf"]})");
  EXPECT_EQ(from_json(nlohmann::ordered_json::parse(R"({"b":1,"a":[1.5,null]})")), load("b: 1\na: [1.5, null]\n"));
}

}  // namespace
}  // namespace fathom::config
