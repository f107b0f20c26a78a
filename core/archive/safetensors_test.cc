#include "core/archive/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

using testing::HasSubstr;

class Safetensors : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string refusal(const std::string& header, const std::string& data) {
    std::string bytes(8, '\0');
    const uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, 8);
    write_file_atomically(path_, bytes + header + data);
    try {
      read_safetensors(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData);
      return error.what();
    }
    return "nothing was refused";
  }

  const std::string folder_ = testing::TempDir() + "fathom_safetensors_test";
  const std::string path_ = folder_ + "/x.safetensors";
};

PickleTensor tensor_of(TensorDtype dtype, std::vector<int64_t> sizes, std::string bytes) {
  PickleTensor tensor;
  tensor.dtype = dtype;
  tensor.sizes = std::move(sizes);
  tensor.strides.resize(tensor.sizes.size());
  int64_t stride = 1;
  for (size_t i = tensor.sizes.size(); i-- > 0; stride *= tensor.sizes[i]) tensor.strides[i] = stride;
  auto owner = std::make_shared<std::string>(std::move(bytes));
  tensor.storage = std::make_shared<PickleStorage>();
  tensor.storage->bytes = *owner;
  tensor.storage->size = owner->size();
  tensor.storage->owner = owner;
  return tensor;
}

TEST_F(Safetensors, TensorsAndMetadataComeBack) {
  SafetensorsFile file;
  file.tensors.emplace_back("b", tensor_of(TensorDtype::kInt8, {3}, "abc"));
  file.tensors.emplace_back("a", tensor_of(TensorDtype::kFloat32, {2, 1}, "12345678"));
  file.tensors.emplace_back("none", tensor_of(TensorDtype::kInt64, {4, 0}, ""));
  file.tensors.emplace_back("scalar", tensor_of(TensorDtype::kFloat16, {}, "xy"));
  file.metadata["format"] = "pt";
  write_safetensors(path_, file);
  const SafetensorsFile copy = read_safetensors(path_);
  ASSERT_EQ(copy.tensors.size(), 4u);
  EXPECT_EQ(copy.metadata.at("format"), "pt");
  EXPECT_EQ(copy.find("a")->storage->bytes, "12345678");
  EXPECT_EQ(copy.find("a")->sizes, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(copy.find("b")->storage->bytes, "abc");
  EXPECT_EQ(copy.find("scalar")->sizes.size(), 0u);
  EXPECT_EQ(copy.find("none")->numel(), 0);
  EXPECT_EQ(copy.find("c"), nullptr);
}

TEST_F(Safetensors, EveryDtypeOfTheFormat) {
  SafetensorsFile file;
  for (const char* name : {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "U16", "I16", "F16", "BF16", "U32",
                           "I32", "F32", "U64", "I64", "F64", "C64"}) {
    const TensorDtypeInfo* info = find_safetensors_dtype(name);
    ASSERT_NE(info, nullptr) << name;
    auto bytes = std::make_shared<std::string>(size_t{3} * info->size, name[0]);
    PickleTensor tensor;
    tensor.dtype = info->dtype;
    tensor.sizes = {3};
    tensor.strides = {1};
    tensor.storage = std::make_shared<PickleStorage>();
    tensor.storage->size = bytes->size();
    tensor.storage->bytes = *bytes;
    tensor.storage->owner = bytes;
    file.tensors.emplace_back(name, tensor);
  }
  write_safetensors(path_, file);
  const SafetensorsFile copy = read_safetensors(path_);
  ASSERT_EQ(copy.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(copy.find(name)->dtype, tensor.dtype) << name;
    EXPECT_EQ(copy.find(name)->storage->bytes, tensor.storage->bytes) << name;
  }
  PickleTensor& first = file.tensors[0].second;
  first.dtype = TensorDtype::kComplex128;
  EXPECT_THROW(write_safetensors(path_, file), Error) << "the format has no such type";
}

// A header of many tensors takes the time of its tensors, not their square.
TEST_F(Safetensors, ManyTensors) {
  std::string header = "{";
  for (int i = 0; i < 50'000; ++i)
    header += "\"tensor" + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  header.back() = '}';
  EXPECT_THAT(refusal(header, ""), HasSubstr("nothing"));
  EXPECT_EQ(read_safetensors(path_).tensors.size(), 50'000u);
}

TEST_F(Safetensors, DamageIsRefused) {
  EXPECT_THAT(refusal(" {}", ""), HasSubstr("JSON"));

  EXPECT_THAT(refusal("{", ""), HasSubstr("JSON"));
  EXPECT_THAT(refusal("[]", ""), HasSubstr("JSON"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", "1234"), HasSubstr("incomplete"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "1234"), HasSubstr("dtype"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"), HasSubstr("disagree"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"), HasSubstr("none"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9]}})", "1234"), HasSubstr("outside"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("larger"));
  EXPECT_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
          "123"),
      HasSubstr("overlap"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "123"), HasSubstr("no tensor"));
  EXPECT_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "1"),
      HasSubstr("one name"));
}

}  // namespace
}  // namespace fathom::checkpoint
