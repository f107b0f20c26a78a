#include "plugins/asr/models/speech_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/inference/predictor.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "plugins/lib/recorded_test_data.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

Json deaf_config() {
  return Json::parse(R"({
    "sample_rate": 8000, "labels": ["a", "b"],
    "preprocessor": {"sample_rate": 8000, "window_size": 0.02, "window_stride": 0.01, "features": 20, "n_fft": 256},
    "encoder": {"feat_in": 20, "activation": "relu", "conv_mask": true,
      "jasper": [{"filters": 8, "repeat": 2, "kernel": [5], "stride": [2], "dilation": [1], "dropout": 0.0, "residual": false}]},
    "joint": {"num_classes": -1}, "train_ds": {"labels": ["a", "b"]}})");
}

// The least a model adds: no decoder at all, and a decoding that hears the same in every clip.
class DeafModel final : public SpeechModel {
 public:
  explicit DeafModel(Json config, ModelContext context = {})
      : SpeechModel(std::move(config), std::move(context), {"asr.DeafModel", {"joint"}, "joint"}) {
    make_spec_augment();
  }
  Ports outputs() const override { return {{"encoded", {"B D T", AcousticEncodedRepresentation{}}}}; }
  Values forward(const Values& in) override { return {{"encoded", encode_inputs(in).output}}; }

 protected:
  void relabel(const std::vector<std::string>& labels, bool) override { set_labels(labels); }
  at::Tensor loss_of(const Encoded& encoded, const Values&) override { return encoded.output.tensor().mean(); }
  std::vector<std::string> best_texts(const Encoded& encoded) const override {
    return std::vector<std::string>(static_cast<size_t>(encoded.lengths.tensor().size(0)), "a");
  }
  std::vector<Hypothesis> decode(const Encoded& encoded, const TranscribeOptions&) const override {
    std::vector<Hypothesis> out(static_cast<size_t>(encoded.lengths.tensor().size(0)));
    for (auto& hypothesis : out) hypothesis.text = "a";
    return out;
  }
};

class SpeechModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
};

TEST_F(SpeechModelTest, CompletesTheSectionThatRepeatsTheLabels) {
  DeafModel model(deaf_config());
  EXPECT_EQ(model.config()["joint"]["num_classes"], 2);
  EXPECT_EQ(model.config()["joint"]["vocabulary"], model.config()["labels"]);
  model.change_vocabulary({"x", "y", "z"});
  EXPECT_EQ(model.config()["joint"]["num_classes"], 3);
  EXPECT_EQ(model.config()["labels"], (Json{"x", "y", "z"}));
  EXPECT_EQ(model.config()["train_ds"]["labels"], (Json{"x", "y", "z"}));
  EXPECT_THROW(model.change_vocabulary({}), Error);
  Json wrong = deaf_config();
  wrong.erase("joint");
  EXPECT_THROW(DeafModel{wrong}, Error);
}

TEST_F(SpeechModelTest, LossAndDecodingStartFromTheEncodersOutputWithoutAHead) {
  DeafModel model(deaf_config());
  model.eval();
  const Values out = model.forward(model.input_example());
  EXPECT_EQ(out.tensor("encoded").size(1), 8);
  const Values batch{{"audio_signal", at::zeros({2, 4000})}, {"a_sig_length", at::tensor({4000, 2000}, at::kLong)}};
  const auto items = model.predict_step(batch, {{"timestamps", false}});
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(json_of(items[1].items()), (Json{{"pred_text", "a"}}));
  EXPECT_THROW(model.predict_step(batch, {{"beam", 2}}), Error);
}

// The front-end of NeMo 1 gives a frame more. A restored model's config stays as it was, for NeMo to read it again.
TEST_F(SpeechModelTest, WeightsOfAnOldNemoGetItsFrontEnd) {
  const auto frames = [](const char* version, bool restoring) {
    Json config = deaf_config();
    config["nemo_version"] = version;
    ModelContext context;
    context.restoring = restoring;
    DeafModel model(config, context);
    EXPECT_FALSE(model.config()["preprocessor"].contains("front_end"));
    EXPECT_EQ(model.config().contains("nemo_version"), restoring) << "a model that is trained anew is of today";
    const auto inference = model.named_children()["preprocessor"];
    return dynamic_cast<NeuralModule&>(*inference)
        .forward({{"input_signal", at::zeros({1, 8000})}, {"length", at::full({1}, 8000, at::kLong)}})
        .tensor("processed_length")
        .item<int64_t>();
  };
  const int64_t today = frames("2.5.0", true);
  EXPECT_EQ(frames("1.23.0", true), today + 1);
  EXPECT_EQ(frames("2.4.1", true), today + 1);
  EXPECT_EQ(frames("1.23.0", false), today);
}

TEST_F(SpeechModelTest, AConventionThatTheConfigAsksForIsKeptAsAVersion) {
  const auto config_of = [](const char* front_end, const char* version, bool restoring) {
    Json config = deaf_config();
    config["preprocessor"]["front_end"] = front_end;
    if (version != nullptr) config["nemo_version"] = version;
    ModelContext context;
    context.restoring = restoring;
    return DeafModel(config, context).config();
  };
  for (const bool restoring : {false, true}) {
    for (const char* front_end : {"nemo1", "nemo3"})
      EXPECT_FALSE(config_of(front_end, "3.0.0", restoring)["preprocessor"].contains("front_end"));
  }
  EXPECT_EQ(config_of("nemo1", nullptr, false).value("nemo_version", ""), "2.4.0");
  EXPECT_EQ(config_of("nemo1", "3.0.0", true).value("nemo_version", ""), "2.4.0");
  EXPECT_EQ(config_of("nemo1", "1.23.0", true).value("nemo_version", ""), "1.23.0");
  EXPECT_EQ(config_of("nemo3", "3.0.0", true).value("nemo_version", ""), "3.0.0");
  EXPECT_FALSE(config_of("nemo3", "1.23.0", true).contains("nemo_version")) << "today's is written when it is saved";
  EXPECT_FALSE(config_of("nemo3", nullptr, false).contains("nemo_version"));
  EXPECT_THROW(config_of("nemo2", nullptr, false), Error);
  Json config = deaf_config();
  config["preprocessor"]["use_grads"] = false;
  EXPECT_FALSE(DeafModel(config).config()["preprocessor"].contains("use_grads"));
  config["preprocessor"]["use_grads"] = true;
  EXPECT_THROW(DeafModel{config}, Error);
}

TEST(FrontEnd, TheConventionsOfAConfigAreOfOneVersion) {
  const auto during = [](const Json& front_end, const Json& masking) {
    Json config = {{"preprocessor", Json::object()},
                   {"encoder", {{"_target_", "nemo.collections.asr.modules.ConformerEncoder"}}}};
    if (!front_end.is_null()) config["preprocessor"]["front_end"] = front_end;
    if (!masking.is_null()) config["encoder"]["subsampling_conv_masking"] = masking;
    const VersionConventions conventions(config, false);
    return Json{config["preprocessor"].value("front_end", Json(nullptr)),
                config["encoder"].value("subsampling_conv_masking", Json(nullptr))};
  };
  EXPECT_EQ(during("nemo1", nullptr), (Json{"nemo1", false}));
  EXPECT_EQ(during(nullptr, false), (Json{"nemo1", false}));
  EXPECT_EQ(during("nemo1", false), (Json{"nemo1", false}));
  EXPECT_EQ(during("nemo3", true), (Json{"nemo3", true}));
  EXPECT_EQ(during(nullptr, nullptr), (Json{nullptr, nullptr}));
  for (const auto& [front_end, masking] : {std::pair<const char*, bool>{"nemo1", true}, {"nemo3", false}}) {
    try {
      during(front_end, masking);
      ADD_FAILURE() << front_end;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("encoder.subsampling_conv_masking"), std::string::npos) << error.what();
    }
  }
}

TEST(FrontEnd, ConformersOfAnOldNemoDoNotMaskInsideTheirSubsampling) {
  const auto masking = [](const char* version, const char* encoder) {
    Json config = {{"nemo_version", version},
                   {"preprocessor", Json::object()},
                   {"encoder", {{"_target_", std::string("nemo.collections.asr.modules.") + encoder}}}};
    const Json before = config;
    Json during;
    {
      const VersionConventions conventions(config, true);
      during = config["encoder"].value("subsampling_conv_masking", Json(nullptr));
    }
    EXPECT_EQ(config, before);
    return during;
  };
  EXPECT_EQ(masking("2.4.0", "ConformerEncoder"), Json(false));
  EXPECT_EQ(masking("2.5.0", "ConformerEncoder"), Json(nullptr));
  EXPECT_EQ(masking("1.23.0", "ConvASREncoder"), Json(nullptr));
}

TEST(FrontEnd, ItsStrideIsInSecondsOrSamples) {
  EXPECT_DOUBLE_EQ(frame_stride({{"window_stride", 0.02}}, 8000), 0.02);
  EXPECT_DOUBLE_EQ(frame_stride({{"n_window_stride", 160}}, 8000), 0.02);
  EXPECT_DOUBLE_EQ(frame_stride(Json::object(), 8000), 0.01);
}

TEST_F(SpeechModelTest, TranscriptionIsCountedByTheCollectionsMetric) {
  const std::string model = test_data::shared_path("golden/nemo_models/models/quartznet_digits/quartznet_digits.nemo");
  NEEDS_RECORDING(model);
  const std::string manifest =
      std::filesystem::temp_directory_path() / ("fathom_transcribe_" + std::to_string(::getpid()) + ".json");
  // A no-break space parts words, as in Python.
  std::ofstream(manifest) << "{\"audio_filepath\": \"" << test_data::digits("flac/0_george_0.flac")
                          << "\", \"text\": \"zero\u00a0zero\"}\n";
  const std::map<std::string, std::string> texts = {{"hypotheses", "pred_text"}, {"references", "text"}};
  PredictRequest request;
  request.model = model;
  request.data = {{"manifest_filepath", manifest}};
  request.metrics = {{"wer", {{{"_target_", "asr.WER"}}, texts}},
                     {"bleu", {{{"_target_", "no.SuchMetric"}}, texts}},
                     {"unread", {{{"_target_", "asr.WER"}}, {{"hypotheses", "pred_text"}, {"references", "nothing"}}}}};
  std::vector<Json> items;
  const PredictTotals totals = run_prediction(request, [&](const Json& item) { items.push_back(item); });
  std::filesystem::remove(manifest);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0]["pred_text"], "zero");
  EXPECT_EQ(totals.metrics.count("bleu"), 0u) << "what no plugin provides is left out";
  EXPECT_EQ(totals.metrics.count("unread"), 0u) << "no item has its keys";
  EXPECT_EQ(totals.metrics.at("wer").at("wer_num"), 1);
  EXPECT_EQ(totals.metrics.at("wer").at("wer_denom"), 2);
}

}  // namespace
}  // namespace fathom::asr
