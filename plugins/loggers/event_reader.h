// For tests: reads an event file back, every checksum verified.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/loggers/histogram.h"

namespace fathom::loggers {

struct EventMedia {
  std::string tag;
  std::vector<int64_t> sizes;  // channels and frames; height, width and channels
  float sample_rate = 0;       // of audio
  std::string file;            // WAV, PNG
};

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string file_version;
  std::vector<std::pair<std::string, float>> scalars;
  std::vector<std::pair<std::string, std::string>> texts;
  std::vector<std::pair<std::string, Histogram>> histograms;
  std::vector<EventMedia> audio, images;
};

// Error kBadData naming `where` and the offset for a wrong checksum, a cut record or a malformed message.
std::vector<Event> read_events(std::string_view bytes, const std::string& where);

}  // namespace fathom::loggers
