#include "core/checkpoint/torch_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/archive/zip_reader.h"
#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

namespace fs = std::filesystem;

class TorchFile : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  const std::string folder_ = testing::TempDir() + "fathom_torch_file_test";
  const std::string path_ = folder_ + "/x.ckpt";
};

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

const std::vector<at::ScalarType> kTypes = {at::kBool,          at::kByte,       at::kChar,         at::kShort,
                                            at::kInt,           at::kLong,       at::kHalf,         at::kBFloat16,
                                            at::kFloat,         at::kDouble,     at::kComplexFloat, at::kComplexDouble,
                                            at::kFloat8_e4m3fn, at::kFloat8_e5m2};

NamedTensors tensors_of_all_types() {
  NamedTensors out;
  const at::Tensor base = at::arange(24, at::kFloat).view({2, 3, 4});
  for (const auto type : kTypes) out.emplace_back(at::toString(type), base.to(type));
  out.emplace_back("scalar", at::scalar_tensor(0.1, at::kDouble));
  out.emplace_back("empty", at::empty({0, 3}));
  out.emplace_back("special", at::tensor({0.0F, -0.0F, 1e-45F, INFINITY, -INFINITY, NAN}));
  return out;
}

TEST_F(TorchFile, EveryDtypeComesBackBitForBit) {
  const NamedTensors tensors = tensors_of_all_types();
  save_torch_file(path_, state_dict_value(tensors));
  const NamedTensors copy = state_dict_tensors(load_torch_file(path_));
  ASSERT_EQ(copy.size(), tensors.size());
  for (size_t i = 0; i < copy.size(); ++i) {
    EXPECT_EQ(copy[i].first, tensors[i].first);
    EXPECT_TRUE(same_bits(copy[i].second, tensors[i].second)) << copy[i].first;
  }
}

TEST_F(TorchFile, ViewsKeepTheirStridesAndShareMemory) {
  const at::Tensor base = at::arange(12, at::kFloat);
  PickleValue value = PickleValue::dict();
  value.mutable_dict().set("base", from_tensor(base));
  value.mutable_dict().set("column", from_tensor(base.view({3, 4}).select(1, 1)));
  value.mutable_dict().set("expanded", from_tensor(base.narrow(0, 5, 1).expand({1000})));
  save_torch_file(path_, value);
  EXPECT_EQ(ZipReader(read_file(path_), path_).find("archive/data/1"), nullptr) << "one storage for all three";
  const PickleValue copy = load_torch_file(path_);
  at::Tensor loaded = to_tensor(copy.at("base"));
  const at::Tensor column = to_tensor(copy.at("column"));
  EXPECT_EQ(column.strides().vec(), std::vector<int64_t>{4});
  EXPECT_TRUE(at::equal(column, base.view({3, 4}).select(1, 1)));
  EXPECT_EQ(to_tensor(copy.at("expanded")).strides().vec(), std::vector<int64_t>{0});
  loaded.fill_(7);
  EXPECT_EQ(column[2].item<float>(), 7) << "a change of the whole is seen in its view";
}

TEST_F(TorchFile, ParametersKeepRequiresGrad) {
  const at::Tensor weight = at::ones({2}).set_requires_grad(true);
  PickleValue value = PickleValue::dict();
  value.mutable_dict().set("parameter", from_tensor(weight, true));
  value.mutable_dict().set("tensor", from_tensor(weight));
  value.mutable_dict().set("frozen", from_tensor(at::ones({1}), true));
  save_torch_file(path_, value);
  const PickleValue copy = load_torch_file(path_);
  EXPECT_TRUE(to_tensor(copy.at("parameter")).requires_grad());
  EXPECT_TRUE(copy.at("parameter").as_tensor().is_parameter);
  EXPECT_TRUE(to_tensor(copy.at("tensor")).requires_grad());
  EXPECT_FALSE(to_tensor(copy.at("frozen")).requires_grad());
  EXPECT_TRUE(copy.at("frozen").as_tensor().is_parameter);
}

TEST_F(TorchFile, LoadedTensorsDoNotDependOnTheFile) {
  save_torch_file(path_, from_tensor(at::ones({1000})));
  const at::Tensor loaded = to_tensor(load_torch_file(path_));
  fs::resize_file(path_, 0);
  EXPECT_EQ(loaded.sum().item<float>(), 1000);
}

// Mapped tensors look into the file, together and one by one, and are the same whenever they are asked for.
TEST_F(TorchFile, MappedTensorsAreThoseOfTheFile) {
  const NamedTensors tensors = tensors_of_all_types();
  const at::Tensor large = at::rand({300, 1000});
  PickleValue value = PickleValue::dict({{"large", from_tensor(large)}, {"row", from_tensor(large[7])}});
  value.mutable_dict().set("state", state_dict_value(tensors));
  save_torch_file(path_, value);
  const PickleValue mapped = map_torch_file(path_);
  for (int times = 0; times < 2; ++times) {
    const NamedTensors copy = state_dict_tensors(mapped.at("state"));
    for (size_t i = 0; i < copy.size(); ++i) EXPECT_TRUE(same_bits(copy[i].second, tensors[i].second)) << copy[i].first;
    EXPECT_TRUE(at::equal(to_tensor(mapped.at("large")), large));
    const at::Tensor whole = to_tensor(mapped.at("large")), row = to_tensor(mapped.at("row"));
    EXPECT_EQ(whole.const_data_ptr<float>() + 7000, row.const_data_ptr<float>()) << "one memory, as long as both live";
  }
  {
    const at::Tensor whole = to_tensor(mapped.at("large"));
    whole.fill_(1);
    EXPECT_EQ(to_tensor(mapped.at("row"))[0].item<float>(), 1);
  }
  EXPECT_TRUE(at::equal(to_tensor(load_torch_file(path_).at("large")), large)) << "the file is not written to";
  PickleValue owned = map_torch_file(path_);
  own_tensors(owned);
  fs::remove(path_);
  EXPECT_TRUE(at::equal(to_tensor(owned.at("large")), large));
  EXPECT_TRUE(at::equal(to_tensor(mapped.at("row")).narrow(0, 0, 0), at::empty({0})))
      << "a file that is gone stays mapped";
}

TEST_F(TorchFile, EqualValuesGiveEqualFiles) {
  const NamedTensors tensors = tensors_of_all_types();
  save_torch_file(path_, state_dict_value(tensors));
  const std::string first = read_file(path_);
  save_torch_file(path_, state_dict_value(tensors));
  EXPECT_EQ(read_file(path_), first);
}

TEST_F(TorchFile, EveryFlippedByteIsRefusedOrHarmless) {
  PickleValue value = PickleValue::dict();
  value.mutable_dict().set("w", from_tensor(at::arange(6, at::kFloat)));
  value.mutable_dict().set("n", PickleValue::list({1, 2.5, "three"}));
  save_torch_file(path_, value);
  const std::string whole = read_file(path_);
  size_t refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    try {
      const PickleValue copy = load_torch_bytes(damaged, "damaged");
      EXPECT_TRUE(at::equal(to_tensor(copy.at("w")), at::arange(6, at::kFloat))) << "byte " << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData);
      ++refused;
    }
  }
  EXPECT_GT(refused, 300u);
}

TEST_F(TorchFile, WhatCannotBeSavedIsAnError) {
  EXPECT_THROW(from_tensor(at::Tensor()), Error);
  EXPECT_THROW(from_tensor(at::eye(2).to_sparse()), Error);
}

TEST_F(TorchFile, SafetensorsRoundTrip) {
  NamedTensors tensors = {{"w", at::arange(6, at::kFloat).view({2, 3}).t()}, {"n", at::scalar_tensor(3, at::kLong)}};
  save_safetensors(path_, tensors, {{"format", "pt"}});
  const NamedTensors copy = load_safetensors(path_);
  ASSERT_EQ(copy.size(), 2u);
  for (const auto& [name, tensor] : copy)
    EXPECT_TRUE(at::equal(tensor, name == "w" ? tensors[0].second : tensors[1].second)) << name;
}

// Python's own torch reads what we write, and we read what it writes.
TEST_F(TorchFile, PythonReadsOursAndWeReadPythons) {
  const char* named = std::getenv("FATHOM_PYTHON");
  const std::string python = named == nullptr ? "python3" : named;
  if (std::system((python + " -c 'import torch' >/dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << python << " has no torch; FATHOM_PYTHON names another interpreter";
  }
  PickleValue value = PickleValue::dict();
  value.mutable_dict().set("state_dict", state_dict_value(tensors_of_all_types(), PickleValue::ordered_dict()));
  value.mutable_dict().set("epoch", 3);
  value.mutable_dict().set("big", PickleValue::big_int("1208925819614629174706176"));
  value.mutable_dict().set("betas", PickleValue::tuple({0.9, 0.999}));
  value.mutable_dict().set("bytes", PickleValue::bytes(std::string("\0\xff", 2)));
  value.mutable_dict().set("set", PickleValue::set({1, 2}));
  value.mutable_dict().set("dtype", TensorDtype::kBFloat16);
  value.mutable_dict().set("parameter", from_tensor(at::ones({2}).set_requires_grad(true), true));
  value.mutable_dict().set("view", from_tensor(at::arange(12, at::kFloat).view({3, 4}).t()));
  PickleValue many = PickleValue::dict();
  for (int i = 0; i < 3000; ++i) many.mutable_dict().set(i, PickleValue::list({i, "text " + std::to_string(i)}));
  value.mutable_dict().set("many", many);
  save_torch_file(path_, value);
  write_file_atomically(folder_ + "/check.py", R"(
import sys, torch
x = torch.load(sys.argv[1], weights_only=True)
assert x["epoch"] == 3 and x["betas"] == (0.9, 0.999) and x["bytes"] == b"\0\xff" and x["set"] == {1, 2}, x
assert x["big"] == 1 << 80 and x["dtype"] is torch.bfloat16
assert type(x["state_dict"]).__name__ == "OrderedDict" and hasattr(x["state_dict"], "_metadata")
assert type(x["parameter"]) is torch.nn.Parameter and x["parameter"].requires_grad
assert x["view"].stride() == (1, 4) and x["view"].tolist() == torch.arange(12.).view(3, 4).t().tolist()
assert len(x["many"]) == 3000 and x["many"][2999] == [2999, "text 2999"]
base = torch.arange(24.).view(2, 3, 4)
checked = 0
for name, tensor in x["state_dict"].items():
    if tensor.shape == base.shape:
        assert torch.equal(tensor, base.to(tensor.dtype)) if tensor.element_size() > 1 else torch.equal(
            tensor.view(torch.uint8), base.to(tensor.dtype).view(torch.uint8)), name
        checked += 1
assert checked == 14, checked
torch.save(x, sys.argv[2])
torch.save(x, sys.argv[3], _use_new_zipfile_serialization=False)
)");
  const std::string copy = folder_ + "/copy.pt", legacy = folder_ + "/legacy.pt";
  const std::string command = python + " " + folder_ + "/check.py " + path_ + " " + copy + " " + legacy;
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  for (const std::string& path : {copy, legacy}) {
    const PickleValue back = load_torch_file(path);
    const NamedTensors tensors = state_dict_tensors(back.at("state_dict")), expected = tensors_of_all_types();
    ASSERT_EQ(tensors.size(), expected.size()) << path;
    for (size_t i = 0; i < tensors.size(); ++i)
      EXPECT_TRUE(same_bits(tensors[i].second, expected[i].second)) << tensors[i].first;
    EXPECT_EQ(back.at("big").as_string(), "1208925819614629174706176");
    EXPECT_TRUE(back.at("parameter").as_tensor().is_parameter);
    EXPECT_EQ(back.at("many").as_dict().size(), 3000u);
  }
}

}  // namespace
}  // namespace fathom::checkpoint
