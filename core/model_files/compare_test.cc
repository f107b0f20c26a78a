#include "core/model_files/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/model_files/tensor_values.h"
#include "core/model_files/test_models.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

using checkpoint::TensorDtype;

class CompareTest : public ModelFilesTest {};

constexpr const char* kPrefixA = "0123456789abcdef0123456789abcdef_";
constexpr const char* kPrefixB = "fedcba9876543210fedcba9876543210_";

std::string config(const std::string& prefix, const std::string& more) {
  return "target: a.Model\nnemo_version: 3.0.0\nvocab: nemo:" + prefix + "v.txt\n" + more;
}

TEST_F(CompareTest, EqualFilesUnderOtherPrefixes) {
  const TestState state = {{"w", floats({2, 2}, {1, 2, 3, 4})}, {"b", floats({0}, {})}};
  write_test_nemo(at("a.nemo"), config(kPrefixA, "lr: 1\n"), state, {{std::string(kPrefixA) + "v.txt", "x\n"}});
  write_test_nemo(at("b.nemo"), config(kPrefixB, "lr: 1.0\n"), state, {{std::string(kPrefixB) + "v.txt", "x\n"}});
  const Json found = compare_model_files(at("a.nemo"), at("b.nemo"));
  EXPECT_EQ(found["equal"], true) << json_text(found);
  EXPECT_EQ(found["config"]["compared"], true);
  EXPECT_EQ(found["config"]["keys"], 4);
  EXPECT_EQ(found["tensors"]["compared"], 2);
  EXPECT_EQ(comparison_text(found), "equal: 0 keys of the config differ; 0 tensors differ, 2 are in both\n");
}

TEST_F(CompareTest, KeysAndArtifacts) {
  const TestState state = {{"w", floats({1}, {1})}};
  write_test_nemo(at("a.nemo"), config(kPrefixA, "enc: {feat: 64, list: [1, {k: 2}], gone: null}\n"), state,
                  {{std::string(kPrefixA) + "v.txt", "x\n"}});
  write_test_nemo(at("b.nemo"), config(kPrefixB, "enc: {feat: 80, list: [1, {k: 3}], new: x}\n"), state,
                  {{std::string(kPrefixB) + "v.txt", "y\n"}});
  const Json found = compare_model_files(at("a.nemo"), at("b.nemo"));
  EXPECT_EQ(found["equal"], false);
  std::vector<std::string> keys;
  for (const auto& entry : found["config"]["differences"]) keys.push_back(entry["key"]);
  EXPECT_THAT(keys, testing::ElementsAre("vocab", "enc.feat", "enc.list[1].k", "enc.gone", "enc.new"));
  EXPECT_EQ(found["config"]["differences"][0]["artifact"], true);
  EXPECT_FALSE(found["config"]["differences"][4].contains("a"));
  const std::string text = comparison_text(found);
  EXPECT_THAT(text, testing::HasSubstr("config   enc.feat: 64 -> 80\n"));
  EXPECT_THAT(text, testing::HasSubstr("config   enc.gone: null -> (absent)\n"));
  EXPECT_THAT(text, testing::HasSubstr("different: 5 keys of the config differ; 0 tensors differ, 1 are in both\n"));
}

TEST_F(CompareTest, EveryKindOfTensorDifference) {
  checkpoint::PickleTensor turned = floats({2, 3}, {1, 4, 2, 5, 3, 6});
  turned.sizes = {2, 3};
  turned.strides = {1, 2};
  write_test_pickle(at("a.pt"), test_state({{"same", turned},
                                            {"moved", floats({3}, {1, 2, 3})},
                                            {"old", floats({1}, {0})},
                                            {"shape", floats({2}, {0, 0})},
                                            {"dtype", floats({2}, {1, 0.1F})}}));
  write_test_pickle(at("b.pt"), test_state({{"same", floats({2, 3}, {1, 2, 3, 4, 5, 6})},
                                            {"moved", floats({3}, {1, 2.5, 2})},
                                            {"shape", floats({1, 2}, {0, 0})},
                                            {"dtype", tensor_of<double>(TensorDtype::kFloat64, {2}, {1, 0.1})},
                                            {"new", floats({1}, {0})}}));
  const Json found = compare_model_files(at("a.pt"), at("b.pt"));
  EXPECT_EQ(found["config"]["compared"], false);
  const Json& tensors = found["tensors"]["differences"];
  ASSERT_EQ(tensors.size(), 5u) << json_text(tensors);
  EXPECT_EQ(
      json_text(tensors[0]),
      R"({"name":"moved","difference":"values","a":{"shape":[3],"dtype":"float32"},"b":{"shape":[3],"dtype":"float32"},"max_abs_difference":1.0,"elements":2})");
  EXPECT_EQ(tensors[1]["difference"], "missing");
  EXPECT_EQ(tensors[2]["difference"], "shape");
  EXPECT_EQ(tensors[3]["difference"], "dtype");
  EXPECT_NEAR(tensors[3]["max_abs_difference"].get<double>(), 1.5e-9, 1e-10);
  EXPECT_EQ(tensors[4]["difference"], "extra");
  EXPECT_THAT(comparison_text(found), testing::HasSubstr("tensor   moved: 2 elements differ, by 1.0 at most\n"));

  CompareOptions tolerant;
  tolerant.tolerance = 1;
  EXPECT_EQ(compare_model_files(at("a.pt"), at("b.pt"), tolerant)["tensors"]["differences"].size(), 4u);
}

TEST_F(CompareTest, WhatHoldsNoWeightsIsBadData) {
  write_test_pickle(at("a.pt"), checkpoint::PickleValue::list({1, 2}));
  write_test_pickle(at("b.pt"), checkpoint::PickleValue::dict({{"epoch", 1}}));
  for (const char* name : {"a.pt", "b.pt"}) {
    try {
      compare_model_files(at(name), at("a.pt"));
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData) << error.what();
    }
  }
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

double apart(TensorDtype dtype, const std::string& bits, double value) {
  const auto found = compare_values(dtype, bits, TensorDtype::kFloat64, bytes_of<double>({value}), 1);
  return found->has_nan ? std::numeric_limits<double>::quiet_NaN() : found->largest;
}

// Values as torch gives them for these bits.
TEST(TensorValues, SmallFloats) {
  const auto half = [](uint16_t bits) { return bytes_of<uint16_t>({bits}); };
  const auto byte = [](uint8_t bits) { return bytes_of<uint8_t>({bits}); };
  EXPECT_EQ(apart(TensorDtype::kFloat16, half(0x3c00), 1), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat16, half(0xc100), -2.5), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat16, half(0x0001), 5.9604644775390625e-8), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat16, half(0x7bff), 65504), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat16, half(0xfc00), -std::numeric_limits<double>::infinity()), 0);
  EXPECT_TRUE(std::isnan(apart(TensorDtype::kFloat16, half(0x7e00), 0)));
  EXPECT_EQ(apart(TensorDtype::kBFloat16, half(0x4049), 3.140625), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat8E4M3FN, byte(0x7e), 448), 0);
  EXPECT_TRUE(std::isnan(apart(TensorDtype::kFloat8E4M3FN, byte(0xff), 0)));
  EXPECT_EQ(apart(TensorDtype::kFloat8E5M2, byte(0x7b), 57344), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat8E5M2, byte(0x7c), std::numeric_limits<double>::infinity()), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat8E4M3FNUZ, byte(0x7f), 240), 0);
  EXPECT_TRUE(std::isnan(apart(TensorDtype::kFloat8E4M3FNUZ, byte(0x80), 0)));
  EXPECT_EQ(apart(TensorDtype::kFloat8E5M2FNUZ, byte(0x7f), 57344), 0);
  EXPECT_EQ(apart(TensorDtype::kFloat8E5M2FNUZ, byte(0x01), 7.62939453125e-06), 0);
}

TEST(TensorValues, IntegersNansAndComplex) {
  const auto exact = compare_values(TensorDtype::kInt64, bytes_of<int64_t>({INT64_MAX, 1}), TensorDtype::kInt64,
                                    bytes_of<int64_t>({INT64_MAX - 1, 1}), 2);
  EXPECT_EQ(exact->elements, 1u);
  EXPECT_EQ(exact->largest, 1);
  const double nan = std::nan("");
  const auto nans = compare_values(TensorDtype::kFloat64, bytes_of<double>({nan, nan, 1}), TensorDtype::kFloat32,
                                   bytes_of<float>({NAN, 1, 1}), 3);
  EXPECT_EQ(nans->elements, 1u);
  EXPECT_TRUE(nans->has_nan);
  const auto complex = compare_values(TensorDtype::kComplex64, bytes_of<float>({1, 2, 0, 0}), TensorDtype::kComplex128,
                                      bytes_of<double>({4, 6, 0, 0}), 2);
  EXPECT_EQ(complex->elements, 1u);
  EXPECT_EQ(complex->largest, 5);
  EXPECT_FALSE(
      compare_values(TensorDtype::kComplex64, bytes_of<float>({1, 2}), TensorDtype::kFloat32, bytes_of<float>({1}), 1));
}

}  // namespace
}  // namespace fathom::model_files
