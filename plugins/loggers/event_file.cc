#include "plugins/loggers/event_file.h"

#include <unistd.h>

#include <atomic>

#include "plugins/loggers/protobuf.h"

namespace fathom::loggers {
namespace {

constexpr size_t kHead = 12;  // length and its checksum

void append_record(std::string& out, std::string_view payload) {
  const size_t start = out.size();
  append_raw(out, static_cast<uint64_t>(payload.size()));
  append_raw(out, masked_crc32c(std::string_view(out).substr(start, 8)));
  out += payload;
  append_raw(out, masked_crc32c(payload));
}

std::string begin_event(double wall_time, int64_t step) {
  std::string event;
  protobuf::add_double(event, 1, wall_time);
  if (step != 0) protobuf::add_number(event, 2, step);
  return event;
}

void append_summary_event(std::string& out, double wall_time, int64_t step, std::string_view summary) {
  std::string event = begin_event(wall_time, step);
  protobuf::add_bytes(event, 5, summary);
  append_record(out, event);
}

// A summary of one value, which stands in `field`.
void append_value_event(std::string& out, double wall_time, int64_t step, std::string_view tag, uint32_t field,
                        std::string_view message) {
  std::string value, summary;
  protobuf::add_bytes(value, 1, tag);
  protobuf::add_bytes(value, field, message);
  protobuf::add_bytes(summary, 1, value);
  append_summary_event(out, wall_time, step, summary);
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

const char* next_record(std::string_view bytes, std::string_view& payload) {
  if (bytes.size() < kHead) return "a record is cut short";
  if (masked_crc32c(bytes.substr(0, 8)) != read_raw<uint32_t>(bytes.substr(8)))
    return "a record's length has a wrong checksum";
  const auto length = read_raw<uint64_t>(bytes);
  if (length > bytes.size() || bytes.size() - length < kRecordFrame) return "a record is cut short";
  payload = bytes.substr(kHead, length);
  if (masked_crc32c(payload) != read_raw<uint32_t>(bytes.substr(kHead + length)))
    return "a record has a wrong checksum";
  return nullptr;
}

int64_t valid_prefix(std::string_view bytes) {
  const size_t total = bytes.size();
  std::string_view payload;
  while (!bytes.empty() && next_record(bytes, payload) == nullptr) bytes.remove_prefix(kRecordFrame + payload.size());
  return static_cast<int64_t>(total - bytes.size());
}

void append_version_event(std::string& out, double wall_time) {
  std::string event = begin_event(wall_time, 0);
  protobuf::add_bytes(event, 3, "brain.Event:2");
  append_record(out, event);
}

void append_scalars_event(std::string& out, double wall_time, int64_t step, std::span<const Scalar> scalars) {
  std::string summary, value;
  for (const auto& scalar : scalars) {
    value.clear();
    protobuf::add_bytes(value, 1, scalar.tag);
    protobuf::add_float(value, 2, scalar.value);
    protobuf::add_bytes(summary, 1, value);
  }
  append_summary_event(out, wall_time, step, summary);
}

void append_text_event(std::string& out, double wall_time, int64_t step, std::string_view tag, std::string_view text) {
  std::string plugin, metadata;
  protobuf::add_bytes(plugin, 1, "text");
  protobuf::add_bytes(metadata, 1, plugin);

  std::string dim, shape, tensor;
  protobuf::add_number(dim, 1, 1);
  protobuf::add_bytes(shape, 2, dim);
  protobuf::add_number(tensor, 1, 7);  // DT_STRING
  protobuf::add_bytes(tensor, 2, shape);
  protobuf::add_bytes(tensor, 8, text);

  std::string value, summary;
  protobuf::add_bytes(value, 1, tag);
  protobuf::add_bytes(value, 8, tensor);
  protobuf::add_bytes(value, 9, metadata);
  protobuf::add_bytes(summary, 1, value);
  append_summary_event(out, wall_time, step, summary);
}

void append_histogram_event(std::string& out, double wall_time, int64_t step, std::string_view tag,
                            const Histogram& histogram) {
  const auto packed = [](const std::vector<double>& numbers) {
    std::string bytes;
    for (const double number : numbers) append_raw(bytes, number);
    return bytes;
  };
  std::string message;
  protobuf::add_double(message, 1, histogram.min);
  protobuf::add_double(message, 2, histogram.max);
  protobuf::add_double(message, 3, histogram.count);
  protobuf::add_double(message, 4, histogram.sum);
  protobuf::add_double(message, 5, histogram.sum_squares);
  protobuf::add_bytes(message, 6, packed(histogram.right));
  protobuf::add_bytes(message, 7, packed(histogram.counts));
  append_value_event(out, wall_time, step, tag, 5, message);
}

void append_audio_event(std::string& out, double wall_time, int64_t step, std::string_view tag, const Audio& audio) {
  std::string message;
  protobuf::add_float(message, 1, static_cast<float>(audio.sample_rate));
  protobuf::add_number(message, 2, audio.channels);
  protobuf::add_number(message, 3, audio.frames);
  protobuf::add_bytes(message, 4, wav_file(audio));
  protobuf::add_bytes(message, 5, "audio/wav");
  append_value_event(out, wall_time, step, tag, 6, message);
}

void append_image_event(std::string& out, double wall_time, int64_t step, std::string_view tag, const Image& image) {
  std::string message;
  protobuf::add_number(message, 1, image.height);
  protobuf::add_number(message, 2, image.width);
  protobuf::add_number(message, 3, image.channels);  // its number is the colour space's
  protobuf::add_bytes(message, 4, png_file(image));
  append_value_event(out, wall_time, step, tag, 4, message);
}

std::string event_file_name(int64_t time, const std::string& suffix) {
  static std::atomic<int64_t> count{0};
  char host[256] = "localhost";
  if (::gethostname(host, sizeof host) == 0) host[sizeof host - 1] = '\0';
  return "events.out.tfevents." + std::to_string(time) + "." + host + "." + std::to_string(::getpid()) + "." +
         std::to_string(count++) + suffix;
}

}  // namespace fathom::loggers
