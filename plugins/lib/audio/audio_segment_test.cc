#include "plugins/lib/audio/audio_segment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numbers>

#include "fathom/error.h"
#include "plugins/lib/audio/perturb.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::audio {
namespace {

class AudioTest : public ::testing::Test {
 protected:
  AudioTest() : folder_(::testing::TempDir() + "/audio_test_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~AudioTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

std::string error_of_loading(const std::string& path, const AudioLoadOptions& options = {}) {
  try {
    load_audio(path, options, "train.json:7");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(AudioTest, ReadsFlacInSeconds) {
  const auto whole = load_audio(test_data::digits("flac/4_lucas_0.flac"));
  EXPECT_EQ(whole.sample_rate, 8000);
  EXPECT_EQ(whole.frames(), 3383);
  AudioLoadOptions options;
  options.offset = 0.1;
  options.duration = 0.2;
  const auto part = load_audio(test_data::digits("flac/4_lucas_0.flac"), options);
  ASSERT_EQ(part.frames(), 1600);
  for (int64_t t = 0; t < part.frames(); ++t) ASSERT_EQ(part.samples[t], whole.samples[t + 800]);
  EXPECT_EQ(whole.samples[100] * 32768, std::round(whole.samples[100] * 32768));
}

TEST_F(AudioTest, ErrorsSayWhichFileAndLine) {
  EXPECT_NE(error_of_loading(folder_ + "/none.wav").find("train.json:7"), std::string::npos);
  std::ofstream(folder_ + "/empty.wav");
  EXPECT_NE(error_of_loading(folder_ + "/empty.wav").find("0 bytes"), std::string::npos);
  std::ofstream(folder_ + "/text.wav") << "this is no audio at all, whatever its name says";
  EXPECT_NE(error_of_loading(folder_ + "/text.wav").find("not audio"), std::string::npos);
  EXPECT_NE(error_of_loading(folder_).find("folder"), std::string::npos);
  AudioLoadOptions late;
  late.offset = 100;
  EXPECT_NE(error_of_loading(test_data::digits("flac/4_lucas_0.flac"), late).find("offset"), std::string::npos);
  AudioLoadOptions second;
  second.channel_selector = int64_t{1};
  EXPECT_NE(error_of_loading(test_data::digits("flac/4_lucas_0.flac"), second).find("channel"), std::string::npos);

  std::ifstream in(test_data::digits("flac/4_lucas_0.flac"), std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  std::ofstream(folder_ + "/cut.flac", std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  EXPECT_NE(error_of_loading(folder_ + "/cut.flac").find("damaged"), std::string::npos);
}

TEST_F(AudioTest, WritesWhatItReads) {
  const auto audio = load_audio(test_data::digits("flac/7_theo_1.flac"));
  for (const std::string name : {"/a.wav", "/a.flac"}) {
    save_audio(folder_ + name, audio);
    EXPECT_EQ(load_audio(folder_ + name).samples, audio.samples);
  }
}

TEST_F(AudioTest, ResamplesASine) {
  AudioSegment sine;
  sine.sample_rate = 16000;
  for (int t = 0; t < 16001; ++t)
    sine.samples.push_back(static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * 440 * t / 16000)));
  resample(sine, 8000);
  ASSERT_EQ(sine.frames(), 8001);
  for (int t = 500; t < 7500; ++t)
    ASSERT_NEAR(sine.samples[t], 0.5 * std::sin(2 * std::numbers::pi * 440 * t / 8000), 1e-4);
}

TEST_F(AudioTest, PerturbationsAreReproducibleAndNamed) {
  const auto source = load_audio(test_data::digits("flac/7_theo_1.flac"));
  const AudioAugmentor augmentor(Json::parse(R"({"shift": {"prob": 1.0, "min_shift_ms": -5, "max_shift_ms": 5},
      "white_noise": {"prob": 1.0, "min_level": -60, "max_level": -50}, "speed": {"prob": 0.5, "num_rates": -1}})"),
                                 "augmentor");
  const auto run = [&](uint64_t seed) {
    AudioSegment audio = source;
    Rng rng(seed);
    augmentor.apply(audio, rng);
    return audio.samples;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  EXPECT_THROW(AudioAugmentor(Json::parse(R"({"rir_noise_aug": {"prob": 1.0}})"), "augmentor"), Error);
  EXPECT_THROW(AudioAugmentor(Json::parse(R"({"gain": {"min_gain_dbfs": 1}})"), "augmentor"), Error);
  EXPECT_THROW(AudioAugmentor(Json::parse(R"({"gain": {"prob": 1.5}})"), "augmentor"), Error);
  EXPECT_THROW(AudioAugmentor(Json::parse(R"({"gain": {"prob": 1, "max_gain": 1}})"), "augmentor"), Error);
}

// --- recordings of NeMo's AudioSegment and perturbations ------------------------------------------------------------

class Recording : public ::testing::Test {
 protected:
  std::string folder() const { return test_data::shared_path("golden/nemo_models/augmentation/perturb"); }
};

TEST_F(Recording, LoadsAndPerturbsAsNemo) {
  NEEDS_RECORDING(folder() + "/meta.json");
  const auto meta = test_data::read_recording(folder() + "/meta.json");
  const auto tensors = test_data::read_tensors(folder() + "/io.safetensors");
  const std::string work = ::testing::TempDir() + "/perturb_" + std::to_string(::getpid());
  std::filesystem::create_directories(work);
  const auto segment = [&](const std::string& name, int64_t rate) {
    AudioSegment audio;
    audio.sample_rate = rate;
    for (const int64_t x : tensors.at(name).integer) audio.samples.push_back(static_cast<float>(x) / 32768);
    return audio;
  };
  const AudioSegment source8 = segment("source8", 8000), source16 = segment("source16", 16000);
  AudioSegment stereo = source8;
  stereo.channels = 2;
  stereo.samples.clear();
  for (int64_t t = 0; t < source8.frames(); ++t) {
    stereo.samples.push_back(source8.samples[t]);
    stereo.samples.push_back(source8.samples[source8.frames() - 1 - t]);
  }
  save_audio(work + "/source8.wav", source8);
  save_audio(work + "/source16.wav", source16);
  save_audio(work + "/stereo.wav", stereo);

  const std::map<std::string, std::string> types = {{"GainPerturbation", "gain"}, {"ShiftPerturbation", "shift"}};
  int compared = 0;
  for (const auto& one : meta["cases"]) {
    const std::string name = one["name"], kind = one["class"];
    const auto& params = one["params"];
    AudioSegment got;
    double tolerance = 1e-6;
    if (kind == "AudioSegment.from_file") {
      AudioLoadOptions options;
      options.target_sr = params.value("target_sr", 0);
      options.offset = params.value("offset", 0.0);
      options.duration = params.value("duration", 0.0);
      options.trim = params.value("trim", false);
      options.trim_top_db = params.value("trim_top_db", 60.0);
      if (params.contains("normalize_db")) options.normalize_db = params["normalize_db"].get<double>();
      if (params.contains("channel_selector") && params["channel_selector"].is_number())
        options.channel_selector = params["channel_selector"].get<int64_t>();
      if (params.contains("channel_selector") && params["channel_selector"].is_string())
        options.channel_selector = ChannelAverage{};
      const std::string source = one["source"];
      got = load_audio(work + "/" + (source.front() == '[' ? "stereo" : source) + ".wav", options);
      if (options.target_sr > 0) tolerance = 1e-4;
    } else if (types.count(kind) != 0 || kind == "SilencePerturbation") {
      Json options = Json::object();
      for (const auto& [key, value] : params.items()) options[key] = value;
      if (kind == "SilencePerturbation") {
        options = {{"min_start_silence_secs", params["start"]},
                   {"max_start_silence_secs", params["start"]},
                   {"min_end_silence_secs", params["end"]},
                   {"max_end_silence_secs", params["end"]}};
      }
      got = source16;
      Rng rng(1);
      make_perturbation(kind == "SilencePerturbation" ? "silence" : types.at(kind), options, name)->apply(got, rng);
    } else {
      continue;  // noise, and resampling by other libraries
    }
    ++compared;
    const auto& want = tensors.at(name).real;
    ASSERT_EQ(got.samples.size(), want.size()) << name;
    double worst = 0;
    for (size_t i = 0; i < want.size(); ++i)
      worst = std::max(worst, static_cast<double>(std::abs(got.samples[i] - want[i])));
    EXPECT_LE(worst, tolerance) << name;
  }
  EXPECT_GE(compared, 19);
  std::filesystem::remove_all(work);
}

}  // namespace
}  // namespace fathom::audio
