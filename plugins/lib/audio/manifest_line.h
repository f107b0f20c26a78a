// One line of a manifest. Uses no torch; thread-safe (no state).
//
// Lines are read as Python's json reads them (python_json.h); of a key that stands twice the last value counts.
// Keys (NeMo's): audio_filepath (or audio_filename), duration in seconds, text | text_filepath | normalized_text (""
// when none is there), command | target | label (of a classification), offset in seconds, speaker, lang,
// orig_sample_rate, shard_id (of the tar file that holds the audio), normalized_text | text_normalized. What other keys
// say is kept as text where it is a text, a truth value or a whole number, for models that are told more of an item. A
// relative path is looked up in the manifest's folder first, then in the working directory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lib/audio/file_part.h"

namespace fathom::audio {

struct ManifestEntry {
  std::string audio_file;
  double duration = -1;  // seconds; negative: unknown, the whole file
  double offset = 0;     // seconds
  std::string text;
  bool has_text = false;
  std::optional<std::string> label;            // none as well where it is no text
  std::string speaker, lang;                   // a speaker's number as text
  std::optional<std::string> normalized_text;  // normalized_text | text_normalized: the text with numbers in words
  std::optional<int64_t> orig_sample_rate, shard_id;
  FilePart part;                                           // of audio_file
  std::map<std::string, std::string, std::less<>> extras;  // of the other keys
  std::string named_as;                                    // audio_filepath as the manifest has it
  std::string manifest;                                    // "" when the entry did not come from one
  int64_t line = 0;                                        // from 1
  std::string where() const { return manifest.empty() ? audio_file : manifest + ":" + std::to_string(line); }
};

// What a filter looks at. Borrows its texts.
struct ManifestLine {
  double duration = -1;  // seconds; negative: unknown
  std::string_view text;
  std::string_view file;
  int64_t line = 0;                       // from 1
  std::optional<std::string_view> label;  // none as well where it is no text
  std::string_view audio;                 // as the line names it
  std::string where() const { return std::string(file) + ":" + std::to_string(line); }
};

// Duration, text and label of a line of the plain shape that programs write: one flat object whose texts have no
// escapes and whose numbers no exponent. Nothing for any other line, good or bad, and for one that names no audio: only
// the parser can judge those. What it does return is what the parser gives, to the bit, at a tenth of the cost.
std::optional<ManifestLine> scan_manifest_line(std::string_view line);

// The line in full, which must hold no line break. The file at text_filepath is read; audio_file stays as it is named.
// Errors (kBadData) name `file` and `number`: no JSON object, no audio_filepath, no duration where `needs_duration`,
// values of the wrong type.
ManifestEntry parse_manifest_line(std::string_view line, const std::string& file, int64_t number, bool needs_duration);

// Where a path that a manifest names lies.
std::string resolve_manifest_path(const std::string& path, const std::string& manifest);

}  // namespace fathom::audio
