#include "core/typing/neural_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::typing {
namespace {

using nlohmann::json;
using testing::HasSubstr;

NeuralType type(std::string_view axes, std::string_view element, Params params = {}) {
  return make_neural_type(parse_axes(axes), make_element(element, params));
}
NeuralType any_shape(std::string_view element) { return make_neural_type(std::nullopt, make_element(element)); }

TEST(NeuralType, comparison_of_axes) {
  const auto axes = [](std::string_view a, std::string_view b) {
    return compare(type(a, "LogitsType"), type(b, "LogitsType"));
  };
  EXPECT_EQ(axes("B any any", "B T C"), Comparison::kSame);
  EXPECT_EQ(axes("B T C", "B any any"), Comparison::kIncompatible);
  EXPECT_EQ(axes("B T C", "B C T"), Comparison::kTransposeSame);
  EXPECT_EQ(axes("B:64 T:10 C:128", "B T C"), Comparison::kDimIncompatible);
  EXPECT_EQ(axes("B T C", "B:64 T:10 C:128"), Comparison::kSame);
  EXPECT_EQ(axes("B T", "B T C"), Comparison::kIncompatible);
  EXPECT_EQ(axes("B D D", "B B D"), Comparison::kTransposeSame);
  EXPECT_EQ(axes("B_listdim T", "B T"), Comparison::kTransposeSame);
  // Any forgives what stands before it, not after it.
  EXPECT_EQ(axes("T any", "B C"), Comparison::kSame);
  EXPECT_EQ(axes("any T", "B C"), Comparison::kIncompatible);
  EXPECT_EQ(axes("", ""), Comparison::kSame);
}

TEST(NeuralType, comparison_joins_axes_and_elements) {
  EXPECT_EQ(compare(any_shape("VoidType"), type("B T", "LossType")), Comparison::kSame);
  EXPECT_EQ(compare(type("B T", "LossType"), any_shape("VoidType")), Comparison::kIncompatible);
  EXPECT_EQ(compare(any_shape("LogitsType"), type("B", "LogitsType")), Comparison::kIncompatible);
  EXPECT_EQ(compare(type("B T D", "SpectrogramType"), type("B D T", "MelSpectrogramType")), Comparison::kIncompatible);
  EXPECT_EQ(compare(type("B T D", "SpectrogramType"), type("B T D", "MelSpectrogramType")), Comparison::kGreater);
  EXPECT_EQ(compare(type("B T", "AudioSignal", {{"freq", int64_t{16000}}}),
                    type("B T", "AudioSignal", {{"freq", int64_t{8000}}})),
            Comparison::kSameTypeIncompatibleParams);
}

TEST(NeuralType, json_form_reads_back) {
  const NeuralType full =
      neural_type_from_json(json::parse(R"({"axes": [{"kind": "B", "size": 64, "list": false}, {"kind": "T"}],
      "elements": "AudioSignal", "params": {"freq": 16000}, "optional": true})"));
  EXPECT_EQ(full.text(), "NeuralType(axis=(batch:64, time), element_type=AudioSignal(freq=16000), optional=True)");
  EXPECT_EQ(
      json_text(neural_type_to_json(full)),
      R"({"axes":[{"kind":"B","size":64},{"kind":"T"}],"elements":"AudioSignal","optional":true,"params":{"freq":16000}})");
  EXPECT_EQ(json_text(neural_type_to_json(neural_type_from_json(json::object()))),
            R"({"axes":null,"elements":"VoidType"})");
}

TEST(NeuralType, malformed_json_is_refused_in_words) {
  for (const char* wrong : {"",
                            "[]",
                            "5",
                            "{",
                            R"({"axes": 5})",
                            R"({"axes": [5]})",
                            R"({"axes": ["B", {"kind": "T"}]})",
                            R"({"axes": [{"kind": "B"}, "T"]})",
                            R"({"axes": ["Q"]})",
                            R"({"axes": [{"size": 3}]})",
                            R"({"axes": [{"kind": "B", "size": "x"}]})",
                            R"({"axes": [{"kind": "B", "size": 1.5}]})",
                            R"({"axes": [{"kind": "B", "size": 3, "list": true}]})",
                            R"({"axes": [{"kind": "B"}, {"kind": "T", "list": true}]})",
                            R"({"elements": 5})",
                            R"({"elements": "Nope"})",
                            R"({"elements": "AudioSignal", "params": {"rate": 1}})",
                            R"({"elements": "AudioSignal", "params": 5})",
                            R"({"optional": "yes"})",
                            R"({"element": "AudioSignal"})",
                            R"({"axes": [{"kind": "B", "color": 1}]})",
                            "\"\xff\""}) {
    EXPECT_THROW(intern_json(wrong), Error) << wrong;
  }
  try {
    intern_json(R"({"element": "AudioSignal"})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.candidates(), "elements");
  }
}

TEST(NeuralType, text_forms_read_back) {
  for (const char* text :
       {"NeuralType(axis=None, element_type=VoidType)", "NeuralType(axis=(), element_type=LossType)",
        "NeuralType(axis=(batch,), element_type=LengthsType)",
        "NeuralType(axis=(batch_listdim, dimension:64, any), element_type=AudioSignal(freq=16000), optional=True)",
        "NeuralType(axis=(batch, time), element_type=VideoSignal(fps=29.97))"}) {
    EXPECT_EQ(neural_type_from_text(text).text(), text);
  }
  register_element_type_json(R"({"name": "Tagged", "params": {"tag": "it's (a, b) \\ c", "on": true}})", "test");
  const NeuralType tagged = type("B T", "Tagged");
  EXPECT_EQ(intern(neural_type_from_text(tagged.text())), intern(tagged));
  EXPECT_EQ(neural_type_from_text("axes: (batch, time); elements_type: LogitsType").str(),
            "axes: (batch, time); elements_type: LogitsType");
  for (const char* wrong :
       {"", "NeuralType", "NeuralType(axis=(batch, element_type=VoidType)", "NeuralType(axis=None, element_type=)",
        "NeuralType(axis=None, element_type=VoidType) x", "NeuralType(axis=None, element_type=AudioSignal(freq=1)",
        "NeuralType(axis=None, element_type=AudioSignal(freq='a)", "axes: (batch elements_type: X",
        "NeuralType(axis=(batch,,), element_type=VoidType)",
        "NeuralType(axis=None, element_type=VoidType, optional=Maybe)"}) {
    EXPECT_THROW(neural_type_from_text(wrong), Error) << wrong;
  }
}

TEST(NeuralType, equal_types_are_one_id) {
  const TypeId id = intern(type("B T", "AudioSignal", {{"freq", int64_t{16000}}}));
  EXPECT_EQ(intern_json(R"({"params": {"freq": 16000}, "elements": "AudioSignal", "axes": ["batch", "time"]})"), id);
  EXPECT_EQ(
      intern_json(
          R"({"axes": [{"kind": "n"}, {"kind": "t_src", "size": null}], "elements": "AudioSignal", "params": {"freq": 16000}})"),
      id);
  EXPECT_EQ(intern_json(R"({"axes": null, "elements": "AudioSignal", "params": {"freq": null}})"),
            intern_json(R"({"elements": "AudioSignal"})"));
  EXPECT_NE(intern_json(R"({"elements": "AudioSignal", "optional": true})"),
            intern_json(R"({"elements": "AudioSignal"})"));
  EXPECT_EQ(type_of(id).str(), "axes: (batch, time); elements_type: AudioSignal");
  EXPECT_EQ(rank_of(id), 2);
  EXPECT_EQ(rank_of(kNoType), -1);
  EXPECT_EQ(rank_of(4000000000u), -1);
  EXPECT_THROW(type_of(kNoType), Error);
  EXPECT_THROW(type_of(4000000000u), Error);
  EXPECT_EQ(compare(id, kNoType), Comparison::kUnchecked);
  EXPECT_EQ(compare(kNoType, id), Comparison::kUnchecked);
  EXPECT_THROW(compare(id, 4000000000u), Error);
}

// Many more pairs than the cache has places, from several threads that intern and compare at once.
TEST(NeuralType, interning_and_comparing_from_many_threads) {
  constexpr int kTypes = 400;
  std::vector<std::vector<TypeId>> ids(4, std::vector<TypeId>(kTypes));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTypes; ++i) {
        ids[t][i] = intern(make_neural_type(
            std::vector<Axis>{{AxisKind::kBatch, {}, false}, {AxisKind::kTime, i, false}}, make_element("LogitsType")));
      }
      for (int i = 0; i < kTypes; ++i) {
        for (int j = 0; j < kTypes; ++j) {
          const Comparison expected = i == j ? Comparison::kSame : Comparison::kDimIncompatible;
          if (compare(ids[t][i], ids[t][j]) != expected) ++wrong;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  for (int t = 1; t < 4; ++t) EXPECT_EQ(ids[t], ids[0]);
  for (int i = 0; i < kTypes; ++i) EXPECT_EQ(type_of(ids[0][i]).axes->at(1).size, i);
}

}  // namespace
}  // namespace fathom::typing
