#include "plugins/loggers/event_file.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

namespace fathom::loggers {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}
constexpr auto kTable = make_table();

constexpr size_t kHead = 12;  // length and its checksum

template <typename T>
T raw(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <typename T>
void append_raw(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);  // little endian hosts only, as the format
  out.append(bytes, sizeof bytes);
}

void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_key(std::string& out, uint32_t field, Wire wire) { append_varint(out, field << 3 | wire); }
void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_record(std::string& out, std::string_view payload) {
  const size_t start = out.size();
  append_raw(out, static_cast<uint64_t>(payload.size()));
  append_raw(out, masked_crc32c(std::string_view(out).substr(start, 8)));
  out += payload;
  append_raw(out, masked_crc32c(payload));
}

std::string begin_event(double wall_time, int64_t step) {
  std::string event;
  append_key(event, 1, kFixed64);
  append_raw(event, wall_time);
  if (step != 0) {
    append_key(event, 2, kVarint);
    append_varint(event, static_cast<uint64_t>(step));
  }
  return event;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return crc ^ 0xffffffffu;
}

uint32_t masked_crc32c(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

const char* next_record(std::string_view bytes, std::string_view& payload) {
  if (bytes.size() < kHead) return "a record is cut short";
  if (masked_crc32c(bytes.substr(0, 8)) != raw<uint32_t>(bytes.substr(8)))
    return "a record's length has a wrong checksum";
  const auto length = raw<uint64_t>(bytes);
  if (length > bytes.size() || bytes.size() - length < kRecordFrame) return "a record is cut short";
  payload = bytes.substr(kHead, length);
  if (masked_crc32c(payload) != raw<uint32_t>(bytes.substr(kHead + length))) return "a record has a wrong checksum";
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
  append_bytes(event, 3, "brain.Event:2");
  append_record(out, event);
}

void append_scalars_event(std::string& out, double wall_time, int64_t step, std::span<const Scalar> scalars) {
  std::string summary, value;
  for (const auto& scalar : scalars) {
    value.clear();
    append_bytes(value, 1, scalar.tag);
    append_key(value, 2, kFixed32);
    append_raw(value, scalar.value);
    append_bytes(summary, 1, value);
  }
  std::string event = begin_event(wall_time, step);
  append_bytes(event, 5, summary);
  append_record(out, event);
}

void append_text_event(std::string& out, double wall_time, int64_t step, std::string_view tag, std::string_view text) {
  std::string plugin, metadata;
  append_bytes(plugin, 1, "text");
  append_bytes(metadata, 1, plugin);

  std::string dim, shape, tensor;
  append_key(dim, 1, kVarint);
  append_varint(dim, 1);
  append_bytes(shape, 2, dim);
  append_key(tensor, 1, kVarint);
  append_varint(tensor, 7);  // DT_STRING
  append_bytes(tensor, 2, shape);
  append_bytes(tensor, 8, text);

  std::string value, summary;
  append_bytes(value, 1, tag);
  append_bytes(value, 8, tensor);
  append_bytes(value, 9, metadata);
  append_bytes(summary, 1, value);
  std::string event = begin_event(wall_time, step);
  append_bytes(event, 5, summary);
  append_record(out, event);
}

std::string event_file_name(int64_t time, const std::string& suffix) {
  static std::atomic<int64_t> count{0};
  char host[256] = "localhost";
  if (::gethostname(host, sizeof host) == 0) host[sizeof host - 1] = '\0';
  return "events.out.tfevents." + std::to_string(time) + "." + host + "." + std::to_string(::getpid()) + "." +
         std::to_string(count++) + suffix;
}

}  // namespace fathom::loggers
