// TensorBoard's event files. A file is a sequence of TFRecords (length, masked CRC-32C of the length, payload, masked
// CRC-32C of the payload; little endian), each payload a protobuf Event {wall_time, step, file_version | summary}; the
// first says "brain.Event:2". Only the fields that are needed are written. Sources:
// tensorflow/core/lib/io/record_writer.h, tensorboard/compat/proto/{event,summary,tensor}.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "plugins/loggers/checksum.h"
#include "plugins/loggers/histogram.h"
#include "plugins/loggers/media_file.h"

namespace fathom::loggers {

// What records carry: rotated and shifted, so that a checksum of data that holds checksums stays sound.
uint32_t masked_crc32c(std::string_view bytes);

constexpr size_t kRecordFrame = 16;  // bytes around a payload
// What is wrong with the record at the start of `bytes`, or null; then `payload` is its content.
const char* next_record(std::string_view bytes, std::string_view& payload);
// Bytes of the whole, valid records at the start: what a writer that was killed may be continued after.
int64_t valid_prefix(std::string_view bytes);

struct Scalar {
  std::string_view tag;
  float value;
};

// Each appends one framed record to `out`. `wall_time` in seconds since 1970.
void append_version_event(std::string& out, double wall_time);
void append_scalars_event(std::string& out, double wall_time, int64_t step, std::span<const Scalar> scalars);
// Shown by TensorBoard's text plugin, as Markdown.
void append_text_event(std::string& out, double wall_time, int64_t step, std::string_view tag, std::string_view text);
void append_histogram_event(std::string& out, double wall_time, int64_t step, std::string_view tag,
                            const Histogram& histogram);
void append_audio_event(std::string& out, double wall_time, int64_t step, std::string_view tag, const Audio& audio);
void append_image_event(std::string& out, double wall_time, int64_t step, std::string_view tag, const Image& image);

// events.out.tfevents.<time>.<host>.<pid>.<n><suffix>; n counts the files this process has named.
std::string event_file_name(int64_t time, const std::string& suffix);

}  // namespace fathom::loggers
