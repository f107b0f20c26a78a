#include "plugins/lib/audio/pitch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "fathom/error.h"
#include "plugins/lib/audio/audio_segment.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::audio {
namespace {

std::string data(const std::string& name) {
  return std::string(FATHOM_SOURCE_DIR) + "/tests/data/ljspeech_mini/" + name;
}
std::vector<float> tone(double hz, double rate, int64_t samples) {
  std::vector<float> out(static_cast<size_t>(samples));
  for (int64_t i = 0; i < samples; ++i)
    out[i] = static_cast<float>(0.3 * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
  return out;
}

TEST(PyinTest, AgreesWithLibrosa) {
  const auto recorded = test_data::read_recording(data("pyin.json"));
  ASSERT_EQ(recorded.size(), 2u);
  for (const auto& [clip, expected] : recorded.items()) {
    const AudioSegment audio = load_audio(data("wavs/" + clip + ".flac"));
    const PitchTrack track = pyin(audio.samples, {.sample_rate = 16000, .frame_length = 1024});
    const auto f0 = expected["f0"].get<std::vector<double>>(), p = expected["p_voiced"].get<std::vector<double>>();
    ASSERT_EQ(track.f0.size(), f0.size());
    int voiced = 0;
    for (size_t t = 0; t < f0.size(); ++t) {
      ASSERT_EQ(track.voiced[t] > 0, f0[t] > 0) << clip << " frame " << t;
      ASSERT_NEAR(track.f0[t], f0[t], 1e-3 * f0[t] + 1e-9) << clip << " frame " << t;
      ASSERT_NEAR(track.p_voiced[t], p[t], 1e-3) << clip << " frame " << t;
      voiced += f0[t] > 0 ? 1 : 0;
    }
    EXPECT_GT(voiced, 40);
  }
}

TEST(PyinTest, BothWaysFindATone) {
  for (const double hz : {90.0, 220.0, 700.0}) {
    const auto samples = tone(hz, 22050, 22050);
    for (const auto method : {PitchMethod::kPyin, PitchMethod::kAutocorrelation}) {
      const PitchTrack track = track_pitch(samples, {.sample_rate = 22050, .frame_length = 1024}, method);
      ASSERT_EQ(track.f0.size(), 1u + 22050 / 256);
      for (size_t t = 4; t + 4 < track.f0.size(); ++t) {
        ASSERT_EQ(track.voiced[t], 1) << hz << " frame " << t;
        ASSERT_NEAR(track.f0[t], hz, 0.02 * hz) << "frame " << t;
      }
    }
  }
}

TEST(PyinTest, SilenceIsUnvoiced) {
  const std::vector<float> silence(8000, 0.0F);
  for (const auto method : {PitchMethod::kPyin, PitchMethod::kAutocorrelation}) {
    const PitchTrack track = track_pitch(silence, {.sample_rate = 16000, .frame_length = 1024}, method);
    ASSERT_EQ(track.f0.size(), 1u + 8000 / 256);
    for (size_t t = 0; t < track.f0.size(); ++t) ASSERT_EQ(track.f0[t] + track.voiced[t] + track.p_voiced[t], 0);
  }
}

TEST(PyinTest, ShortClipsHaveFrames) {
  const auto samples = tone(200, 16000, 10);
  EXPECT_EQ(pyin(samples, {.sample_rate = 16000, .frame_length = 1024}).f0.size(), 1u);
  EXPECT_THROW(pyin({}, {.sample_rate = 16000, .frame_length = 1024}), Error);
}

TEST(PyinTest, RefusesWhatNoFrameHolds) {
  const auto samples = tone(200, 16000, 4000);
  const auto error = [&](const PitchOptions& options) {
    try {
      pyin(samples, options);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(error({.sample_rate = 16000, .frame_length = 128}).find("at least 247 samples"), std::string::npos);
  EXPECT_NE(error({.sample_rate = 16000, .fmax = 9000, .frame_length = 1024}).find("half the sample rate"),
            std::string::npos);
  EXPECT_NE(error({.sample_rate = 16000, .fmin = 300, .fmax = 200}).find("pitch_fmin"), std::string::npos);
  EXPECT_NE(error({.sample_rate = 16000, .fmin = 200, .fmax = 210, .frame_length = 1024}).find("semitones"),
            std::string::npos);
  EXPECT_THROW(parse_pitch_method("yin", "pitch_method"), Error);
}

}  // namespace
}  // namespace fathom::audio
