// What is to be transcribed, and what came of it in all. No torch in this header.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom {

struct TranscribeRequest {
  std::string model;               // .nemo
  std::vector<std::string> files;  // audio files, or
  std::string manifest;            // a manifest
  int64_t batch_size = 4;
  bool timestamps = false;
  int threads = 0;
  // Sections of components of kind metric, by a name of the caller's. Each is given the `hypotheses` and `references`
  // of the items that came with a text.
  std::map<std::string, Json> metrics;
};

struct TranscribeTotals {
  int64_t items = 0, references = 0;  // references: items that came with a text
  double audio_seconds = 0, seconds = 0;
  // What each metric computed; none is there without references, or where no plugin provides it.
  std::map<std::string, std::map<std::string, double>> metrics;
};

}  // namespace fathom
