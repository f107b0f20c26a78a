// Manifests: one JSON object a line. Uses no torch; thread-safe (no state).
//
// Keys (NeMo's): audio_filepath (or audio_filename), duration in seconds, text | text_filepath | normalized_text (""
// when none is there), offset in seconds, speaker, lang, orig_sample_rate. Others are ignored. A relative path is
// looked up in the manifest's folder first, then in the working directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fathom/support.h"

namespace fathom::audio {

struct ManifestEntry {
  std::string audio_file;
  double duration = -1;  // seconds; negative: unknown, the whole file
  double offset = 0;     // seconds
  std::string text;
  bool has_text = false;
  std::string speaker, lang;
  std::optional<int64_t> orig_sample_rate;
  std::string named_as;  // audio_filepath as the manifest has it
  std::string manifest;  // "" when the entry did not come from one
  int64_t line = 0;      // from 1
  std::string where() const { return manifest.empty() ? audio_file : manifest + ":" + std::to_string(line); }
};

// The files a `manifest_filepath` value names: commas separate several.
std::vector<std::string> split_manifest_paths(const std::string& value);
// The same of a config's value: a text, or a list of texts (or of lists). Errors name `path`, the value's place.
std::vector<std::string> manifest_paths(const Json& value, const std::string& path);

// Every entry, in order. Errors (kNoInput, kBadData) name file and line: a missing or empty manifest, a line that is no
// JSON object, a missing audio_filepath, a missing duration where `needs_duration`, values of the wrong type.
std::vector<ManifestEntry> read_manifests(const std::vector<std::string>& files, bool needs_duration = true);

// What a filter dropped, for the log.
struct Dropped {
  int64_t count = 0;
  double seconds = 0;
};
// Keeps entries whose duration lies in [minimum, maximum]. Unknown durations are kept.
Dropped filter_by_duration(std::vector<ManifestEntry>& entries, std::optional<double> minimum,
                           std::optional<double> maximum);

}  // namespace fathom::audio
