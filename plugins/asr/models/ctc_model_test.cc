#include "plugins/asr/models/ctc_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/archive/nemo_archive.h"
#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "plugins/lib/recorded_test_data.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

Json small_config() {
  return Json::parse(R"({
    "sample_rate": 8000, "labels": [" ", "e", "f", "g", "h", "i", "n", "o", "r", "s", "t", "u", "v", "w", "x", "z"],
    "preprocessor": {"_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor", "sample_rate": 8000,
      "window_size": 0.02, "window_stride": 0.01, "features": 20, "n_fft": 256, "normalize": "per_feature", "dither": 0.0, "pad_to": 16},
    "encoder": {"_target_": "nemo.collections.asr.modules.ConvASREncoder", "feat_in": 20, "activation": "relu", "conv_mask": true,
      "jasper": [{"filters": 24, "repeat": 1, "kernel": [11], "stride": [2], "dilation": [1], "dropout": 0.0, "residual": false, "separable": true},
                 {"filters": 32, "repeat": 2, "kernel": [5], "stride": [1], "dilation": [1], "dropout": 0.0, "residual": true, "separable": true}]},
    "decoder": {"_target_": "nemo.collections.asr.modules.ConvASRDecoder", "num_classes": -1}})");
}

class CtcModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  static std::shared_ptr<EncDecCTCModel> make(Json config) {
    at::manual_seed(1);
    return std::make_shared<EncDecCTCModel>(std::move(config), ModelContext{});
  }
  static Json section(const std::string& file) {
    return {{"manifest_filepath", test_data::digits(file)}, {"batch_size", 4}, {"num_workers", 0}, {"shuffle", true}};
  }
};

// What a step logs.
struct Log {
  std::map<std::string, double> values;
  fathom_step step{};
  explicit Log(uint32_t stage, int64_t batch_idx = 0) {
    step.struct_size = sizeof(step);
    step.stage = stage;
    step.batch_idx = batch_idx;
    step.log_every_n_steps = 1;
    step.dataloader_count = 1;
    step.ctx = this;
    step.log = [](void* ctx, fathom_str name, fathom_tensor tensor, double value, uint32_t, double) {
      static_cast<Log*>(ctx)->values[to_string(name)] =
          tensor != nullptr ? reinterpret_cast<at::Tensor*>(tensor)->item<double>() : value;
      return static_cast<fathom_status>(FATHOM_OK);
    };
  }
};

Values batch_of(const Dataset& dataset, const std::vector<int64_t>& indices) {
  std::vector<void*> samples;
  for (const int64_t i : indices) samples.push_back(dataset.get_sample(i, 0));
  Values batch = dataset.collate_samples(samples.data(), samples.size());
  for (void* sample : samples) dataset.free_sample(sample);
  return batch;
}

TEST_F(CtcModelTest, FillsInTheVocabulary) {
  const auto model = make(small_config());
  EXPECT_EQ(model->config()["decoder"]["num_classes"], 16);
  EXPECT_EQ(model->config()["decoder"]["vocabulary"], model->config()["labels"]);
  EXPECT_EQ(model->config()["decoder"]["feat_in"], 32);
  Json wrong = small_config();
  wrong["decoder"]["num_classes"] = 5;
  EXPECT_THROW(make(wrong), Error);
  wrong = small_config();
  wrong.erase("labels");
  EXPECT_THROW(make(wrong), Error);
  wrong = small_config();
  wrong["decoding"] = {{"strategy", "beam"}};
  EXPECT_THROW(make(wrong), Error);
}

TEST_F(CtcModelTest, LearnsAFewClips) {
  const auto model = make(small_config());
  const auto data = model->make_dataset(Stage::kTrain, section("train.json"), "model.train_ds");
  const Values batch = batch_of(*data.get(), {0, 250, 500, 750, 1000, 1250, 1500, 1750});
  auto parameters = model->parameters();
  std::vector<at::Tensor> first(parameters.size()), second(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    first[i] = at::zeros_like(parameters[i]);
    second[i] = at::zeros_like(parameters[i]);
  }
  Log log(FATHOM_STAGE_TRAIN);
  double start = 0, end = 0;
  for (int step = 1; step <= 60; ++step) {  // Adam, by hand
    at::Tensor loss = model->training_step(batch, Step(&log.step));
    for (auto& parameter : parameters) parameter.mutable_grad() = at::Tensor();
    loss.backward();
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor grad = parameters[i].grad();
      first[i].mul_(0.9).add_(grad, 0.1);
      second[i].mul_(0.999).addcmul_(grad, grad, 0.001);
      const double a = 1 - std::pow(0.9, step), b = 1 - std::pow(0.999, step);
      parameters[i].sub_(0.01 * (first[i] / a) / ((second[i] / b).sqrt() + 1e-8));
    }
    end = loss.item<double>();
    if (step == 1) start = end;
  }
  EXPECT_LT(end, 0.35 * start);
  EXPECT_NEAR(log.values.at("train_loss"), end, 1e-9);
  EXPECT_TRUE(log.values.count("training_batch_wer") == 1 && log.values.count("global_step") == 1);
}

TEST_F(CtcModelTest, EvaluationAveragesLossesAndSumsErrors) {
  const auto model = make(small_config());
  model->eval();
  const auto data = model->make_dataset(Stage::kValidate, section("validation.json"), "model.validation_ds");
  const std::vector<std::vector<int64_t>> batches = {{0, 1, 2}, {60, 61}};
  double loss = 0;
  WerCounter errors;
  for (size_t i = 0; i < batches.size(); ++i) {
    const Values batch = batch_of(*data.get(), batches[i]);
    Log log(FATHOM_STAGE_VALIDATE, static_cast<int64_t>(i));
    model->validation_step(batch, Step(&log.step));
    EXPECT_TRUE(log.values.empty());
    const Values out =
        model->forward({{"input_signal", batch["audio_signal"]}, {"input_signal_length", batch["a_sig_length"]}});
    loss += at::ctc_loss(out.tensor("log_probs").transpose(0, 1), batch.tensor("transcripts"),
                         out.tensor("encoded_lengths"), batch.tensor("transcript_length"), 16, 0, true)
                .mean()
                .item<double>() /
            2;
    const auto texts =
        model->decoding().decode_predictions(out.tensor("greedy_predictions"), out.tensor("encoded_lengths"));
    const auto references =
        texts_of(model->decoding().vocabulary(), batch.tensor("transcripts"), batch.tensor("transcript_length"));
    for (size_t k = 0; k < texts.size(); ++k) errors.add(texts[k], references[k]);
  }
  for (const auto& [stage, prefix] : std::map<uint32_t, std::string>{{FATHOM_STAGE_VALIDATE, "val_"}}) {
    Log log(stage);
    model->eval_epoch_end(Step(&log.step));
    EXPECT_NEAR(log.values.at(prefix + "loss"), loss, 1e-4);
    EXPECT_DOUBLE_EQ(log.values.at(prefix + "wer"), errors.rate());
    Log again(stage);
    model->eval_epoch_end(Step(&again.step));
    EXPECT_TRUE(again.values.empty()) << "nothing is left after the epoch's end";
  }
}

TEST_F(CtcModelTest, ResultsDoNotDependOnTheBatch) {
  const auto model = make(small_config());
  model->eval();
  const auto data =
      model->make_dataset(Stage::kPredict, {{"manifest_filepath", test_data::digits("test.json")}}, "transcribe");
  const auto both = model->predict_step(batch_of(*data.get(), {0, 125}), Json::object());
  EXPECT_EQ(json_of(model->predict_step(batch_of(*data.get(), {0}), Json::object())[0]), json_of(both[0]));
  const Values batch = batch_of(*data.get(), {0, 125}), one = batch_of(*data.get(), {0});
  const auto run = [&](const Values& b) {
    return model->forward({{"input_signal", b["audio_signal"]}, {"input_signal_length", b["a_sig_length"]}});
  };
  const Values many = run(batch), alone = run(one);
  const int64_t frames = alone.tensor("encoded_lengths")[0].item<int64_t>();
  EXPECT_EQ(many.tensor("encoded_lengths")[0].item<int64_t>(), frames);
  EXPECT_TRUE(at::allclose(many.tensor("log_probs")[0].slice(0, 0, frames),
                           alone.tensor("log_probs")[0].slice(0, 0, frames), 1e-5, 1e-5));
}

TEST_F(CtcModelTest, ForwardTakesAudioOrFeatures) {
  const auto model = make(small_config());
  model->eval();
  model->to(at::kDouble);
  const Values out = model->call({{"processed_signal", at::randn({2, 20, 32}, at::kDouble)},
                                  {"processed_signal_length", at::tensor({32, 20}, at::kLong)}});
  EXPECT_EQ(out.tensor("log_probs").scalar_type(), at::kDouble);
  EXPECT_EQ(out.tensor("log_probs").sizes(), (at::IntArrayRef{2, 16, 17}));
  EXPECT_THROW(model->call({{"input_signal", at::zeros({1, 800})}}), Error);
}

TEST_F(CtcModelTest, DataSectionsAreChecked) {
  const auto model = make(small_config());
  const auto error_of = [&](Json section) -> std::string {
    try {
      model->make_dataset(Stage::kTrain, section, "model.train_ds");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  Json plain = section("test.json");
  plain["is_tarred"] = false;
  plain["tarred_audio_filepaths"] = nullptr;
  EXPECT_EQ(error_of(plain), "");
  plain["is_tarred"] = true;
  EXPECT_NE(error_of(plain).find("model.train_ds.tarred_audio_filepaths"), std::string::npos);
  plain["is_tarred"] = false;
  plain["max_duraton"] = 3;
  EXPECT_NE(error_of(plain).find("max_duraton"), std::string::npos);
  plain.erase("max_duraton");
  plain["sample_rate"] = 16000;
  EXPECT_NE(error_of(plain).find("16000"), std::string::npos);
  plain["sample_rate"] = 8000;
  plain["min_duration"] = 100;
  EXPECT_NE(error_of(plain).find("no clip is left"), std::string::npos);
  EXPECT_EQ(model->make_dataset(Stage::kTrain, {{"manifest_filepath", nullptr}}, "model.train_ds").get(), nullptr);
  EXPECT_THROW(model->make_dataset(Stage::kPredict, Json{{"batch_size", 1}}, "transcribe"), Error);
}

// cls and params of before Hydra, with keys that the model fills in: they go where the others stand.
TEST_F(CtcModelTest, RestoresOldSpellings) {
  const std::string path = ::testing::TempDir() + "/old_spelling." + std::to_string(::getpid()) + ".nemo";
  const ModelHandle model(create_object(
      1u << FATHOM_KIND_MODEL,
      [] {
        Json config = small_config();
        config["_target_"] = "asr.EncDecCTCModel";
        return config;
      }(),
      "model"));
  save_nemo(model, path);
  const auto archive = checkpoint::NemoArchive::open(path);
  const std::string weights(archive.at(checkpoint::kNemoWeights).bytes);
  Json config = small_config();
  config["target"] = "nemo.collections.asr.models.EncDecCTCModel";
  for (const char* key : {"decoder", "encoder", "preprocessor"}) {
    Json params = config[key];
    const Json name = params["_target_"];
    params.erase("_target_");
    config[key] = {{"cls", name}, {"params", params}};
  }
  config["spec_augment"] = {{"cls", "nemo.collections.asr.modules.SpectrogramAugmentation"},
                            {"params", {{"rng", nullptr}}}};
  checkpoint::write_nemo_archive(
      path, {checkpoint::NemoMember::of_text(std::string(checkpoint::kNemoConfig), json_text(config)),
             checkpoint::NemoMember::of_text(std::string(checkpoint::kNemoWeights), weights)});
  const auto restored = restore_nemo(path);
  EXPECT_EQ(restored.model.config()["decoder"]["num_classes"], 16);
  EXPECT_EQ(restored.model.config()["decoder"]["feat_in"], 32);
  EXPECT_FALSE(restored.model.config()["decoder"].contains("params"));
  std::filesystem::remove(path);
}

// --- a model that NeMo trained
// ------------------------------------------------------------------------------------------

TEST_F(CtcModelTest, ReadsDigitsLikeNemo) {
  const std::string folder = test_data::shared_path("golden/nemo_models/models/quartznet_digits");
  NEEDS_RECORDING(folder + "/meta.json");
  const auto restored = restore_nemo(folder + "/quartznet_digits.nemo");
  const auto meta = test_data::read_recording(folder + "/meta.json");
  const auto recorded = test_data::read_tensors(folder + "/clips.safetensors");
  restored.model.torch_module()->eval();
  at::NoGradGuard no_grad;
  for (int i = 0; i < 8; ++i) {
    const std::string clip = "clip" + std::to_string(i) + ".";
    const auto& audio = recorded.at(clip + "audio").real;
    const at::Tensor signal = at::tensor(audio).unsqueeze(0);
    const Values out = restored.model.forward(
        {{"input_signal", signal}, {"input_signal_length", at::tensor({signal.size(1)}, at::kLong)}});
    const auto& want = recorded.at(clip + "log_probs");
    const at::Tensor expected = at::tensor(want.real).view(want.shape);
    ASSERT_EQ(out.tensor("log_probs").sizes(), expected.sizes()) << clip;
    EXPECT_LE((out.tensor("log_probs") - expected).abs().max().item<double>(), 1e-3) << clip;
    EXPECT_EQ(out.tensor("encoded_lengths")[0].item<int64_t>(), recorded.at(clip + "log_probs_len").integer[0]);
  }
  // The test set, as fathom transcribe does it.
  const DatasetHandle data = restored.model.make_dataset(
      Stage::kPredict, {{"manifest_filepath", test_data::digits("test.json")}}, "transcribe");
  const auto want = test_data::read_recording(folder + "/transcripts.json")["test"];
  WerCounter errors;
  size_t differing = 0, row = 0;
  for (int64_t start = 0; start < data.size(); start += 16) {
    std::vector<DatasetHandle::Sample> samples;
    for (int64_t i = start; i < std::min(start + 16, data.size()); ++i) samples.push_back(data.get(i, 0));
    for (const Values& values : restored.model.predict_step(data.collate(samples), {{"timestamps", true}})) {
      const Json item = json_of(values);
      const std::string hypothesis = item["pred_text"];
      errors.add(hypothesis, item["text"].get<std::string>());
      differing += hypothesis != want["rows"][row]["hyp"].get<std::string>() ? 1 : 0;
      ++row;
    }
  }
  EXPECT_EQ(row, 250u);
  EXPECT_EQ(differing, 0u);
  EXPECT_DOUBLE_EQ(errors.rate(), want["wer"].get<double>());
  // Timestamps of single clips.
  size_t checked = 0;
  for (const auto& hypothesis : meta["hypotheses_batch1"]) {
    const std::string stem = std::filesystem::path(hypothesis["audio"].get<std::string>()).stem();
    const DatasetHandle one = restored.model.make_dataset(
        Stage::kPredict, {{"paths", {test_data::digits("flac/" + stem + ".flac")}}}, "transcribe");
    std::vector<DatasetHandle::Sample> samples;
    samples.push_back(one.get(0, 0));
    const Json item = json_of(restored.model.predict_step(one.collate(samples), {{"timestamps", true}})[0]);
    EXPECT_EQ(item["pred_text"].get<std::string>(), hypothesis["text"].get<std::string>());
    for (const std::string level : {"char", "word", "segment"}) {
      const auto& expected = hypothesis["timestamp"][level];
      ASSERT_EQ(item["timestamps"][level].size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(item["timestamps"][level][i][level].get<std::string>(), expected[i][level].get<std::string>());
        EXPECT_DOUBLE_EQ(item["timestamps"][level][i]["start"].get<double>(), expected[i]["start"].get<double>())
            << stem;
        EXPECT_DOUBLE_EQ(item["timestamps"][level][i]["end"].get<double>(), expected[i]["end"].get<double>()) << stem;
      }
    }
    ++checked;
  }
  EXPECT_EQ(checked, 8u);
}

}  // namespace
}  // namespace fathom::asr
