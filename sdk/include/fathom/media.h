// What can be logged besides numbers, on both sides of the boundary: texts, histograms, audio and images. Uses no
// torch. Authors reach it through Step (model.h) and Trainer (callback.h), loggers receive Audio and Image (logger.h).
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "fathom/abi/media.h"
#include "fathom/support.h"

namespace fathom {

// Borrowed numbers in rows: the last dimension is contiguous.
struct FloatArray {
  std::span<const float> values;
  std::span<const int64_t> shape;
};

struct Audio {
  std::span<const float> samples;  // one channel after the other, each of `frames` samples from -1 to 1
  int64_t channels = 1, frames = 0;
  int64_t sample_rate = 0;  // Hz
};

struct Image {
  std::span<const float> pixels;  // one plane after the other, from 0 to 1
  int64_t channels = 1;           // 1 grey, 3 RGB, 4 RGBA
  int64_t height = 0, width = 0;
};

namespace media_detail {

inline std::string shape_text(std::span<const int64_t> shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + "]";
}
[[noreturn]] inline void wrong_shape(const char* what, std::span<const int64_t> shape, const char* expected) {
  throw Error(Code::kFailed, std::string("an array of this shape is not ") + what)
      .seen(shape_text(shape))
      .expected(expected);
}

inline fathom_float_array to_abi_array(const FloatArray& array) {
  return {sizeof(fathom_float_array), array.values.data(), array.shape.data(), array.shape.size()};
}

}  // namespace media_detail

// An array that crossed. Throws Error(kFailed) for one that holds nothing, or more than can be.
inline FloatArray float_array(const fathom_float_array* given) {
  const fathom_float_array known = filled(given);
  const std::span<const int64_t> shape(known.shape, known.shape == nullptr ? 0 : known.rank);
  int64_t count = shape.empty() && known.rank > 0 ? 0 : 1;
  for (const int64_t size : shape) {
    if (size <= 0 || count > std::numeric_limits<int64_t>::max() / size)
      media_detail::wrong_shape("one to log", shape, "at least one value");
    count *= size;
  }
  if (known.data == nullptr || count == 0) media_detail::wrong_shape("one to log", shape, "at least one value");
  return {{known.data, static_cast<size_t>(count)}, shape};
}

// Throw Error(kFailed) for other shapes than those of abi/media.h, and for a rate that is none.
inline Audio audio_of(const FloatArray& array, int64_t sample_rate) {
  const auto shape = array.shape;
  constexpr int64_t kMostChannels = 65535;  // what a WAV file can say
  if ((shape.size() != 1 && shape.size() != 2) || (shape.size() == 2 && shape[0] > kMostChannels))
    media_detail::wrong_shape("audio", shape, "[frames] or [channels, frames]");
  if (sample_rate < 1) {
    throw Error(Code::kFailed, "audio has a rate")
        .at("sample_rate")
        .seen(std::to_string(sample_rate))
        .expected("samples a second");
  }
  return {array.values, shape.size() == 2 ? shape[0] : 1, shape.back(), sample_rate};
}
inline Image image_of(const FloatArray& array) {
  const auto shape = array.shape;
  const int64_t channels = shape.size() == 3 ? shape[0] : 1;
  const bool known = shape.size() == 2 || (shape.size() == 3 && (channels == 1 || channels == 3 || channels == 4));
  if (!known)
    media_detail::wrong_shape("an image", shape, "[height, width] or [channels, height, width] of 1, 3 or 4 channels");
  return {array.values, channels, shape[shape.size() - 2], shape.back()};
}

// The program's table, as a step and a callback are given it. What an older program lacks is an error in words.
class MediaLog {
 public:
  explicit MediaLog(const fathom_media_log* table) : table_(filled(table)) {}

  void log_text(std::string_view name, std::string_view text) const {
    check(need(&fathom_media_log::log_text)(table_.ctx, to_abi(name), to_abi(text)));
  }
  void log_histogram(std::string_view name, const FloatArray& values) const {
    const auto array = media_detail::to_abi_array(values);
    check(need(&fathom_media_log::log_histogram)(table_.ctx, to_abi(name), &array));
  }
  void log_audio(std::string_view name, const FloatArray& samples, int64_t sample_rate) const {
    const auto array = media_detail::to_abi_array(samples);
    check(need(&fathom_media_log::log_audio)(table_.ctx, to_abi(name), &array, sample_rate));
  }
  void log_image(std::string_view name, const FloatArray& pixels) const {
    const auto array = media_detail::to_abi_array(pixels);
    check(need(&fathom_media_log::log_image)(table_.ctx, to_abi(name), &array));
  }

 private:
  template <typename F>
  F need(F fathom_media_log::*function) const {
    if (table_.*function != nullptr) return table_.*function;
    throw Error(Code::kUnavailable, "this program logs numbers only")
        .next("update the program, or use the plugin built for it");
  }
  fathom_media_log table_;
};

}  // namespace fathom
