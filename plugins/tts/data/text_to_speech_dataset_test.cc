// TextToSpeechDataset and MetaVocoderDataset beside what NeMo 3.0's made of the same clips (tests/golden/tts_sets).
#include "plugins/tts/data/text_to_speech_dataset.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/engine/engine.h"
#include "core/plugins/host_table.h"
#include "fathom/model_files.h"
#include "plugins/tts/data/meta_vocoder_dataset.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::tts {
namespace {

const std::string kClips = std::string(FATHOM_SOURCE_DIR) + "/tests/data/ljspeech_mini";
const std::string kRecorded = std::string(FATHOM_SOURCE_DIR) + "/tests/golden/tts_sets/";
const std::string kFeatures = "nemo.collections.tts.parts.preprocessing.features.";
const std::string kProcessors = "nemo.collections.tts.parts.preprocessing.feature_processors.";
const std::string kTokenizers = "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers.";

template <typename Set, typename Item>
Values batch_of(const Set& set, std::vector<Item> items = {}) {
  for (int64_t i = 0; i < set.size(); ++i) items.push_back(set.get(i, 1));
  std::vector<const Item*> pointers;
  for (const Item& item : items) pointers.push_back(&item);
  return set.collate(pointers);
}

template <typename Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

class TtsSets : public ::testing::Test {
 protected:
  void SetUp() override {
    host_slot() = plugins::host_table();
    static Engine* const engine = fathom_make_engine();  // once a process
    ASSERT_NE(engine, nullptr);
  }
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  Json meta() const {
    return {
        {"lj",
         {{"manifest_path", kRecorded + "manifest.json"}, {"audio_dir", kClips}, {"feature_dir", file("features")}}}};
  }
  Json section() const {
    const Json mel = {{"_target_", kFeatures + "MelSpectrogramFeaturizer"},
                      {"sample_rate", 16000},
                      {"win_length", 1024},
                      {"hop_length", 256},
                      {"mel_dim", 80},
                      {"lowfreq", 0},
                      {"highfreq", nullptr}};
    const Json pitch = {{"_target_", kFeatures + "PitchFeaturizer"},
                        {"voiced_prob_name", "voiced_prob"},
                        {"sample_rate", 16000},
                        {"win_length", 1024},
                        {"hop_length", 256},
                        {"pitch_fmin", 60},
                        {"pitch_fmax", 640},
                        {"batch_seconds", 1.5}};  // so that the clip is looked at in two pieces
    const std::string stats = kRecorded + "feature_stats.json";
    const auto processor = [&](const char* type, const char* field) {
      return Json{{"_target_", kProcessors + type}, {"field", field}};
    };
    Json by_speaker = processor("MeanVarianceSpeakerNormalization", "pitch"),
         by_all = processor("MeanVarianceNormalization", "energy"), scale = processor("FeatureScaler", "voiced_prob"),
         logs = processor("LogCompression", "voiced_prob");
    by_speaker["stats_path"] = by_all["stats_path"] = stats;
    scale.update({{"add_value", 0.5}, {"div_value", 2.0}});
    logs.update({{"log_zero_guard_type", "clamp"}, {"log_zero_guard_value", 0.3}});
    return {{"dataset_meta", meta()},
            {"sample_rate", 16000},
            {"speaker_path", kRecorded + "speakers.json"},
            {"featurizers",
             {{"pitch", pitch}, {"energy", {{"_target_", kFeatures + "EnergyFeaturizer"}, {"spec_featurizer", mel}}}}},
            {"feature_processors", {{"a", by_speaker}, {"b", by_all}, {"c", scale}, {"d", logs}}},
            {"align_prior_hop_length", 256},
            {"min_duration", 0.1},
            {"text_tokenizer", {{"_target_", kTokenizers + "EnglishCharsTokenizer"}, {"pad_with_space", true}}}};
  }
  static TextToSpeechDataset make(const Json& section) {
    return TextToSpeechDataset(parse_options<TextToSpeechOptions>(section, "train_ds.dataset"), Json::object());
  }
  TemporaryFolder folder_;
};

TEST_F(TtsSets, BatchesAreNeMos) {
  const Values recorded = load_tensors(kRecorded + "batch.safetensors");
  for (const bool kept : {false, true}) {  // computed, and read again
    const TextToSpeechDataset set = make(section());
    const Values batch = batch_of<TextToSpeechDataset, TextToSpeechItem>(set);
    EXPECT_EQ(batch.size(), 12U);
    for (const auto& [name, value] : recorded) {
      if (name.starts_with("vocoder")) continue;
      at::Tensor ours = name == "audio_lens"         ? batch.tensor("audio_len")
                        : name == "text_lens"        ? batch.tensor("text_len")
                        : name == "audio_every_16th" ? batch.tensor("audio").slice(1, 0, std::nullopt, 16)
                                                     : batch.tensor(name);
      ASSERT_EQ(ours.sizes(), value.tensor().sizes()) << name;
      EXPECT_TRUE(at::allclose(ours.to(at::kDouble), value.tensor().to(at::kDouble), 1e-5, 2e-6)) << name << kept;
    }
    EXPECT_EQ(batch["dataset_names"].list().at(1).text(), "lj");
    EXPECT_EQ(batch["audio_filepaths"].list().at(0).text(), "wavs/LJ001-0002.flac");
    for (const char* name : {"pitch", "voiced_mask", "voiced_prob", "energy"})
      EXPECT_TRUE(std::filesystem::exists(file("features/") + name + "/wavs/LJ001-0002.npy")) << name;
  }
}

TEST_F(TtsSets, VocodersBatchesAreNeMos) {
  const Values recorded = load_tensors(kRecorded + "batch.safetensors");
  Json given = {{"dataset_meta", meta()},
                {"sample_rate", 22050},
                {"resample_rate", 16000},
                {"trunc_duration", 1.2},
                {"volume_norm", true}};
  const auto make_set = [&] {
    return MetaVocoderDataset(parse_options<MetaVocoderOptions>(given, "train_ds.dataset"));
  };
  const Values batch = batch_of<MetaVocoderDataset, MetaVocoderItem>(make_set());
  EXPECT_TRUE(at::allclose(batch.tensor("audio").slice(1, 0, std::nullopt, 16),
                           recorded.tensor("vocoder_audio_every_16th"), 0, 5e-5));
  EXPECT_TRUE(at::equal(batch.tensor("audio_len"), recorded.tensor("vocoder_audio_lens").to(at::kLong)));
  // Pieces lie in the line's part of the file.
  given = {{"dataset_meta", meta()}, {"sample_rate", 16000}, {"n_samples", 4000}};
  const MetaVocoderDataset pieces = make_set();
  given.erase("n_samples");
  const MetaVocoderDataset whole = make_set();
  const at::Tensor part = whole.get(1, 0).audio;
  EXPECT_EQ(part.size(0), 16000);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const at::Tensor piece = pieces.get(1, seed).audio;
    ASSERT_EQ(piece.size(0), 4000);
    bool found = false;
    for (int64_t at = 0; at + 4000 <= part.size(0) && !found; ++at)
      found = part[at].item<float>() == piece[0].item<float>() && at::equal(part.narrow(0, at, 4000), piece);
    EXPECT_TRUE(found) << seed;
  }
}

TEST_F(TtsSets, ClipsAreDrawnByTheirSetsWeights) {
  Json sets = meta();
  sets["other"] = sets["lj"];
  sets["other"]["sample_weight"] = 3.0;
  const ClipSets clips(parse_options<ClipSetsOptions>(
      {{"dataset_meta", sets}, {"weighted_sampling_steps_per_epoch", 500}}, "train_ds.dataset"));
  BatchRequest request;
  request.batch_size = 8;
  const auto plan = clips.plan_batches(request);
  EXPECT_EQ(plan.size(), 500U);
  EXPECT_EQ(plan, clips.plan_batches(request));
  std::vector<int64_t> counts(4);
  for (const auto& batch : plan) {
    ASSERT_EQ(batch.size(), 8U);
    for (const int64_t item : batch) ++counts.at(static_cast<size_t>(item));
  }
  // 4000 draws: 500 and 1500 expected, deviations of 21 and 31.
  for (const size_t item : {0U, 1U}) EXPECT_NEAR(counts[item], 500, 100);
  for (const size_t item : {2U, 3U}) EXPECT_NEAR(counts[item], 1500, 150);
  request.epoch = 1;
  EXPECT_NE(plan, clips.plan_batches(request));
  EXPECT_EQ(clips.clip(3).set->name, "other");
}

TEST_F(TtsSets, WhatIsWrongIsSaid) {
  const auto with = [&](const Json::json_pointer& place, const Json& value) {
    Json given = section();
    given[place] = value;
    return error_of([&] { make(given).get(1, 1); });
  };
  using P = Json::json_pointer;
  expect_contains(with(P("/dataset_meta"), nullptr), "dataset_meta names no set");
  expect_contains(with(P("/dataset_meta/lj/audio_dir"), file("none")), "dataset_meta.lj.audio_dir");
  expect_contains(with(P("/dataset_meta/lj/sample_weight"), 0), "dataset_meta.lj.sample_weight");
  expect_contains(with(P("/dataset_meta/lj/audio_tar_filepaths"), Json::array({"a.tar"})), "audio_tar_filepaths");
  expect_contains(with(P("/featurizers/pitch/_target_"), "PitchFeaturiser"), "PitchFeaturizer");
  expect_contains(with(P("/featurizers/pitch/voiced_prob_name"), "energy"), "of the same name");
  expect_contains(with(P("/feature_processors/c/field"), "voiced_prop"), "did you mean: voiced_prob");
  expect_contains(with(P("/feature_processors/a/mask_field"), "audio"), "not as long");
  expect_contains(with(P("/feature_processors/b/stats_path"), file("none.json")), "fathom tts features");
  expect_contains(with(P("/min_duration"), 50), "no clip is left");
  folder_.write("speakers.json", R"({"bob": 0, "anna": 1})");
  expect_contains(with(P("/speaker_path"), file("speakers.json")), "did you mean: anna");
  folder_.write("stats.json",
                R"({"bob": {"pitch_mean": 1, "pitch_std": 2}, "default": {"pitch_mean": 1, "pitch_std": 2}})");
  expect_contains(with(P("/feature_processors/a/stats_path"), file("stats.json")), "know no such speaker");
  Json given = section();
  given["feature_processors"]["a"].update({{"stats_path", file("stats.json")}, {"fallback_to_default", true}});
  EXPECT_EQ(error_of([&] { make(given).get(1, 1); }), "no error");
  // Features of another hop.
  expect_contains(with(P("/featurizers/pitch/hop_length"), 200), "computed with other settings");
  // A feature that is not of this clip, left there by NeMo.
  std::filesystem::remove(file("features/pitch/settings.json"));
  SupFolder(file("features/pitch"), Json::object()).save_npy("wavs/LJ001-0002", at::zeros({20}));
  expect_contains(error_of([&] { make(section()).get(1, 1); }), "is not of this clip");
  folder_.write("outside.json", R"({"audio_filepath": "../x.wav", "duration": 1, "text": "a"})");
  given = section();
  given["dataset_meta"]["lj"]["manifest_path"] = file("outside.json");
  expect_contains(error_of([&] { make(given).get(0, 1); }), "outside of its set's audio_dir");
}

}  // namespace
}  // namespace fathom::tts
