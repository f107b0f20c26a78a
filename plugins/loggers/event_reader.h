// For tests: reads an event file back, scalars and text, every checksum verified.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::loggers {

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string file_version;
  std::vector<std::pair<std::string, float>> scalars;
  std::vector<std::pair<std::string, std::string>> texts;
};

// Error kBadData naming `where` and the offset for a wrong checksum, a cut record or a malformed message.
std::vector<Event> read_events(std::string_view bytes, const std::string& where);

}  // namespace fathom::loggers
