#include "plugins/loggers/media_file.h"

#include <algorithm>
#include <cmath>

#include "plugins/loggers/checksum.h"
#include "plugins/loggers/protobuf.h"

namespace fathom::loggers {
namespace {

float clipped(float value, float low, float high) { return std::isnan(value) ? 0.0f : std::clamp(value, low, high); }

void append_big_endian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void append_chunk(std::string& out, const char* type, std::string_view data) {
  append_big_endian(out, static_cast<uint32_t>(data.size()));
  const size_t start = out.size();
  out += type;
  out += data;
  append_big_endian(out, crc32(std::string_view(out).substr(start)));
}

uint32_t adler32(std::string_view bytes) {
  constexpr uint32_t kModulus = 65521;
  uint32_t a = 1, b = 0;
  for (const char c : bytes) {
    a = (a + static_cast<uint8_t>(c)) % kModulus;
    b = (b + a) % kModulus;
  }
  return b << 16 | a;
}

// A zlib stream of stored blocks.
std::string zlib_stored(std::string_view bytes) {
  constexpr size_t kMost = 65535;
  std::string out = "\x78\x01";
  for (size_t at = 0;; at += kMost) {
    const std::string_view block = bytes.substr(at, kMost);
    const bool last = at + kMost >= bytes.size();
    const auto size = static_cast<uint16_t>(block.size());
    out += last ? '\1' : '\0';
    append_raw(out, size);
    append_raw(out, static_cast<uint16_t>(~size));
    out += block;
    if (last) break;
  }
  append_big_endian(out, adler32(bytes));
  return out;
}

}  // namespace

std::string wav_file(const Audio& audio) {
  constexpr uint32_t kHeader = 36;
  constexpr uint16_t kBytes = 2;
  const auto channels = static_cast<uint16_t>(audio.channels);
  const auto rate = static_cast<uint32_t>(audio.sample_rate);
  const auto size = static_cast<uint32_t>(audio.samples.size() * kBytes);
  std::string out = "RIFF";
  append_raw(out, kHeader + size);
  out += "WAVEfmt ";
  append_raw(out, uint32_t{16});
  append_raw(out, uint16_t{1});  // PCM
  append_raw(out, channels);
  append_raw(out, rate);
  append_raw(out, rate * channels * kBytes);
  append_raw(out, static_cast<uint16_t>(channels * kBytes));
  append_raw(out, static_cast<uint16_t>(8 * kBytes));
  out += "data";
  append_raw(out, size);
  for (int64_t frame = 0; frame < audio.frames; ++frame) {
    for (int64_t channel = 0; channel < audio.channels; ++channel) {
      const float sample = audio.samples[static_cast<size_t>(channel * audio.frames + frame)];
      append_raw(out, static_cast<int16_t>(clipped(sample, -1, 1) * 32767.0f));
    }
  }
  return out;
}

std::string png_file(const Image& image) {
  const char colour = image.channels == 1 ? 0 : image.channels == 3 ? 2 : 6;
  std::string rows;
  const int64_t plane = image.height * image.width;
  for (int64_t y = 0; y < image.height; ++y) {
    rows += '\0';  // no filter
    for (int64_t x = 0; x < image.width; ++x) {
      for (int64_t c = 0; c < image.channels; ++c) {
        const float value = image.pixels[static_cast<size_t>(c * plane + y * image.width + x)];
        rows += static_cast<char>(static_cast<uint8_t>(clipped(value * 255.0f, 0, 255)));
      }
    }
  }
  std::string head;
  append_big_endian(head, static_cast<uint32_t>(image.width));
  append_big_endian(head, static_cast<uint32_t>(image.height));
  head += {'\x08', colour, '\0', '\0', '\0'};  // 8 bits a sample; deflate, no filter method, not interlaced
  std::string out = "\x89PNG\r\n\x1a\n";
  append_chunk(out, "IHDR", head);
  append_chunk(out, "IDAT", zlib_stored(rows));
  append_chunk(out, "IEND", "");
  return out;
}

}  // namespace fathom::loggers
