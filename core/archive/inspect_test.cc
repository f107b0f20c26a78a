#include "core/archive/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/archive/nemo_archive.h"
#include "core/archive/pickle_file.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

namespace fs = std::filesystem;

PickleValue tensor(std::vector<int64_t> sizes) {
  PickleTensor out;
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  auto bytes = std::make_shared<std::string>(static_cast<size_t>(count) * 4, '\0');
  out.sizes = sizes;
  out.strides.assign(sizes.size(), 1);
  out.storage = std::make_shared<PickleStorage>();
  out.storage->bytes = *bytes;
  out.storage->size = bytes->size();
  out.storage->owner = bytes;
  return PickleValue(std::move(out));
}

class InspectTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  const std::string folder_ = testing::TempDir() + "fathom_inspect_test";
};

TEST_F(InspectTest, ANemoArchive) {
  PickleValue state = PickleValue::ordered_dict();
  const PickleValue tied = tensor({5});
  state.mutable_dict().set("preprocessor.featurizer.window", tensor({320}));
  state.mutable_dict().set("encoder.weight", tensor({3}));
  state.mutable_dict().set("encoder.bn.running_mean", tensor({3}));
  state.mutable_dict().set("decoder.weight", tied);
  state.mutable_dict().set("embedding.weight", tied);
  const PickleFileWriter weights(state, "model_weights");
  const std::string path = folder_ + "/m.nemo";
  write_nemo_archive(path,
                     {NemoMember::of_text("11_vocab.txt", "a\n"),
                      NemoMember::of_text("model_config.yaml",
                                          "target: nemo.collections.asr.models.EncDecCTCModel\nnemo_version: 1.23.0\n"
                                          "tokenizer:\n  vocab: nemo:11_vocab.txt\nlr: 1e-3\nname: 'on'\nflag: on\n"),
                      {"model_weights.ckpt", weights.size(), [&](FileWriter& writer) { weights.write(writer); }}});
  const Inspection inspection = inspect_file(path);
  EXPECT_EQ(inspection.format, "nemo");
  EXPECT_EQ(inspection.target, "nemo.collections.asr.models.EncDecCTCModel");
  EXPECT_EQ(inspection.nemo_version, "1.23.0");
  EXPECT_EQ(inspection.tensors.size(), 5u);
  EXPECT_EQ(inspection.parameters, 8) << "no buffers, tied weights once";
  ASSERT_EQ(inspection.artifacts.size(), 1u);
  EXPECT_EQ(inspection.artifacts[0].key, "tokenizer.vocab");
  const auto json = to_json(inspection);
  EXPECT_EQ(json_text(json["tensors"][1]), R"({"name":"encoder.weight","shape":[3],"dtype":"float32"})");
  EXPECT_EQ(json["config"]["lr"], 1e-3);
  EXPECT_EQ(json["config"]["name"], "on");
  EXPECT_EQ(json["config"]["flag"], true);
}

TEST_F(InspectTest, ATrainingCheckpoint) {
  PickleValue state = PickleValue::ordered_dict();
  state.mutable_dict().set("w", tensor({4}));
  PickleValue checkpoint = PickleValue::dict();
  checkpoint.mutable_dict().set("epoch", 3);
  checkpoint.mutable_dict().set("global_step", 40);
  checkpoint.mutable_dict().set("pytorch-lightning_version", "2.4.0");
  checkpoint.mutable_dict().set("state_dict", state);
  PickleValue section = PickleValue::dict();
  section.mutable_dict().set("target", "a.Model");
  PickleValue parameters = PickleValue::dict();
  parameters.mutable_dict().set("cfg", section);
  checkpoint.mutable_dict().set("hyper_parameters", parameters);
  const std::string path = folder_ + "/x.ckpt";
  const PickleFileWriter file(checkpoint);
  write_file_atomically(path, [&](FileWriter& writer) { file.write(writer); });
  const Inspection inspection = inspect_file(path);
  EXPECT_EQ(inspection.format, "lightning");
  EXPECT_EQ(inspection.epoch, 3);
  EXPECT_EQ(inspection.global_step, 40);
  EXPECT_EQ(inspection.target, "a.Model");
  EXPECT_EQ(inspection.parameters, 4);
}

TEST_F(InspectTest, ModelsWithinTheModelAndSizes) {
  PickleValue state = PickleValue::ordered_dict();
  state.mutable_dict().set("asr.w", tensor({3}));
  const PickleFileWriter weights(state, "model_weights");
  const std::string path = folder_ + "/m.nemo";
  write_nemo_archive(
      path, {NemoMember::of_text("model_config.yaml",
                                 "target: a.Outer\nnemo_version: 2.0.0\nasr:\n  target: a.Inner\n  nemo_version: "
                                 "1.0.0\n  deep: {target: a.Deep, nemo_version: 1.1.0}\nother: {target: text}\n"),
             {"model_weights.ckpt", weights.size(), [&](FileWriter& writer) { weights.write(writer); }}});
  const Inspection inspection = inspect_file(path);
  EXPECT_EQ(json_text(to_json(inspection)["models"]),
            R"([{"key":"asr","target":"a.Inner","nemo_version":"1.0.0"},)"
            R"({"key":"asr.deep","target":"a.Deep","nemo_version":"1.1.0"}])");
  EXPECT_EQ(inspection.tensor_bytes, 12u);
  EXPECT_EQ(inspection.file_bytes, fs::file_size(path));
}

// The length of a safetensors header may begin like a pickle, or like a zip.
TEST_F(InspectTest, ASafetensorsFileIsKnownByItsHeader) {
  for (const size_t size : {size_t{0x80}, size_t{0x180}}) {
    std::string header = R"({"__metadata__":{"format":"pt"}})";
    header.resize(size, ' ');
    const uint64_t length = size;
    const std::string path = folder_ + "/x.safetensors";
    write_file_atomically(path, std::string(reinterpret_cast<const char*>(&length), sizeof length) + header);
    const Inspection inspection = inspect_file(path);
    EXPECT_EQ(inspection.format, "safetensors");
    EXPECT_EQ(inspection.metadata.at("format"), "pt");
  }
}

TEST(ConfigToJson, DamageIsBadData) {
  EXPECT_EQ(json_text(config_to_json("a: 1e3\nb: ${c}\nd: ???\n", "x")), R"({"a":1000.0,"b":"${c}","d":"???"})");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int k = 0; k < 9; ++k) bomb += ", " + last;
    bomb += "]\n";
  }
  for (const std::string& text : {std::string("a: ["), bomb}) {
    try {
      config_to_json(text, "x");
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData);
    }
  }
}

// Recorded models say how many parameters they have.
TEST(InspectGolden, ParametersOfRecordedModels) {
  const fs::path models = fs::path(FATHOM_SOURCE_DIR).parent_path() / "shared" / "golden" / "nemo_models" / "models";
  if (!fs::exists(models)) GTEST_SKIP() << "no recordings at " << models;
  for (const auto& entry : fs::directory_iterator(models)) {
    std::ifstream file(entry.path() / "meta.json");
    if (!file) continue;
    const auto meta = nlohmann::json::parse(file);
    const std::string name = entry.path().filename();
    const Inspection inspection = inspect_file((entry.path() / (name + ".nemo")).string());
    if (meta.contains("parameters") && meta["parameters"].is_number()) {
      EXPECT_EQ(inspection.parameters, meta["parameters"].get<int64_t>()) << name;
    }
    EXPECT_FALSE(inspection.target.empty()) << name;
    if (meta.contains("state")) {
      EXPECT_EQ(inspection.tensors.size(), meta["state"].size()) << name;
    }
  }
}

TEST(InspectGolden, ParametersOfRecordedModelsOfNemo1) {
  const fs::path models = fs::path(FATHOM_SOURCE_DIR).parent_path() / "shared" / "golden" / "nemo_models_v1";
  if (!fs::exists(models)) GTEST_SKIP() << "no recordings at " << models;
  for (const auto& entry : fs::directory_iterator(models)) {
    if (!fs::exists(entry.path() / "model.nemo")) continue;
    // The recordings hold Infinity and NaN, which are no JSON: only the one number is looked for.
    const std::string meta = read_file((entry.path() / "meta.json").string());
    const size_t found = meta.find("\"num_weights\":");
    ASSERT_NE(found, std::string::npos) << entry.path();
    const int64_t count = std::stoll(meta.substr(found + 14));
    const Inspection inspection = inspect_file((entry.path() / "model.nemo").string());
    // num_weights counts what is trainable; some models were frozen when they were recorded, which no file says.
    if (count > 0) {
      EXPECT_EQ(inspection.parameters, count) << entry.path();
    }
    EXPECT_EQ(inspection.nemo_version, "1.23.0") << entry.path();
  }
}

}  // namespace
}  // namespace fathom::checkpoint
