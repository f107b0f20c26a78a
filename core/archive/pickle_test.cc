#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/archive/inspect.h"
#include "core/archive/pickle_reader.h"
#include "core/archive/pickle_writer.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using Kind = PickleValue::Kind;

PickleValue read(const std::string& pickle, PickleOptions options = {"test", {}}) {
  return read_pickle(pickle, options).value;
}

std::string refusal(const std::string& pickle) {
  try {
    read(pickle);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadData);
    return error.what();
  }
  return "nothing was refused";
}

PickleValue again(const PickleValue& value) { return read(write_pickle(value).pickle); }

TEST(PickleReader, ReadsTheScalarsOfEveryProtocol) {
  EXPECT_TRUE(read("\x80\x02N."s).is_none());
  EXPECT_TRUE(read("\x80\x02\x88."s).as_bool());
  EXPECT_EQ(read("\x80\x02K\xff."s).as_int(), 255);
  EXPECT_EQ(read("\x80\x02M\xff\xff."s).as_int(), 65535);
  EXPECT_EQ(read("\x80\x02J\xff\xff\xff\xff."s).as_int(), -1);
  EXPECT_EQ(read("\x80\x02\x8a\x00."s).as_int(), 0);
  EXPECT_EQ(read("\x80\x02\x8a\x02\x00\x80."s).as_int(), -32768);
  EXPECT_EQ(read("\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."s).as_int(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(read("\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."s).as_string(), "18446744073709551616");
  EXPECT_EQ(read("\x80\x02\x8a\x09\xfe\xff\xff\xff\xff\xff\xff\xff\xff."s).as_int(), -2) << "longer than needed";
  EXPECT_EQ(read("\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff."s).as_string(), "-18446744073709551616");
  EXPECT_EQ(read("\x80\x02G\x3f\xf8\x00\x00\x00\x00\x00\x00."s).as_double(), 1.5);
  EXPECT_EQ(read("\x80\x04\x95\x04\x00\x00\x00\x00\x00\x00\x00\x8c\x02hi."s).as_string(), "hi");
  EXPECT_EQ(read("\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00"
                 "ab."s)
                .as_string(),
            "ab");
}

TEST(PickleReader, SharedListsStaySharedAndTuplesKeepTheirOrder) {
  // [x, x] with x = [7]
  const PickleValue value = read(
      "\x80\x02](]q\x05K\x07"
      "ah\x05"
      "e."s);
  ASSERT_EQ(value.items().size(), 2u);
  EXPECT_EQ(value.items()[0].identity(), value.items()[1].identity());
  const PickleValue tuple = read("\x80\x02K\x01K\x02K\x03\x87."s);
  EXPECT_EQ(json_text(to_json(tuple)), "[1,2,3]");
}

TEST(PickleReader, NothingButListedGlobalsIsAccepted) {
  for (const char* name :
       {"posix\nsystem", "builtins\neval", "__builtin__\ngetattr", "torch.hub\nload", "nemo.utils\nrun_command",
        "subprocess\nPopen", "my.module\nThing", "torch\nload", "functools\npartial"}) {
    EXPECT_THAT(refusal("\x80\x02"
                        "c"s +
                        name + "\nX\x04\x00\x00\x00true\x85R."s),
                HasSubstr("not allowed"))
        << name;
  }
}

TEST(PickleReader, UnknownClassesAreReadAsObjectsOnlyWhenAskedFor) {
  const std::string pickle =
      "\x80\x02"
      "cmy.module\nThing\n)\x81}X\x01\x00\x00\x00"
      "aK\x01sb."s;
  EXPECT_THAT(refusal(pickle), HasSubstr("my.module.Thing"));
  const PickleValue value = read(pickle, {"test", PickleOptions::UnknownGlobals::kAsObjects});
  EXPECT_EQ(value.as_object().full_name(), "my.module.Thing");
  EXPECT_EQ(value.at("a").as_int(), 1);
  // A function is never an object.
  EXPECT_THROW(read("\x80\x02"
                    "cmy.module\nrun\n)R."s,
                    {"test", PickleOptions::UnknownGlobals::kAsObjects}),
               Error);
}

TEST(PickleReader, OmegaconfNodesBecomeTheirContent) {
  // DictConfig whose child's _parent points back at it, as OmegaConf pickles them.
  const std::string pickle =
      "\x80\x02"
      "comegaconf.dictconfig\nDictConfig\n)\x81q\x00}("
      "X\x08\x00\x00\x00_content}X\x02\x00\x00\x00lr"
      "comegaconf.nodes\nAnyNode\n)\x81}(X\x07\x00\x00\x00_parenth\x00X\x04\x00\x00\x00_"
      "valG\x3f\xe0\x00\x00\x00\x00\x00\x00ubs"
      "X\x07\x00\x00\x00_parentNub."s;
  const PickleValue value = read(pickle);
  EXPECT_EQ(value.as_object().full_name(), "omegaconf.dictconfig.DictConfig");
  EXPECT_EQ(value.at("lr").as_double(), 0.5);
}

TEST(PickleReader, DamageIsAnError) {
  EXPECT_THAT(refusal(""), HasSubstr("ends"));
  EXPECT_THAT(refusal("\x80\x02"s), HasSubstr("ends"));
  EXPECT_THAT(refusal("\x80\x09N."s), HasSubstr("protocol"));
  EXPECT_THAT(refusal("\x80\x02."s), HasSubstr("empty stack"));
  EXPECT_THAT(refusal("\x80\x02\xfe."s), HasSubstr("opcode"));
  EXPECT_THAT(refusal("\x80\x02X\xff\xff\xff\x7fhi."s), HasSubstr("ends"));
  EXPECT_THAT(refusal("\x80\x02X\x02\x00\x00\x00\xc3\x28."s), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("\x80\x02h\x07."s), HasSubstr("memo"));
  EXPECT_THAT(refusal("\x80\x02Nr\xff\xff\xff\x7f."s), HasSubstr("memo"));
  EXPECT_THAT(refusal("\x80\x02\x8b\xff\xff\xff\x7f."s), HasSubstr("too long"));
  EXPECT_THAT(refusal("\x80\x02K\x01K\x02"
                      "a."s),
              HasSubstr("no list"));
  EXPECT_THAT(refusal("\x80\x02}]K\x01s."s), HasSubstr("dict key"));
  EXPECT_THAT(refusal("\x80\x02}(K\x01u."s), HasSubstr("without a value"));
  EXPECT_THAT(refusal("\x80\x02}}b."s), HasSubstr("state"));
  EXPECT_THAT(refusal("\x80\x02"
                      "e."s),
              HasSubstr("did not open"));
  EXPECT_THAT(refusal("\x80\x02K\x01)R."s), HasSubstr("no global"));
}

TEST(PickleReader, CyclesDepthAndGrowthAreBounded) {
  EXPECT_THAT(refusal("\x80\x02]q\x00h\x00"
                      "a."s),
              HasSubstr("contains itself"));
  EXPECT_THAT(refusal("\x80\x02" + std::string(100'000, ']') + std::string(99'999, 'a') + "."), HasSubstr("deeply"));
  // The same, built inside out and thrown away: nothing may recurse over it either.
  EXPECT_TRUE(read("\x80\x02" + std::string(100'000, ']') + std::string(99'999, 'a') + "0N.").is_none());
  EXPECT_TRUE(read("\x80\x02"
                   "N" +
                   std::string(200'000, '\x85') + "0N.")
                  .is_none());
  EXPECT_THAT(refusal("\x80\x02}"
                      "N" +
                      std::string(2'000'000, '\x85') + "K\x01s."),
              HasSubstr("deeply"));
  // Each list holds the previous one ten times: 10^30 values when written out.
  std::string bomb = "\x80\x02]q"s + '\0';
  for (char level = 1; level <= 30; ++level) {
    bomb += "](";
    for (int i = 0; i < 10; ++i) bomb += "h"s + static_cast<char>(level - 1);
    bomb += "eq"s + level;
  }
  EXPECT_THAT(refusal(bomb + "."), HasSubstr("written out"));
}

TEST(PickleReader, NumpyNumbersOfCallbackStates) {
  const std::string one = "C\x08\x00\x00\x00\x00\x00\x00\xf0\x3f\x86R."s;
  const std::string dtype =
      "cnumpy\ndtype\nX\x02\x00\x00\x00"
      "f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"s;
  EXPECT_EQ(read("\x80\x02"
                 "cnumpy.core.multiarray\nscalar\n"s +
                 dtype + one)
                .as_double(),
            1.0);
}

TEST(PickleWriter, ValuesComeBackEqual) {
  PickleValue value = PickleValue::dict();
  PickleDict& dict = value.mutable_dict();
  dict.set("none", {});
  dict.set("flags", PickleValue::list({true, false}));
  PickleList integers;
  for (const int64_t n : {int64_t{0}, int64_t{255}, int64_t{256}, int64_t{65535}, int64_t{65536}, int64_t{-1},
                          int64_t{1} << 31, int64_t{1} << 40, -(int64_t{1} << 40), std::numeric_limits<int64_t>::max(),
                          std::numeric_limits<int64_t>::min()}) {
    integers.emplace_back(n);
  }
  dict.set("integers", PickleValue::tuple(integers));
  dict.set("big", PickleValue::big_int("-1180591620717411303424"));
  dict.set("float", 0.1);
  dict.set(3, "an integer key");
  dict.set(PickleValue::tuple({1, "x"}), "a tuple key");
  dict.set("text", "é\n語");
  dict.set("bytes", PickleValue::bytes("\x00\xff\x80"s));
  dict.set("empty", PickleValue::list({PickleValue::tuple(), PickleValue::list(), PickleValue::dict(), ""}));
  dict.set("set", PickleValue::set({1, "two"}));
  dict.set("dtype", TensorDtype::kBFloat16);
  PickleValue many = PickleValue::list();
  for (int i = 0; i < 2500; ++i) many.mutable_items().emplace_back(i);
  dict.set("many", many);
  const PickleValue copy = again(value);
  EXPECT_EQ(to_json(copy), to_json(value));
  EXPECT_EQ(copy.at("integers").kind(), Kind::kTuple);
  EXPECT_EQ(copy.at("bytes").as_string(), "\x00\xff\x80"s);
  EXPECT_EQ(copy.at("big").as_string(), "-1180591620717411303424");
  EXPECT_EQ(write_pickle(copy).pickle, write_pickle(value).pickle);
}

TEST(PickleWriter, KeepsOrderedDictsTheirMetadataAndSharing) {
  PickleValue state = PickleValue::ordered_dict();
  PickleValue metadata = PickleValue::ordered_dict();
  metadata.mutable_dict().set("", PickleValue::list({1}));
  state.mutable_dict().attributes = PickleValue::dict();
  state.mutable_dict().attributes.mutable_dict().set("_metadata", metadata);
  const PickleValue copy = again(PickleValue::list({state, state}));
  EXPECT_EQ(copy.items()[0].as_dict().cls(), PickleDict::Class::kOrderedDict);
  EXPECT_EQ(copy.items()[0].identity(), copy.items()[1].identity());
  ASSERT_NE(copy.items()[0].as_dict().attributes.find("_metadata"), nullptr);
  EXPECT_EQ(json_text(to_json(*copy.items()[0].as_dict().attributes.find("_metadata"))), R"({"":[1]})");
}

TEST(PickleWriter, RefusesWhatHasNoForm) {
  EXPECT_THROW(write_pickle(PickleValue(PickleObject{"my", "Thing", false, {}, {}, {}})), Error);
  PickleValue loop = PickleValue::list();
  loop.mutable_items().push_back(loop);
  EXPECT_NO_THROW(write_pickle(loop)) << "a list may hold itself in a pickle";
  EXPECT_THROW(again(loop), Error) << "but no checkpoint needs one";
  loop.mutable_items().clear();
}

TEST(PickleDict, KeysAreEqualAsInPython) {
  PickleDict dict;
  for (int i = 0; i < 20; ++i) dict.set("k" + std::to_string(i), i);
  dict.set(1, "int");
  dict.set(1.0, "float");
  dict.set(true, "bool");
  EXPECT_EQ(dict.size(), 21u);
  EXPECT_EQ(dict.find(PickleValue(1))->as_string(), "bool");
  EXPECT_EQ(dict.find("k7")->as_int(), 7);
  EXPECT_EQ(dict.find("k77"), nullptr);
  EXPECT_THROW(dict.set(PickleValue::list(), 1), Error);
}

TEST(PickleValue, MissingKeysNameTheNearOnes) {
  PickleValue value = PickleValue::dict();
  value.mutable_dict().set("state_dict", 1);
  try {
    value.at("state_dic");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.candidates(), HasSubstr("state_dict"));
  }
}

}  // namespace
}  // namespace fathom::checkpoint
