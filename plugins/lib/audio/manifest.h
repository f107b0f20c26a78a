// Manifests: one JSON object a line (manifest_line.h). Uses no torch. A manifest is read once when it is opened, every
// line is checked then, and 32 bytes a line are kept; an item's line is read and parsed again when it is asked for. So
// a million lines open in less than a second, and resuming in mid-epoch costs nothing. Lines end with LF, CR LF or CR;
// a byte order mark is passed over. A pipe is copied into a temporary file ($TMPDIR, else /tmp) that has no name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fathom/support.h"
#include "plugins/lib/audio/manifest_line.h"

namespace fathom::audio {

// The files a `manifest_filepath` value names: commas separate several.
std::vector<std::string> split_manifest_paths(const std::string& value);
// The same of a config's value: a text, or a list of texts (or of lists). Errors name `path`, the value's place.
std::vector<std::string> manifest_paths(const Json& value, const std::string& path);

// Which lines stay. Every line is checked, also those that do not.
struct ManifestFilter {
  bool needs_duration = true;                        // a line without one is an error
  std::optional<double> min_duration, max_duration;  // seconds; unknown durations stay
  int64_t most = 0;                                  // the first so many of what stays; 0: all
  // Asked of each line within the durations, in order, until `most` are kept.
  std::function<bool(const ManifestLine&)> keep;
  // Told of each line that the durations leave out.
  std::function<void(const ManifestLine&)> dropped;
};

// What a filter dropped, for the log.
struct Dropped {
  int64_t count = 0;
  double seconds = 0;
};

// Thread-safe once it is open. The files must stay as they are: a line that is cut off or changed meanwhile is an
// error (kIo, kBadData) of the item that needs it.
class Manifest {
 public:
  Manifest() = default;
  // Clips that no file lists.
  explicit Manifest(std::vector<ManifestEntry> entries);
  // The lines of all files, in order. Errors (kNoInput, kBadData, kIo) name file and line: a missing file, a folder, a
  // manifest without entries, and what parse_manifest_line refuses.
  static Manifest open(const std::vector<std::string>& files, const ManifestFilter& filter = {});

  int64_t size() const { return static_cast<int64_t>(lines_.size()); }
  double duration(int64_t index) const { return line(index).duration; }  // seconds; negative: unknown
  ManifestEntry entry(int64_t index) const;
  const Dropped& dropped_by_duration() const { return dropped_; }

 private:
  struct OpenFile;
  class File;
  struct Line {
    int64_t start = 0;  // in the file; of clips without one, the place in entries_
    double duration = -1;
    uint32_t length = 0, checksum = 0;
    uint32_t number = 0, file = 0;  // from 1; of files_
  };
  const Line& line(int64_t index) const { return lines_.at(static_cast<size_t>(index)); }
  void add_file(const std::string& path, const ManifestFilter& filter);

  std::vector<std::shared_ptr<const File>> files_;
  std::vector<ManifestEntry> entries_;
  std::vector<Line> lines_;
  Dropped dropped_;
};

}  // namespace fathom::audio
