#include "plugins/loggers/event_reader.h"

#include "fathom/error.h"
#include "plugins/loggers/event_file.h"
#include "plugins/loggers/protobuf.h"

namespace fathom::loggers {
namespace {

using protobuf::Fields;

std::vector<double> unpacked(std::string_view bytes) {
  std::vector<double> out;
  for (; !bytes.empty(); bytes.remove_prefix(sizeof(double))) out.push_back(read_raw<double>(bytes));
  return out;
}

Histogram read_histogram(std::string_view bytes) {
  Histogram out;
  for (Fields f(bytes); f.next();) {
    switch (f.field) {
      case 1: out.min = read_raw<double>(f.data); break;
      case 2: out.max = read_raw<double>(f.data); break;
      case 3: out.count = read_raw<double>(f.data); break;
      case 4: out.sum = read_raw<double>(f.data); break;
      case 5: out.sum_squares = read_raw<double>(f.data); break;
      case 6: out.right = unpacked(f.data); break;
      case 7: out.counts = unpacked(f.data); break;
      default: break;
    }
  }
  return out;
}

EventMedia read_media(std::string_view bytes, const std::string& tag) {
  EventMedia out;
  out.tag = tag;
  for (Fields f(bytes); f.next();) {
    if (f.is(1, 5)) out.sample_rate = read_raw<float>(f.data);
    if (f.wire == 0 && f.field <= 3) out.sizes.push_back(static_cast<int64_t>(f.number));
    if (f.is(4, 2)) out.file = f.data;
  }
  return out;
}

void read_value(std::string_view bytes, Event& event) {
  std::string tag, text;
  float scalar = 0;
  bool has_scalar = false, has_text = false;
  for (Fields f(bytes); f.next();) {
    if (f.is(1, 2)) tag = f.data;
    if (f.is(2, 5)) {
      scalar = read_raw<float>(f.data);
      has_scalar = true;
    }
    if (f.is(4, 2)) event.images.push_back(read_media(f.data, tag));
    if (f.is(5, 2)) event.histograms.emplace_back(tag, read_histogram(f.data));
    if (f.is(6, 2)) event.audio.push_back(read_media(f.data, tag));
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
    if (f.is(1, 1)) event.wall_time = read_raw<double>(f.data);
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
