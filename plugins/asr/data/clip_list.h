// The clips of a data set: those of a manifest, read from files of their own or from tar files. Uses no torch.
#pragma once

#include <string>
#include <vector>

#include "plugins/asr/data/shard_paths.h"
#include "plugins/lib/audio/manifest.h"

namespace fathom::asr {

struct TarOptions {
  bool is_tarred = false;
  Json tarred_audio_filepaths;
  std::string tarred_shard_strategy = "scatter";
  Rank rank;
};

// Thread-safe after construction.
class ClipList {
 public:
  ClipList() = default;
  explicit ClipList(audio::Manifest clips) : manifest_(std::move(clips)) {}
  // The clips of `clips` that the tar files hold, in the order in which they lie there; `names` are those of the
  // manifest's files, as it gives them, and `left_out` those of lines that a filter left out. A file stands for every
  // line that names it, by its name without folders and ending. What one side has and the other has not is logged with
  // its first names. Errors: what tar_members and shard_paths say; kBadData for shards of which no clip is in the
  // manifest, and for a line whose shard_id is that of a shard which lacks its clip.
  static ClipList of_tars(audio::Manifest clips, std::vector<std::string> names, std::vector<std::string> left_out,
                          const TarOptions& options);

  bool is_tarred() const { return !shards_.empty(); }
  int64_t size() const { return is_tarred() ? static_cast<int64_t>(places_.size()) : manifest_.size(); }
  // The item's row among the manifest's.
  int64_t row(int64_t index) const { return is_tarred() ? place(index).row : index; }
  double duration(int64_t index) const { return manifest_.duration(row(index)); }  // seconds; negative: unknown
  audio::ManifestEntry entry(int64_t index) const;
  const audio::Manifest& manifest() const { return manifest_; }
  // Where the items of each shard begin, and behind them the number of all; {0, size()} without shards.
  std::vector<int64_t> shard_starts() const;

 private:
  struct Place {
    int64_t row = 0;
    audio::FilePart part;
  };
  class Joiner;
  const Place& place(int64_t index) const { return places_.at(static_cast<size_t>(index)); }

  audio::Manifest manifest_;
  std::vector<std::string> shards_;
  std::vector<Place> places_;
  std::vector<int64_t> starts_;  // of shards_, in places_
};

// A file's name without folders and ending: what joins a manifest's line with a member of a tar file.
std::string_view file_id(std::string_view path);

}  // namespace fathom::asr
