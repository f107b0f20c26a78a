// The files of a run's folder: which are there, what their names tell. No torch. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fathom::runs {

// A file of a run's checkpoints/ folder.
struct CheckpointFile {
  std::string path;
  // "…-last.ckpt" and "…-end.ckpt" say where the run stood; the others, which were kept for their value, which are
  // best.
  bool is_last = false, is_end = false, is_average = false;
  std::optional<int64_t> epoch, step;  // "epoch=3", "step=40" in the name
};
// Every .ckpt in <folder>/checkpoints, or in the folder itself, sorted by name; those whose writing was not finished
// are left out.
std::vector<CheckpointFile> checkpoint_files(const std::string& folder);

// The number after "METRIC=" in a file's name.
std::optional<double> number_in_name(const std::string& path, const std::string& metric);
// The metrics "NAME=NUMBER" in a file's name, but for epoch and step.
std::vector<std::string> metrics_in_name(const std::string& path);

// Whether names in a folder are those of a run.
struct FolderSigns {
  bool is_run = false;
  double changed = 0;  // of the newest file of the run, in seconds since 1970; 0: none
};
FolderSigns look_at_folder(const std::string& folder);

// The last lines of the run's log that say how training ended: {"finished" | "stopped" | "interrupted", reason}.
struct LoggedEnd {
  std::string state, reason;
};
std::optional<LoggedEnd> logged_end(const std::string& folder);

}  // namespace fathom::runs
