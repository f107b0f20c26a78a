#include "plugins/asr/data/audio_to_char_dataset.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/planning/loader_options.h"
#include "core/plugins/host_table.h"
#include "plugins/asr/data/audio_to_bpe_dataset.h"
#include "plugins/asr/data/data_section.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::asr {
namespace {

class DatasetTest : public ::testing::Test {
 protected:
  DatasetTest() : folder_(::testing::TempDir() + "/dataset_test_" + std::to_string(::getpid())) {
    host_slot() = plugins::host_table();
    std::filesystem::create_directories(folder_);
  }
  ~DatasetTest() override { std::filesystem::remove_all(folder_); }
  AudioToCharDataset::Options options(const std::string& manifest = test_data::digits("test.json")) const {
    AudioToCharDataset::Options o;
    o.manifest_filepath = manifest;
    o.labels = {" ", "e", "f", "g", "h", "i", "n", "o", "r", "s", "t", "u", "v", "w", "x", "z"};
    o.sample_rate = 8000;
    return o;
  }
  std::string folder_;
};

TEST_F(DatasetTest, CollatesClipsOfDifferentLength) {
  auto o = options();
  o.return_sample_id = true;
  o.pad_id = 9;
  const AudioToCharDataset data(o);
  ASSERT_EQ(data.size(), 250);
  EXPECT_DOUBLE_EQ(data.length_hint(0), 0.298);
  const SpeechSample zero = data.get(0, 0), six = data.get(125, 0);
  const Values batch = data.collate({&zero, &six});
  EXPECT_EQ(batch.tensor("audio_signal").sizes(),
            (at::IntArrayRef{2, std::max(zero.audio.size(0), six.audio.size(0))}));
  EXPECT_EQ(batch.tensor("a_sig_length")[0].item<int64_t>(), 2384);
  EXPECT_EQ(batch.tensor("audio_signal")[0].slice(0, 2384).abs().sum().item<float>(), 0);
  EXPECT_EQ(batch.tensor("transcripts")[0].slice(0, 0, 4).equal(at::tensor({15, 1, 8, 7}, at::kLong)), true);
  EXPECT_EQ(batch.tensor("transcript_length")[0].item<int64_t>(), 4);
  EXPECT_EQ(batch.tensor("sample_id").equal(at::tensor({0, 125}, at::kLong)), true);
  const auto longest = batch.tensor("transcript_length").max().item<int64_t>();
  EXPECT_EQ(batch.tensor("transcripts").size(1), longest);
}

TEST_F(DatasetTest, FiltersAreCountedAndNothingElseIsDropped) {
  auto o = options();
  o.max_duration = 0.5;
  o.min_duration = 0.3;
  const AudioToCharDataset data(o);
  EXPECT_LT(data.size(), 250);
  for (int64_t i = 0; i < data.size(); ++i) EXPECT_TRUE(data.length_hint(i) >= 0.3 && data.length_hint(i) <= 0.5);
  o = options();
  o.max_utts = 7;
  EXPECT_EQ(AudioToCharDataset(o).size(), 7);
}

TEST_F(DatasetTest, OfSeveralLanguagesALineSaysWhich) {
  const std::string manifest = folder_ + "/m.json", tokenizers = FATHOM_SOURCE_DIR "/tests/data/tokenizers/digits";
  const std::string line = "{\"audio_filepath\": \"" + test_data::digits("flac/0_george_0.flac") +
                           "\", \"duration\": 0.298, \"text\": \"zero\"";
  std::ofstream(manifest) << line << ", \"lang\": \"en\"}\n" << line << ", \"lang\": \"de\"}\n" << line << "}\n";
  AudioToBPEDataset::Options o;
  o.manifest_filepath = manifest;
  o.sample_rate = 8000;
  o.tokenizer = {
      {"type", "agg"},
      {"langs", {{"en", {{"dir", tokenizers}, {"type", "bpe"}}}, {"de", {{"dir", tokenizers}, {"type", "bpe"}}}}}};
  const AudioToBPEDataset data(o);
  std::vector<int64_t> shifted = data.get(0, 0).tokens;
  ASSERT_FALSE(shifted.empty());
  for (int64_t& id : shifted) id += 32;
  EXPECT_EQ(data.get(1, 0).tokens, shifted) << "the ids of the second language follow those of the first";
  try {
    data.get(2, 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), manifest + ":3");
    EXPECT_NE(std::string(error.what()).find("one of: en, de"), std::string::npos) << error.what();
  }
}

TEST_F(DatasetTest, UnreadableAudioIsAnErrorWithFileAndLine) {
  const std::string manifest = folder_ + "/m.json";
  std::ofstream(manifest) << "{\"audio_filepath\": \"" << test_data::digits("flac/0_george_0.flac")
                          << "\", \"duration\": 0.298, \"text\": \"zero\"}\n"
                          << "{\"audio_filepath\": \"missing.wav\", \"duration\": 1, \"text\": \"one\"}\n";
  const AudioToCharDataset data(options(manifest));
  ASSERT_EQ(data.size(), 2);
  try {
    data.get(1, 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), manifest + ":2");
    EXPECT_EQ(error.code(), Code::kNoInput);
  }
}

TEST_F(DatasetTest, AugmentationDependsOnTheSeedOnly) {
  auto o = options();
  o.augmentor = Json::parse(R"({"white_noise": {"prob": 1.0, "min_level": -60, "max_level": -50}})");
  const AudioToCharDataset data(o);
  EXPECT_TRUE(data.get(3, 5).audio.equal(data.get(3, 5).audio));
  EXPECT_FALSE(data.get(3, 5).audio.equal(data.get(3, 6).audio));
}

TEST_F(DatasetTest, SeveralChannelsNeedAChoice) {
  audio::AudioSegment stereo = audio::load_audio(test_data::digits("flac/0_george_0.flac"));
  stereo.channels = 2;
  audio::save_audio(folder_ + "/stereo.wav", stereo);
  std::ofstream(folder_ + "/m.json") << "{\"audio_filepath\": \"stereo.wav\", \"duration\": 0.1, \"text\": \"zero\"}\n";
  auto o = options(folder_ + "/m.json");
  EXPECT_THROW(AudioToCharDataset(o).get(0, 0), Error);
  o.channel_selector = "average";
  EXPECT_EQ(AudioToCharDataset(o).get(0, 0).audio.size(0), 800);
  o.channel_selector = "left";
  EXPECT_THROW(AudioToCharDataset{o}, Error);
}

// What is left out is counted when the manifest is opened, and what is unknown in the texts that stay.
TEST_F(DatasetTest, LogsWhatIsLeftOutAndUnknown) {
  std::string lines;
  const auto add = [&](const std::string& text, double duration) {
    lines += json_text(Json{{"audio_filepath", "a.wav"}, {"duration", duration}, {"text", text}}) + "\n";
  };
  add("one", 1);
  add("six", 7200);
  add("one #two#", 1);
  add("one " + std::string(40, '9'), 3600);
  add("\xc3\x85", 1);
  add("", 1);
  std::ofstream(folder_ + "/m.json") << lines;
  auto o = options(folder_ + "/m.json");
  o.max_duration = 4000;
  o.normalize_transcripts = true;
  testing::internal::CaptureStderr();
  const AudioToCharDataset data(o);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(data.size(), 4);
  for (const std::string part :
       {"1 clips (2.00 hours) were left out by min_duration and max_duration",
        "1 clips (1.00 hours) were left out: the parser cannot read their text (first: ", "m.json:4)",
        "1 characters of 1 texts are no label and were dropped", "dataset with 4 clips, 0.00 hours"})
    EXPECT_NE(log.find(part), std::string::npos) << "'" << part << "' is not in\n" << log;
}

// A section's keys are told apart by lists on both sides.
TEST_F(DatasetTest, TheLoadersKeysAreLeftToIt) {
  for (const std::string& key : LoaderOptions::keys())
    EXPECT_TRUE(dataset_keys({{key, 1}}, {}, "model.train_ds").empty()) << key;
  EXPECT_THROW(dataset_keys({{"batch_sise", 1}}, {}, "model.train_ds"), Error);
}

TEST_F(DatasetTest, InferenceCarriesTheEntries) {
  const auto data =
      AudioToCharDataset::for_inference(options(), audio::Manifest::open({test_data::digits("test.json")}));
  const SpeechSample clip = data->get(2, 0);
  const Values batch = data->collate({&clip});
  const Json entry = Json::parse(batch["entries"].list().at(0).text());
  EXPECT_EQ(entry["audio_filepath"], "flac/0_george_2.flac");
  EXPECT_EQ(entry["text"], "zero");
  EXPECT_GT(entry["duration"].get<double>(), 0.1);
}

}  // namespace
}  // namespace fathom::asr
