#include "plugins/asr/models/multitask_model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "core/base/temporary_folder.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "core/training/parameters.h"
#include "plugins/lib/recorded_test_data.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

using testing::HasSubstr;

Json multitask_config() {
  Json config = Json::parse(R"({
    "sample_rate": 8000, "prompt_format": "canary",
    "prompt_defaults": [{"role": "user", "slots": {"source_lang": "en", "target_lang": "en", "task": "asr", "pnc": "no"}}],
    "model_defaults": {"asr_enc_hidden": 24, "lm_enc_hidden": 16, "lm_dec_hidden": 16},
    "tokenizer": {"type": "agg", "langs": {"spl_tokens": {"type": "bpe"}, "en": {"type": "bpe"}},
      "custom_tokenizer": {"_target_": "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer"}},
    "preprocessor": {"sample_rate": 8000, "window_size": 0.025, "window_stride": 0.01, "features": 20, "n_fft": 256, "dither": 0.0, "pad_to": 0},
    "encoder": {"_target_": "asr.ConformerEncoder", "feat_in": 20, "n_layers": 1, "d_model": 24, "subsampling": "dw_striding",
      "subsampling_factor": 4, "subsampling_conv_channels": 8, "ff_expansion_factor": 2, "n_heads": 4, "conv_kernel_size": 5,
      "xscaling": false, "dropout": 0.0, "dropout_pre_encoder": 0.0, "dropout_att": 0.0},
    "transf_encoder": {"num_layers": 1, "hidden_size": 16, "inner_size": 16, "num_attention_heads": 2},
    "transf_decoder": {"config_dict": {"max_sequence_length": 32, "num_token_types": 0, "hidden_size": 16, "inner_size": 32,
      "num_layers": 2, "num_attention_heads": 2, "pre_ln": true, "vocab_size": null}},
    "head": {"hidden_size": 16, "num_classes": null}, "loss": {"label_smoothing": 0.1, "pad_id": null},
    "decoding": {"strategy": "greedy"}})");
  const std::string folder = FATHOM_SOURCE_DIR "/tests/data/tokenizers/";
  config["tokenizer"]["langs"]["spl_tokens"]["dir"] = folder + "canary_special";
  config["tokenizer"]["langs"]["en"]["dir"] = folder + "digits";
  return config;
}

class MultitaskModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  static ModelHandle make(Json config) {
    at::manual_seed(3);
    config["_target_"] = "nemo.collections.asr.models.EncDecMultiTaskModel";
    return ModelHandle(create_object(1u << FATHOM_KIND_MODEL, config, "model"));
  }
  static std::string complaint_about(const Json& config) {
    try {
      make(config);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static Values clips_of(const ModelHandle& model, const std::vector<int64_t>& items) {
    const DatasetHandle data =
        model.make_dataset(Stage::kPredict, {{"manifest_filepath", test_data::digits("test.json")}}, "predict_ds");
    std::vector<DatasetHandle::Sample> samples;
    for (const int64_t item : items) samples.push_back(data.get(item, 0));
    return data.collate(samples);
  }
  static std::vector<std::string> texts_of(const ModelHandle& model, const Values& batch, const Json& options) {
    std::vector<std::string> out;
    for (const Values& item : model.predict_step(batch, options)) out.push_back(item["pred_text"].text());
    return out;
  }
};

TEST_F(MultitaskModelTest, OneWeightIsEmbeddingAndHead) {
  const ModelHandle model = make(multitask_config());
  // 26 special tokens and 32 of English, rounded up.
  EXPECT_EQ(model.config()["head"]["num_classes"], 64);
  EXPECT_EQ(model.config()["transf_decoder"]["config_dict"]["vocab_size"], 64);
  EXPECT_EQ(model.config()["loss"]["pad_id"], 2);
  std::map<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : training::state_dict(*model.torch_module())) state[name] = tensor;
  const at::Tensor embedding = state.at("transf_decoder._embedding.token_embedding.weight");
  EXPECT_TRUE(state.at("log_softmax.mlp.layer0.weight").is_same(embedding) ||
              state.at("log_softmax.mlp.layer0.weight").data_ptr() == embedding.data_ptr());
  int64_t times = 0;
  for (const auto& [name, tensor] : training::named_parameters(*model.torch_module()))
    times += tensor.data_ptr() == embedding.data_ptr() ? 1 : 0;
  EXPECT_EQ(times, 1) << "an optimizer would move it twice";
  // One of another type is still one.
  model.torch_module()->to(at::kDouble);
  state.clear();
  for (const auto& [name, tensor] : training::state_dict(*model.torch_module())) state[name] = tensor;
  EXPECT_EQ(state.at("log_softmax.mlp.layer0.weight").data_ptr(),
            state.at("transf_decoder._embedding.token_embedding.weight").data_ptr());
}

TEST_F(MultitaskModelTest, AnItemGivesTheSameAloneAndInABatch) {
  const ModelHandle model = make(multitask_config());
  model.torch_module()->eval();
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> items = {0, 60, 120, 180, 240};
  const Values batch = clips_of(model, items);
  const auto forward = [&](const Values& in) {
    const at::Tensor prompt =
        at::tensor({4, 21, 19, 21, 6, 27, 30}, at::kLong).repeat({in.tensor("audio_signal").size(0), 1});
    return model.forward({{"input_signal", in.tensor("audio_signal")},
                          {"input_signal_length", in.tensor("a_sig_length")},
                          {"transcript", prompt},
                          {"transcript_length", at::full({prompt.size(0)}, 7, at::kLong)}});
  };
  const at::Tensor together = forward(batch).tensor("transf_log_probs");
  const auto texts = texts_of(model, batch, Json::object());
  for (size_t i = 0; i < items.size(); ++i) {
    const Values one = clips_of(model, {items[i]});
    const at::Tensor alone = forward(one).tensor("transf_log_probs");
    EXPECT_LT((alone[0] - together[static_cast<int64_t>(i)]).abs().max().item<float>(), 1e-5) << i;
    EXPECT_EQ(texts_of(model, one, Json::object()).at(0), texts[i]) << i;
  }
}

TEST_F(MultitaskModelTest, ALineHasItsOwnPrompt) {
  const ModelHandle model = make(multitask_config());
  model.torch_module()->eval();
  Values batch = clips_of(model, {0, 1});
  EXPECT_EQ(texts_of(model, batch, {{"target_lang", "de"}}).size(), 2u);
  try {
    texts_of(model, batch, {{"target_lang", "xx"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("<|xx|>"));
  }
  // A clip of less than a second gets silence around it.
  EXPECT_EQ(batch.tensor("a_sig_length").min().item<int64_t>(), 8000);
}

TEST_F(MultitaskModelTest, AnAnswerHasItsOwnKeyAndLanguage) {
  const ModelHandle model = make(multitask_config());
  const TemporaryFolder folder;
  const std::string line =
      "{\"audio_filepath\": \"" + test_data::digits("flac/6_george_0.flac") +
      "\", \"duration\": 0.5, \"answer\": \"six\", \"source_lang\": \"en\", \"target_lang\": \"de\", "
      "\"taskname\": \"ast\", \"pnc\": true, \"told\": \"en\"}\n";
  Json section = {
      {"manifest_filepath", folder.write("m.json", line)}, {"text_field", "answer"}, {"lang_field", "told"}};
  const DatasetHandle data = model.make_dataset(Stage::kTrain, section, "train_ds");
  std::vector<DatasetHandle::Sample> samples;
  samples.push_back(data.get(0, 0));
  const Values batch = data.collate(samples);
  const at::Tensor prompt = batch.tensor("prompt"), whole = batch.tensor("prompted_transcript");
  EXPECT_TRUE(prompt.equal(at::tensor({4, 21, 20, 22, 5}, at::kLong).unsqueeze(0))) << prompt;
  EXPECT_TRUE(whole.slice(1, 0, 5).equal(prompt));
  EXPECT_EQ(whole.select(1, -1).item<int64_t>(), 3) << "the end of the answer";
  EXPECT_TRUE(whole.slice(1, 5, -1).equal(batch.tensor("transcripts")));
  EXPECT_GT(batch.tensor("transcripts").size(1), 0);
  EXPECT_GE(batch.tensor("transcripts").min().item<int64_t>(), 26);
  // In the target language, which the tokenizer does not have.
  section.erase("lang_field");
  try {
    model.make_dataset(Stage::kTrain, section, "train_ds");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadData);
    EXPECT_THAT(error.what(), HasSubstr("m.json:1"));
    EXPECT_THAT(error.what(), HasSubstr("one of: spl_tokens, en"));
  }
}

TEST_F(MultitaskModelTest, IsRestoredWithAllItsTokenizers) {
  const TemporaryFolder folder;
  const ModelHandle model = make(multitask_config());
  save_nemo(model, folder.path() + "/a.nemo");
  const RestoredModel restored = restore_nemo(folder.path() + "/a.nemo");
  EXPECT_THAT(restored.config["tokenizer"]["langs"]["en"]["model_path"].get<std::string>(), HasSubstr("nemo:"));
  model.torch_module()->eval();
  const Values batch = clips_of(model, {0, 100, 200});
  EXPECT_EQ(texts_of(restored.model, batch, {}), texts_of(model, batch, {}));
}

TEST_F(MultitaskModelTest, SaysWhatDoesNotFit) {
  Json config = multitask_config();
  config["model_defaults"]["asr_enc_hidden"] = 23;
  EXPECT_THAT(complaint_about(config), HasSubstr("model.model_defaults.asr_enc_hidden"));
  config = multitask_config();
  config["prompt_format"] = "whisper";
  EXPECT_THAT(complaint_about(config), HasSubstr("model.prompt_format"));
  config = multitask_config();
  config["tokenizer"].erase("custom_tokenizer");
  EXPECT_THAT(complaint_about(config), HasSubstr("CanaryTokenizer"));
  config = multitask_config();
  config["head"]["hidden_size"] = 17;
  EXPECT_THAT(complaint_about(config), HasSubstr("hidden_size"));
  config = multitask_config();
  config["decoding"] = {{"strategy", "beam"}, {"beam", {{"beam_size", 2}}}};
  EXPECT_THAT(complaint_about(config), HasSubstr("model.decoding.beam.beam_size"));
  config = multitask_config();
  config["multitask_metrics_cfg"] = Json::parse(
      R"({"metrics": {"bleu": {"_target_": "nemo.collections.asr.metrics.BLEU", "constraint": ".task == translate"}}})");
  EXPECT_THAT(complaint_about(config), HasSubstr("model.multitask_metrics_cfg.metrics.bleu.constraint"));
  config = multitask_config();
  config["transf_decoder"]["encoder"] = true;
  EXPECT_THAT(complaint_about(config), HasSubstr("encoder"));
}

}  // namespace
}  // namespace fathom::asr
