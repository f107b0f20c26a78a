// How a model is restored: NeMo's restore_from() and its arguments, on a small model of this plugin.
#include <gtest/gtest.h>

#include "core/archive/nemo_archive.h"
#include "core/base/file.h"
#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "core/training/parameters.h"
#include "tests/support/error_of.h"
#include "tests/support/folder_test.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

class RestoreTest : public FolderTest {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  static Json config_of_a_model() {
    return parse_text(R"({"_target_": "asr.EncDecCTCModel", "sample_rate": 8000, "labels": ["a", "b", " "],
      "preprocessor": {"_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor", "sample_rate": 8000,
        "window_size": 0.02, "window_stride": 0.01, "features": 8, "n_fft": 256, "dither": 0.0},
      "encoder": {"_target_": "nemo.collections.asr.modules.ConvASREncoder", "feat_in": 8, "activation": "relu", "conv_mask": true,
        "jasper": [{"filters": 4, "repeat": 1, "kernel": [3], "stride": [2], "dilation": [1], "dropout": 0.0, "residual": false}]},
      "decoder": {"_target_": "nemo.collections.asr.modules.ConvASRDecoder", "num_classes": -1}})");
  }
  RestoreTest() {
    const Json config = config_of_a_model();
    const ModelHandle model(create_object(1u << FATHOM_KIND_MODEL, config, "", {{"restoring", false}}));
    save_nemo(model, nemo_);
    expected_ = training::state_dict(*model.torch_module());
  }
  void expect_same_weights(const ModelHandle& model) const {
    const auto found = training::state_dict(*model.torch_module());
    ASSERT_EQ(found.size(), expected_.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].second.equal(expected_[i].second)) << found[i].first;
  }
  const std::string nemo_ = (folder_ / "m.nemo").string();
  checkpoint::NamedTensors expected_;
};

TEST_F(RestoreTest, TheConfigAlone) {
  const Json config = read_nemo_config(nemo_);
  EXPECT_EQ(config["target"], "nemo.collections.asr.models.EncDecCTCModel");
  EXPECT_EQ(config["encoder"]["jasper"][0]["filters"], 4);
}

// NeMo's constructors refuse keys that they do not know.
TEST_F(RestoreTest, ASavedFileHasNoKeyThatNemoDoesNotKnow) {
  Json config = config_of_a_model();
  config["preprocessor"]["front_end"] = "nemo1";
  const ModelHandle model(create_object(1u << FATHOM_KIND_MODEL, config, "", {{"restoring", false}}));
  const std::string path = (folder_ / "old.nemo").string(), again = (folder_ / "again.nemo").string();
  save_nemo(model, path);
  const RestoredModel restored = restore_nemo(path);
  save_nemo(restored.model, again);
  for (const std::string& file : {path, again}) {
    const Json saved = read_nemo_config(file);
    EXPECT_EQ(saved["preprocessor"], read_nemo_config(nemo_)["preprocessor"]) << file;
    EXPECT_EQ(saved["nemo_version"], "2.4.0") << file;
  }
  const auto frames = [](const ModelHandle& of) {
    return of.forward({{"input_signal", at::zeros({1, 8000})}, {"input_signal_length", at::full({1}, 8000, at::kLong)}})
        .tensor("encoded_lengths")
        .item<int64_t>();
  };
  EXPECT_EQ(frames(restored.model), frames(model));
  EXPECT_EQ(frames(model), frames(restore_nemo(nemo_).model) + 1) << "nemo1 gives a frame more";
}

TEST_F(RestoreTest, AnUnpackedArchive) {
  const auto archive = checkpoint::NemoArchive::open(nemo_);
  for (const auto& member : archive.members()) archive.extract(member.name, (folder_ / "unpacked").string());
  expect_same_weights(restore_nemo((folder_ / "unpacked").string()).model);
}

TEST_F(RestoreTest, AnotherConfigInItsPlace) {
  RestoreOptions options;
  options.override_config = read_nemo_config(nemo_);
  options.override_config["log_prediction"] = false;
  const RestoredModel by_object = restore_nemo(nemo_, options);
  EXPECT_EQ(by_object.config["log_prediction"], false);
  expect_same_weights(by_object.model);

  RestoreOptions by_path;
  by_path.override_config_path = (folder_ / "c.yaml").string();
  write_file_atomically(by_path.override_config_path, "x: 3\nmodel: " + json_text(options.override_config) + "\n");
  expect_same_weights(restore_nemo(nemo_, by_path).model);
  write_file_atomically(by_path.override_config_path, "x: 3\n");
  EXPECT_NE(error_of([&] { restore_nemo(nemo_, by_path); }).find("c.yaml"), std::string::npos);
}

TEST_F(RestoreTest, WeightsThatAreNotAllThere) {
  RestoreOptions options;
  options.overrides = {{"encoder", {{"jasper", read_nemo_config(nemo_)["encoder"]["jasper"]}}}};
  options.overrides["encoder"]["jasper"][0]["repeat"] = 2;
  EXPECT_NE(error_of([&] { restore_nemo(nemo_, options); }).find("encoder.encoder.0.mconv."), std::string::npos);
  options.strict = false;
  EXPECT_GT(training::state_dict(*restore_nemo(nemo_, options).model.torch_module()).size(), expected_.size());
}

TEST_F(RestoreTest, OtherDevicesAreRefusedByName) {
  RestoreOptions options;
  options.map_location = "cuda:0";
  EXPECT_NE(error_of([&] { restore_nemo(nemo_, options); }).find("cuda:0"), std::string::npos);
}

// A config of NeMo 1.0: `cls` and `params`.
TEST_F(RestoreTest, AConfigOfAnOldVersion) {
  Json old = read_nemo_config(nemo_);
  for (const char* part : {"preprocessor", "encoder", "decoder"}) {
    Json params = old[part];
    const Json cls = params["_target_"];
    params.erase("_target_");
    old[part] = {{"cls", cls}, {"params", params}};
  }
  RestoreOptions options;
  options.override_config_path = (folder_ / "old.yaml").string();
  write_file_atomically(options.override_config_path, json_text(old) + "\n");
  const RestoredModel restored = restore_nemo(nemo_, options);
  EXPECT_TRUE(restored.config["encoder"].contains("_target_"));
  expect_same_weights(restored.model);
}

}  // namespace
}  // namespace fathom::asr
