#include "plugins/loggers/event_reader.h"

#include <cstring>

#include "fathom/error.h"
#include "plugins/loggers/event_file.h"

namespace fathom::loggers {
namespace {

template <typename T>
T raw(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Walks the fields of a protobuf message.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t key = varint();
    field = static_cast<uint32_t>(key >> 3);
    switch (key & 7) {
      case 0: number = varint(); break;
      case 1: take(8); break;
      case 2: take(varint()); break;
      case 5: take(4); break;
      default: throw Error(Code::kBadData, "a protobuf field has an unknown wire type").seen(std::to_string(key & 7));
    }
    wire = static_cast<uint32_t>(key & 7);
    return true;
  }
  bool is(uint32_t wanted, uint32_t type) const { return field == wanted && wire == type; }

  uint32_t field = 0, wire = 0;
  uint64_t number = 0;
  std::string_view data;

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) throw Error(Code::kBadData, "a protobuf message is cut short");
      const auto byte = static_cast<uint8_t>(bytes_[0]);
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw Error(Code::kBadData, "a protobuf number is too long");
  }
  void take(uint64_t size) {
    if (size > bytes_.size()) throw Error(Code::kBadData, "a protobuf message is cut short");
    data = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  std::string_view bytes_;
};

void read_value(std::string_view bytes, Event& event) {
  std::string tag, text;
  float scalar = 0;
  bool has_scalar = false, has_text = false;
  for (Fields f(bytes); f.next();) {
    if (f.is(1, 2)) tag = f.data;
    if (f.is(2, 5)) {
      scalar = raw<float>(f.data);
      has_scalar = true;
    }
    if (f.is(8, 2)) {
      for (Fields tensor(f.data); tensor.next();) {
        if (!tensor.is(8, 2)) continue;
        text = tensor.data;
        has_text = true;
      }
    }
  }
  if (has_scalar) event.scalars.emplace_back(tag, scalar);
  if (has_text) event.texts.emplace_back(tag, text);
}

Event read_event(std::string_view bytes) {
  Event event;
  for (Fields f(bytes); f.next();) {
    if (f.is(1, 1)) event.wall_time = raw<double>(f.data);
    if (f.is(2, 0)) event.step = static_cast<int64_t>(f.number);
    if (f.is(3, 2)) event.file_version = f.data;
    if (f.is(5, 2)) {
      for (Fields summary(f.data); summary.next();) {
        if (summary.is(1, 2)) read_value(summary.data, event);
      }
    }
  }
  return event;
}

}  // namespace

std::vector<Event> read_events(std::string_view bytes, const std::string& where) {
  std::vector<Event> events;
  const size_t total = bytes.size();
  while (!bytes.empty()) {
    const std::string place = where + ", byte " + std::to_string(total - bytes.size());
    std::string_view payload;
    if (const char* problem = next_record(bytes, payload)) throw Error(Code::kBadData, problem).at(place);
    try {
      events.push_back(read_event(payload));
    } catch (Error& error) {
      error.locate(place);
      throw;
    }
    bytes.remove_prefix(kRecordFrame + payload.size());
  }
  return events;
}

}  // namespace fathom::loggers
