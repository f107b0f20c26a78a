#include "core/runs/event_times.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;

template <typename T>
T little_endian(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Reads the fields of a protobuf message: number and wire type, then what the type says.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}
  // False at the end, and for what is no message.
  bool next() {
    const auto tag = varint();
    if (!tag) return false;
    number_ = *tag >> 3;
    const uint64_t type = *tag & 7;
    std::optional<uint64_t> length;
    if (type == 0) {
      const auto value = varint();
      if (value) value_ = *value;
      return value.has_value();
    }
    if (type == 1) length = 8;
    if (type == 2) length = varint();
    if (type == 5) length = 4;
    if (!length || *length > rest_.size()) return false;
    if (type == 1) value_ = little_endian<uint64_t>(rest_, 0);
    rest_.remove_prefix(*length);
    return true;
  }
  uint64_t number() const { return number_; }
  int64_t integer() const { return static_cast<int64_t>(value_); }
  double real() const {
    double value;
    std::memcpy(&value, &value_, sizeof value);
    return value;
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < rest_.size() && i < 10; ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) != 0) continue;
      rest_.remove_prefix(i + 1);
      return value;
    }
    return std::nullopt;
  }
  std::string_view rest_;
  uint64_t number_ = 0, value_ = 0;
};

// A record is its length (8 bytes), a check of that (4), the event, a check of it (4).
void read_events(const std::string& path, std::map<int64_t, double>& times) {
  constexpr size_t kHead = 12, kTail = 4;
  constexpr uint64_t kWallTime = 1, kStep = 2;  // fields of an Event
  const std::string bytes = read_file(path);
  bool first = true;
  for (size_t at = 0; at + kHead <= bytes.size(); first = false) {
    const auto length = little_endian<uint64_t>(bytes, at);
    if (length > bytes.size() || at + kHead + length + kTail > bytes.size()) {
      if (first) throw Error(Code::kBadData, "is no file of TensorBoard events").at(path);
      return;
    }
    FieldReader event(std::string_view(bytes).substr(at + kHead, length));
    double wall_time = 0;
    int64_t step = 0;
    bool has_step = false;
    while (event.next()) {
      if (event.number() == kWallTime) wall_time = event.real();
      if (event.number() == kStep) step = event.integer(), has_step = true;
    }
    // A step of 0 is not written, and neither are hyperparameters and the version of the file.
    if (wall_time > 0 && (has_step || !first)) times.try_emplace(step, wall_time);
    at += kHead + length + kTail;
  }
}

}  // namespace

std::map<int64_t, double> event_times(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with("events.out.tfevents")) files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());  // by time, which their names begin with
  std::map<int64_t, double> times;
  for (const auto& file : files) read_events(file, times);
  return times;
}

}  // namespace fathom::runs
