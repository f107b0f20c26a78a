#include "plugins/asr/models/classification_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "plugins/asr/losses/cross_entropy_loss.h"
#include "plugins/asr/metrics/classification_accuracy.h"
#include "plugins/asr/modules/crop_or_pad.h"
#include "plugins/lib/recorded_test_data.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

Json classifier_config() {
  return Json::parse(R"({
    "labels": ["two", "one", "zero"],
    "preprocessor": {"sample_rate": 8000, "window_size": 0.025, "window_stride": 0.01, "n_mels": 16, "n_mfcc": 16, "n_fft": 256},
    "encoder": {"feat_in": 16, "activation": "relu", "conv_mask": true,
      "jasper": [{"filters": 24, "repeat": 1, "kernel": [11], "stride": [1], "dilation": [1], "dropout": 0.0, "residual": false, "separable": true}]},
    "decoder": {"feat_in": 24, "num_classes": 30},
    "train_ds": {"labels": ["two", "one", "zero"]}, "validation_ds": {"labels": ["two", "one", "zero"]}})");
}

class ClassificationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/classification." + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::shared_ptr<EncDecClassificationModel> make(Json config, ModelContext context = {}) {
    at::manual_seed(1);
    return std::make_shared<EncDecClassificationModel>(std::move(config), std::move(context));
  }
  // A manifest of the first clips of the digits 0 to `digits` - 1, with a label at `key`.
  std::string manifest(int digits, int each, const std::string& key = "command") {
    const std::vector<std::string> names = {"zero", "one", "two", "three"};
    const std::string path = folder_ + "/" + std::to_string(digits) + key + ".json";
    std::ofstream out(path);
    for (int i = 0; i < each; ++i) {
      for (int d = 0; d < digits; ++d) {
        out << json_text(Json{{"audio_filepath", test_data::digits("flac/" + std::to_string(d) + "_george_" +
                                                                   std::to_string(i) + ".flac")},
                              {"duration", 0.25},
                              {key, names[d]}})
            << "\n";
      }
    }
    return path;
  }
  std::string folder_;
};

Values batch_from(const Dataset& dataset, const std::vector<int64_t>& indices) {
  std::vector<void*> samples;
  for (const int64_t i : indices) samples.push_back(dataset.get_sample(i, 0));
  Values batch = dataset.collate_samples(samples.data(), samples.size());
  for (void* sample : samples) dataset.free_sample(sample);
  return batch;
}

std::string error_from(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// --- data ------------------------------------------------------------------------------------------------------------

TEST_F(ClassificationTest, LabelsAreNumberedAsListedOrSorted) {
  AudioLabelDataset::Options options;
  options.manifest_filepath = manifest(3, 2);
  options.sample_rate = 8000;
  const AudioToSpeechLabelDataset sorted(options);
  EXPECT_EQ(sorted.labels(), (std::vector<std::string>{"one", "two", "zero"}));
  EXPECT_EQ(sorted.occurrences(), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_TRUE(at::equal(batch_from(sorted, {0, 1, 2}).tensor("label"), at::tensor({2, 0, 1}, at::kLong)));
  options.labels = std::vector<std::string>{"zero", "one", "two", "three"};
  EXPECT_EQ(AudioToSpeechLabelDataset(options).get(4, 0).label, 1);
  options.labels = std::vector<std::string>{"zero", "ones", "two"};
  const std::string error = error_from([&] { AudioToSpeechLabelDataset{options}; });
  for (const char* part : {":2", "one", "ones"}) EXPECT_NE(error.find(part), std::string::npos) << error;
  options.labels = std::vector<std::string>{"zero", "zero"};
  EXPECT_THROW(AudioToSpeechLabelDataset{options}, Error);
}

TEST_F(ClassificationTest, LabelsStandWhereNemoLooksForThemOrInTheText) {
  AudioLabelDataset::Options options;
  options.sample_rate = 8000;
  for (const char* key : {"command", "target", "label"}) {
    options.manifest_filepath = manifest(2, 1, key);
    EXPECT_EQ(AudioToClassificationLabelDataset(options).labels().size(), 2u) << key;
  }
  options.manifest_filepath = manifest(2, 1, "text");
  EXPECT_NE(error_from([&] { AudioToClassificationLabelDataset{options}; }).find("label_key"), std::string::npos);
  options.label_key = "text";
  EXPECT_EQ(AudioToClassificationLabelDataset(options).labels().size(), 2u);
  options.label_key = "speaker";
  EXPECT_THROW(AudioToClassificationLabelDataset{options}, Error);
}

TEST_F(ClassificationTest, ShortClipsAreRepeatedOrFollowedByZeros) {
  const std::vector<at::Tensor> clips = {at::tensor({1.f, 2.f, 3.f}), at::arange(8, at::kFloat), at::tensor({5.f})};
  const PaddedClips repeated = pad_clips(clips, ClipPadding::kRepeat);
  EXPECT_TRUE(at::equal(repeated.audio[0], at::tensor({1.f, 2.f, 3.f, 1.f, 2.f, 3.f, 2.f, 3.f}))) << repeated.audio;
  EXPECT_TRUE(at::equal(repeated.audio[2], at::full({8}, 5.f)));
  EXPECT_TRUE(at::equal(repeated.lengths, at::full({3}, 8, at::kLong)));
  const PaddedClips zeros = pad_clips(clips, ClipPadding::kZeros);
  EXPECT_TRUE(at::equal(zeros.audio[0], at::tensor({1.f, 2.f, 3.f, 0.f, 0.f, 0.f, 0.f, 0.f})));
  EXPECT_TRUE(at::equal(zeros.lengths, at::tensor({3, 8, 1}, at::kLong)));
}

// --- parts -----------------------------------------------------------------------------------------------------------

TEST_F(ClassificationTest, CrossEntropyKnowsWeightsAndMasks) {
  const at::Tensor logits = at::tensor({2.0, 0.0, 0.0, 1.0}, at::kDouble).view({2, 2}),
                   labels = at::tensor({0, 1}, at::kLong);
  const double first = std::log1p(std::exp(-2.0)), second = std::log1p(std::exp(-1.0));
  const auto loss = [&](CrossEntropyLoss::Options options, const at::Tensor& mask = {}) {
    Values in{{"logits", logits}, {"labels", labels}};
    if (mask.defined()) in.add("loss_mask", mask);
    return CrossEntropyLoss(options).forward(in).tensor("loss");
  };
  EXPECT_NEAR(loss({}).item<double>(), (first + second) / 2, 1e-12);
  CrossEntropyLoss::Options weighted;
  weighted.weight = {3, 1};
  EXPECT_NEAR(loss(weighted).item<double>(), (3 * first + second) / 4, 1e-12);
  EXPECT_NEAR(loss({}, at::tensor({0.0, 1.0})).item<double>(), second, 1e-12);
  EXPECT_NEAR(loss({}, at::zeros({2})).item<double>(), (first + second) / 2, 1e-12) << "of the likeliest classes";
  CrossEntropyLoss::Options none;
  none.reduction = "none";
  EXPECT_EQ(loss(none).numel(), 2);
  none.reduction = "median";
  EXPECT_THROW(CrossEntropyLoss{none}, Error);
  weighted.weight = {1, 1, 1};
  EXPECT_THROW(loss(weighted), Error);
}

TEST_F(ClassificationTest, AccuracyCountsTheKLikeliest) {
  const at::Tensor logits = at::tensor({3.f, 2.f, 1.f, 1.f, 3.f, 2.f}).view({2, 3}),
                   labels = at::tensor({0, 2}, at::kLong);
  TopKClassificationAccuracy::Options options;
  options.top_k = {1, 2};
  TopKClassificationAccuracy accuracy(options);
  accuracy.update({{"logits", logits}, {"labels", labels}});
  std::map<std::string, double> got;
  for (const auto& [name, value] : accuracy.compute()) got[name] = value;
  EXPECT_EQ(got.at("top_1"), 0.5);
  EXPECT_EQ(got.at("top_2"), 1.0);
  TopKClassificationAccuracy copy(options);
  copy.set_sums(accuracy.sums());
  EXPECT_EQ(copy.compute(), accuracy.compute());
  for (const Json& wrong : {Json(0), Json("1"), Json::array(), Json::array({1, 2.5})}) {
    options.top_k = wrong;
    EXPECT_THROW(TopKClassificationAccuracy{options}, Error) << json_text(wrong);
  }
  options.top_k = 4;
  TopKClassificationAccuracy wide(options);
  EXPECT_THROW(wide.update({{"logits", logits}, {"labels", labels}}), Error);
}

TEST_F(ClassificationTest, MacroAccuracyIsTheMeanOverClassesThatOccur) {
  MacroAccuracy::Options options;
  options.num_classes = 4;
  MacroAccuracy accuracy(options);
  const at::Tensor eye = at::eye(4);
  // Classes 0, 0, 1 are answered 0, 1, 1; class 2 never occurs, class 3 neither.
  accuracy.update({{"logits", at::stack({eye[0], eye[1], eye[1]})}, {"labels", at::tensor({0, 0, 1}, at::kLong)}});
  EXPECT_NEAR(accuracy.compute()[0].second, (0.5 + 1) / 2, 1e-12);
  // One batch more, of class 2, answered 0: the first one now counts twice.
  accuracy.update({{"logits", at::stack({eye[0]})}, {"labels", at::tensor({2}, at::kLong)}});
  EXPECT_NEAR(accuracy.compute()[0].second, (0.5 + 1 + 0) / 3, 1e-12);
  accuracy.update({{"logits", at::stack({eye[0]})}, {"labels", at::tensor({0}, at::kLong)}});
  EXPECT_NEAR(accuracy.compute()[0].second, (4.0 / 7 + 1 + 0) / 3, 1e-12) << "3 x 1 of 2, and 1 of 1";
  MacroAccuracy copy(options);
  copy.set_sums(accuracy.sums());
  EXPECT_EQ(copy.compute(), accuracy.compute());
  EXPECT_THROW(accuracy.update({{"logits", at::eye(4)}, {"labels", at::tensor({0, 1, 2, 4}, at::kLong)}}), Error);
}

TEST_F(ClassificationTest, CropOrPadGivesOneLength) {
  CropOrPadSpectrogramAugmentation::Options options;
  options.audio_length = 5;
  CropOrPadSpectrogramAugmentation five(options);
  const at::Tensor lengths = at::tensor({2, 2}, at::kLong), two = at::ones({2, 3, 2});
  const Values padded = five.forward({{"input_signal", two}, {"length", lengths}});
  EXPECT_TRUE(at::equal(padded.tensor("processed_signal")[0][0], at::tensor({0.f, 1.f, 1.f, 0.f, 0.f})));
  EXPECT_TRUE(at::equal(padded.tensor("processed_length"), at::full({2}, 5, at::kLong)));
  const at::Tensor ramp = at::arange(40, at::kFloat).view({2, 1, 20});
  const at::Tensor cut = five.forward({{"input_signal", ramp}, {"length", lengths}}).tensor("processed_signal");
  EXPECT_EQ(cut.sizes(), (at::IntArrayRef{2, 1, 5}));
  EXPECT_TRUE(at::equal(cut.diff(), at::ones({2, 1, 4}))) << "a piece of each";
  options.audio_length = -1;
  EXPECT_THROW(CropOrPadSpectrogramAugmentation{options}, Error);
}

// --- the model -------------------------------------------------------------------------------------------------------

TEST_F(ClassificationTest, ClassesAreTheSortedLabelsOfTheTrainingData) {
  const auto model = make(classifier_config());
  EXPECT_EQ(model->config()["decoder"]["num_classes"], 3) << "as many as labels, whatever the section says";
  const Json section = {
      {"manifest_filepath", manifest(3, 4)}, {"vad_stream", false}, {"labels", {"two", "one", "zero"}}};
  model->make_dataset(Stage::kTrain, section, "model.train_ds");
  EXPECT_EQ(model->config()["train_ds"]["labels"], (Json{"one", "two", "zero"}));
  EXPECT_EQ(model->config()["validation_ds"]["labels"], (Json{"two", "one", "zero"}));
  const auto validation = model->make_dataset(Stage::kValidate, section, "model.validation_ds");
  EXPECT_TRUE(at::equal(batch_from(*validation.get(), {0, 1, 2}).tensor("label"), at::tensor({2, 0, 1}, at::kLong)));
  // A restored model takes the order from there.
  ModelContext context;
  context.restoring = true;
  const auto restored = make(model->config(), context);
  const auto test = restored->make_dataset(Stage::kTest, section, "model.test_ds");
  EXPECT_TRUE(at::equal(batch_from(*test.get(), {0, 1, 2}).tensor("label"), at::tensor({2, 0, 1}, at::kLong)));

  const Json more = {{"manifest_filepath", manifest(4, 1)}};
  const std::string error = error_from([&] { model->make_dataset(Stage::kTrain, more, "model.train_ds"); });
  EXPECT_NE(error.find("more labels than the model"), std::string::npos) << error;
}

TEST_F(ClassificationTest, ConfigsAreChecked) {
  const auto with = [](const std::string& key, const Json& value) {
    Json config = classifier_config();
    config[key] = value;
    return error_from([&] { make(config); });
  };
  EXPECT_NE(with("labels", nullptr).find("no labels"), std::string::npos);
  EXPECT_NE(with("labels", {"yes", false}).find("put quotes"), std::string::npos) << "YAML reads no as false";
  EXPECT_NE(with("is_regression_task", true).find("regression"), std::string::npos);
  EXPECT_NE(with("crop_or_pad_augment", {{"audio_length", -3}}).find("audio_length"), std::string::npos);
  EXPECT_EQ(with("crop_or_pad_augment", {{"audio_length", 30}}), "");
  EXPECT_NE(with("decoder", nullptr).find("decoder"), std::string::npos);
  const auto model = make(classifier_config());
  const std::string off = error_from([&] {
    model->make_dataset(Stage::kTrain, {{"manifest_filepath", manifest(3, 1)}, {"vad_stream", true}}, "model.train_ds");
  });
  EXPECT_NE(off.find("vad_stream"), std::string::npos) << off;
}

TEST_F(ClassificationTest, FilesOfOlderVersionsAreTaken) {
  Json config = classifier_config();
  config["nemo_version"] = "1.23.0";
  ModelContext context;
  context.restoring = true;
  EXPECT_NO_THROW(make(config, context));
  config["preprocessor"] = {{"_target_", "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor"},
                            {"sample_rate", 8000},
                            {"features", 16},
                            {"n_fft", 256}};
  EXPECT_FALSE(make(config, context)->config()["preprocessor"].contains("front_end")) << "NeMo has no such key";
}

TEST_F(ClassificationTest, WeightsByOccurrenceMakeClassesWeighAlike) {
  Json config = classifier_config();
  config["loss"] = {{"weight", "auto"}};
  const auto model = make(config);
  const std::string path = manifest(3, 2);
  std::ofstream(path, std::ios::app) << json_text(Json{{"audio_filepath", test_data::digits("flac/0_george_9.flac")},
                                                       {"duration", 0.25},
                                                       {"command", "zero"}})
                                     << "\n";
  model->make_dataset(Stage::kTrain, {{"manifest_filepath", path}}, "model.train_ds");
  const auto buffers = model->named_buffers();
  const at::Tensor* weight = buffers.find("loss.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_TRUE(at::allclose(*weight, at::tensor({7.f / 6, 7.f / 6, 7.f / 9}))) << *weight;
  EXPECT_EQ(buffers.find("eval_loss.weight"), nullptr);
}

TEST_F(ClassificationTest, AnswersDoNotDependOnTheBatchAndAreKeptInAFile) {
  const auto model = make(classifier_config());
  model->make_dataset(Stage::kTrain, {{"manifest_filepath", manifest(3, 1)}}, "model.train_ds");
  model->eval();
  const auto clips = model->make_dataset(Stage::kPredict, {{"manifest_filepath", manifest(3, 1, "label")}}, "predict");
  const Json with_logits = {{"logprobs", true}, {"timestamps", false}};
  const auto both = model->predict_step(batch_from(*clips.get(), {0, 2}), with_logits);
  const Json alone = json_of(model->predict_step(batch_from(*clips.get(), {2}), with_logits).at(0));
  EXPECT_EQ(alone, json_of(both[1]));
  EXPECT_EQ(alone["text"], "two");
  EXPECT_EQ(alone["logits"].size(), 3u);
  size_t best = 0;
  for (size_t i = 1; i < 3; ++i) best = alone["logits"][i] > alone["logits"][best] ? i : best;
  EXPECT_EQ(alone["pred_text"], (std::vector<std::string>{"one", "two", "zero"})[best]);
  EXPECT_THROW(model->predict_step(batch_from(*clips.get(), {0}), {{"timestamps", true}}), Error);
  EXPECT_THROW(model->predict_step(batch_from(*clips.get(), {0}), {{"top_k", 1}}), Error);
}

TEST_F(ClassificationTest, LabelsCanChange) {
  const auto model = make(classifier_config());
  const at::Tensor before = model->named_parameters()["decoder.decoder_layers.0.weight"];
  model->change_vocabulary({"two", "one", "zero"});
  EXPECT_TRUE(before.is_same(model->named_parameters()["decoder.decoder_layers.0.weight"]));
  model->change_vocabulary({"yes", "no", "maybe", "never"});
  EXPECT_EQ(model->named_parameters()["decoder.decoder_layers.0.weight"].size(0), 4);
  EXPECT_EQ(model->config()["decoder"]["num_classes"], 4);
  EXPECT_EQ(model->config()["train_ds"]["labels"], model->config()["labels"]);
  EXPECT_THROW(model->change_vocabulary({}), Error);
}

}  // namespace
}  // namespace fathom::asr
