// Protobuf messages by hand, field by field: enough for TensorBoard's events and W&B's records. Little endian hosts
// only, as the formats. A message is a string that fields are appended to; nested ones are fields of bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "fathom/error.h"

namespace fathom::loggers {

template <typename T>
void append_raw(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}
template <typename T>
T read_raw(std::string_view bytes) {
  if (bytes.size() < sizeof(T)) throw Error(Code::kBadData, "a number is cut short");
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

namespace protobuf {

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

inline void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}
inline void append_key(std::string& out, uint32_t field, Wire wire) { append_varint(out, field << 3 | wire); }

inline void add_number(std::string& out, uint32_t field, int64_t value) {
  append_key(out, field, kVarint);
  append_varint(out, static_cast<uint64_t>(value));
}
inline void add_float(std::string& out, uint32_t field, float value) {
  append_key(out, field, kFixed32);
  append_raw(out, value);
}
inline void add_double(std::string& out, uint32_t field, double value) {
  append_key(out, field, kFixed64);
  append_raw(out, value);
}
// Texts and messages.
inline void add_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

// Walks the fields of a message: for tests. Throws Error(kBadData) for one that is malformed.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t key = varint();
    field = static_cast<uint32_t>(key >> 3);
    wire = static_cast<uint32_t>(key & 7);
    switch (wire) {
      case kVarint: number = varint(); break;
      case kFixed64: take(8); break;
      case kBytes: take(varint()); break;
      case kFixed32: take(4); break;
      default: throw Error(Code::kBadData, "a protobuf field has an unknown wire type").seen(std::to_string(wire));
    }
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

}  // namespace protobuf
}  // namespace fathom::loggers
