#include "plugins/lib/audio/sound_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>
#include <vector>

#include "plugins/lib/recorded_test_data.h"

namespace fathom::audio {
namespace {

// Files smaller and larger than the buffer, of each way to encode, read as libsndfile reads them by itself.
TEST(SoundFile, GivesWhatLibsndfileGives) {
  const std::string path = ::testing::TempDir() + "/sound_file_test_" + std::to_string(::getpid());
  std::vector<float> written(300000);
  for (size_t i = 0; i < written.size(); ++i) written[i] = 0.5f * std::sin(0.01f * static_cast<float>(i % 1234));
  std::mt19937 random(3);
  for (const int kind :
       {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
        SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_AU | SF_FORMAT_ULAW}) {
    for (const sf_count_t frames : {sf_count_t{100}, sf_count_t{30000}, sf_count_t{300000}}) {
      SF_INFO format{};
      format.samplerate = 16000;
      format.channels = 1;
      format.format = kind;
      SNDFILE* out = sf_open(path.c_str(), SFM_WRITE, &format);
      ASSERT_NE(out, nullptr) << sf_strerror(nullptr);
      ASSERT_EQ(sf_writef_float(out, written.data(), frames), frames);
      sf_close(out);

      SF_INFO theirs{};
      SNDFILE* plain = sf_open(path.c_str(), SFM_READ, &theirs);
      SoundFile file(path);
      EXPECT_EQ(file.format().frames, theirs.frames);
      EXPECT_EQ(file.format().format, theirs.format);
      EXPECT_EQ(file.format().samplerate, theirs.samplerate);
      std::vector<float> ours(written.size()), expected(written.size());
      // From the beginning, then from anywhere.
      for (int round = 0; round < 8; ++round) {
        const sf_count_t start = round == 0 ? 0 : static_cast<sf_count_t>(random() % static_cast<unsigned>(frames));
        const sf_count_t count = round == 0 ? frames : static_cast<sf_count_t>(1 + random() % 40000);
        EXPECT_EQ(sf_seek(file.get(), start, SEEK_SET), sf_seek(plain, start, SEEK_SET));
        const sf_count_t got = sf_readf_float(file.get(), ours.data(), count);
        EXPECT_EQ(got, sf_readf_float(plain, expected.data(), count));
        EXPECT_TRUE(std::equal(ours.begin(), ours.begin() + got, expected.begin())) << kind << " at " << start;
      }
      sf_close(plain);
    }
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace fathom::audio
