// Histograms, audio and images: as numbers and files, and as TensorBoard's events.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "plugins/loggers/event_reader.h"
#include "plugins/loggers/logger_test.h"
#include "plugins/loggers/media_file.h"
#include "plugins/loggers/protobuf.h"
#include "plugins/loggers/tensorboard_logger.h"
#include "tests/support/python_check.h"

namespace fathom::loggers {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

// PyTorch 2: torch.utils.tensorboard.summary.make_histogram of these values with the default buckets.
TEST(Histogram, HasPyTorchsBuckets) {
  const float values[] = {-1, 0, 0, 0.5f, 2, 2, 2};
  const Histogram h = histogram_of(values);
  EXPECT_EQ(h.min, -1);
  EXPECT_EQ(h.max, 2);
  EXPECT_EQ(h.count, 7);
  EXPECT_EQ(h.sum, 5.5);
  EXPECT_EQ(h.sum_squares, 13.25);
  ASSERT_EQ(h.right.size(), h.counts.size());
  EXPECT_EQ(h.counts[0], 0);  // an empty one before the first
  double total = 0, weighted = 0;
  for (size_t i = 0; i < h.counts.size(); ++i) {
    total += h.counts[i];
    if (h.counts[i] == 0) continue;
    ASSERT_GT(i, 0u);
    weighted += h.counts[i] * (h.right[i] + h.right[i - 1]) / 2;
    if (h.right[i - 1] <= 0) continue;
    EXPECT_NEAR(h.right[i] / h.right[i - 1], 1.1, 1e-9);
  }
  EXPECT_EQ(total, 7);
  EXPECT_NEAR(weighted, 5.5, 0.55);
  EXPECT_EQ(h.counts[1], 1);
  EXPECT_EQ(h.counts.back(), 3);
}

TEST(Histogram, WhatIsNoNumberIsInNoBucket) {
  const float values[] = {kNoNumber, 1, INFINITY, 3e38f};
  const Histogram h = histogram_of(values);
  EXPECT_EQ(h.count, 2);
  EXPECT_EQ(h.counts.back(), 1);  // beyond the last edge counts in the last bucket
  const float none[] = {kNoNumber};
  EXPECT_THAT(histogram_of(none).counts, ElementsAre(0));
}

TEST(MediaFile, WavIsSixteenBitsInterleaved) {
  const float samples[] = {0, 0.5f, 2, -1, kNoNumber, 1};  // two channels of three
  const std::string wav = wav_file({samples, 2, 3, 8000});
  ASSERT_EQ(wav.size(), 44u + 12);
  EXPECT_EQ(wav.substr(0, 4) + wav.substr(8, 8) + wav.substr(36, 4), "RIFFWAVEfmt data");
  EXPECT_EQ(read_raw<uint32_t>(wav.substr(4)), wav.size() - 8);
  EXPECT_EQ(read_raw<uint16_t>(wav.substr(22)), 2);      // channels
  EXPECT_EQ(read_raw<uint32_t>(wav.substr(24)), 8000u);  // rate
  EXPECT_EQ(read_raw<uint32_t>(wav.substr(28)), 32000u);
  std::vector<int16_t> read;
  for (size_t at = 44; at < wav.size(); at += 2) read.push_back(read_raw<int16_t>(wav.substr(at)));
  EXPECT_THAT(read, ElementsAre(0, -32767, 16383, 0, 32767, 32767));
}

TEST(MediaFile, PngHasCheckedChunks) {
  const float pixels[] = {0, 1, 0.5f, kNoNumber, -1, 7};
  const std::string png = png_file({pixels, 1, 2, 3});
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  size_t at = 8;
  std::vector<std::string> types;
  while (at < png.size()) {
    uint32_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<uint8_t>(png[at + i]);
    types.push_back(png.substr(at + 4, 4));
    uint32_t crc = 0;
    for (size_t i = 0; i < 4; ++i) crc = crc << 8 | static_cast<uint8_t>(png[at + 8 + size + i]);
    EXPECT_EQ(crc, crc32(std::string_view(png).substr(at + 4, 4 + size))) << types.back();
    at += 12 + size;
  }
  EXPECT_THAT(types, ElementsAre("IHDR", "IDAT", "IEND"));
  // zlib's head, one stored block of two rows, each with its filter byte.
  const std::string rows("\0\x00\xff\x7f\0\0\0\xff", 8);
  EXPECT_NE(png.find(std::string("\x78\x01\x01\x08\x00\xf7\xff", 7) + rows), std::string::npos);
}

TEST(Checksum, KnownValues) { EXPECT_EQ(crc32("123456789"), 0xcbf43926u); }

class MediaEvents : public LoggerTest {
 protected:
  // A tone, a ramp in three colours, and numbers.
  static void log_all(Logger& logger) {
    std::vector<float> tone(800), pixels(3 * 4 * 5);
    for (size_t i = 0; i < tone.size(); ++i) tone[i] = std::sin(static_cast<float>(i) * 0.3f);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i) / static_cast<float>(pixels.size());
    logger.log_audio("tone", {tone, 1, 800, 8000}, 3);
    logger.log_image("ramp", {pixels, 3, 4, 5}, 4);
    logger.log_histogram("tone values", tone, 5);
  }
};

TEST_F(MediaEvents, AreReadBack) {
  auto logger = make_logger<TensorBoardLogger>({{"prefix", "p"}});
  log_all(*logger);
  logger->finalize("success");
  const auto events = read_events(read_whole_file(logger->path()), logger->path());
  ASSERT_EQ(events.size(), 4u);
  ASSERT_EQ(events[1].audio.size(), 1u);
  EXPECT_EQ(events[1].step, 3);
  EXPECT_EQ(events[1].audio[0].tag, "p-tone");
  EXPECT_EQ(events[1].audio[0].sample_rate, 8000);
  EXPECT_THAT(events[1].audio[0].sizes, ElementsAre(1, 800));
  EXPECT_EQ(events[1].audio[0].file.substr(0, 4), "RIFF");
  ASSERT_EQ(events[2].images.size(), 1u);
  EXPECT_THAT(events[2].images[0].sizes, ElementsAre(4, 5, 3));
  EXPECT_EQ(events[2].images[0].file.substr(1, 3), "PNG");
  ASSERT_EQ(events[3].histograms.size(), 1u);
  EXPECT_EQ(events[3].histograms[0].second.count, 800);
  EXPECT_THAT(events[3].histograms[0].second.max, DoubleNear(1, 1e-3));
}

TEST_F(MediaEvents, TensorBoardReadsThem) {
  if (!python_has(folder_, "tensorboard.backend.event_processing.event_accumulator"))
    GTEST_SKIP() << "no tensorboard package in " << python_program() << "; set FATHOM_PYTHON to one that has it";
  auto logger = make_logger<TensorBoardLogger>();
  log_all(*logger);
  logger->finalize("success");
  const PythonResult read = run_python(
      folder_,
      "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
      "import io, wave, zlib, struct\n"
      "a = EventAccumulator('" +
          logger->path() +
          "', size_guidance={'tensors': 0}); a.Reload()\n"
          "assert a.Tags()['audio'] == ['tone'] and a.Tags()['images'] == ['ramp'], a.Tags()\n"
          "s = a.Audio('tone')[0]\n"
          "assert (s.step, s.sample_rate, s.length_frames, s.content_type) == (3, 8000, 800, 'audio/wav'), s\n"
          "w = wave.open(io.BytesIO(s.encoded_audio_string))\n"
          "assert (w.getnchannels(), w.getframerate(), w.getnframes(), w.getsampwidth()) == (1, 8000, 800, 2)\n"
          "i = a.Images('ramp')[0]\n"
          "assert (i.step, i.width, i.height) == (4, 5, 4), i\n"
          "p = i.encoded_image_string; n = p.index(b'IDAT'); size = struct.unpack('>I', p[n-4:n])[0]\n"
          "rows = zlib.decompress(p[n+4:n+4+size]); assert len(rows) == 4 * (1 + 15), len(rows)\n"
          "assert rows[1:4] == bytes([0, 85, 170]), rows[:4]\n"
          "try:\n"
          "  from PIL import Image\n"
          "  assert Image.open(io.BytesIO(p)).getpixel((1, 0)) == (4, 89, 174), "
          "Image.open(io.BytesIO(p)).getpixel((1,0))\n"
          "except ImportError: pass\n"
          "h = a.Histograms('tone values')[0]\n"
          "assert h.step == 5 and h.histogram_value.num == 800 and sum(h.histogram_value.bucket) == 800, h\n");
  EXPECT_EQ(read.status, 0) << read.errors;
}

}  // namespace
}  // namespace fathom::loggers
