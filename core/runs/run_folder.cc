#include "core/runs/run_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/runs/run_record.h"

namespace fathom::runs {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLogs[] = {"nemo_log_globalrank-0_localrank-0.txt", "lightning_logs.txt"};

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/';
}

double changed_at(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return 0;
  return static_cast<double>(info.st_mtim.tv_sec) + static_cast<double>(info.st_mtim.tv_nsec) * 1e-9;
}

// Names below a folder; none of one that cannot be read, which whoever walks it has told of.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    out.push_back(entry->path());
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<int64_t> count_in_name(const std::string& path, const std::string& what) {
  const auto value = number_in_name(path, what);
  if (!value || !(*value >= 0 && *value < 9e15)) return std::nullopt;
  return static_cast<int64_t>(*value);
}

std::string tail_of(const std::string& path) {
  constexpr std::streamoff kMost = 1 << 16;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg(), start = std::max<std::streamoff>(0, size - kMost);
  std::string text(static_cast<size_t>(std::max<std::streamoff>(0, size - start)), '\0');
  file.seekg(start);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(0, file.gcount())));
  return text;
}

}  // namespace

std::optional<double> number_in_name(const std::string& path, const std::string& metric) {
  const std::string name = fs::path(path).filename();
  const std::string key = metric.substr(metric.rfind('/') + 1) + "=";  // of val/x, the name's part is x
  for (size_t at = name.find(key); at != std::string::npos; at = name.find(key, at + 1)) {
    if (at > 0 && is_name_char(name[at - 1])) continue;
    double value = 0;
    const char* start = name.data() + at + key.size();
    // Up to the next part: "0.1234-epoch=3", "12.ckpt".
    size_t end = name.find_first_not_of("0123456789.+-einfa", at + key.size());
    if (end == std::string::npos) end = name.size();
    const auto [stop, problem] = std::from_chars(start, name.data() + end, value);
    if (problem == std::errc() && stop != start) return value;
  }
  return std::nullopt;
}

std::vector<std::string> metrics_in_name(const std::string& path) {
  const std::string name = fs::path(path).filename();
  std::vector<std::string> out;
  for (size_t at = name.find('='); at != std::string::npos; at = name.find('=', at + 1)) {
    size_t start = at;
    while (start > 0 && is_name_char(name[start - 1])) --start;
    const std::string metric = name.substr(start, at - start);
    if (!metric.empty() && metric != "epoch" && metric != "step" && number_in_name(name, metric)) out.push_back(metric);
  }
  return out;
}

std::vector<CheckpointFile> checkpoint_files(const std::string& folder) {
  std::vector<CheckpointFile> out;
  for (const fs::path& place : {fs::path(folder) / "checkpoints", fs::path(folder)}) {
    for (const fs::path& path : entries(place)) {
      const std::string file = path;
      if (!file.ends_with(".ckpt")) continue;
      CheckpointFile found;
      found.path = file;
      std::string stem = file.substr(0, file.size() - 5);
      found.is_average = stem.ends_with("-EMA");
      if (found.is_average) stem.resize(stem.size() - 4);
      if (file_exists(stem + "-unfinished")) continue;
      found.is_last = stem.ends_with("last") || stem.find("-last-v") != std::string::npos ||
                      fs::path(stem).filename().string().starts_with("last-v");
      found.is_end = stem.ends_with("-end");
      found.epoch = count_in_name(file, "epoch");
      found.step = count_in_name(file, "step");
      out.push_back(std::move(found));
    }
  }
  return out;
}

FolderSigns look_at_folder(const std::string& folder) {
  FolderSigns signs;
  const auto take = [&](const fs::path& path) { signs.changed = std::max(signs.changed, changed_at(path)); };
  for (const fs::path& path : entries(folder)) {
    const std::string name = path.filename();
    const bool events = name.starts_with("events.out.tfevents");
    const bool sign =
        name == kRunFile || name == "metrics.csv" || name == "cmd-args.log" || name == "hparams.yaml" || events;
    const bool log = name.starts_with("nemo_log_") || name == "lightning_logs.txt" || name.ends_with(".ckpt");
    if (sign || log) take(path);
    signs.is_run = signs.is_run || sign;
    if (name != "checkpoints") continue;
    for (const fs::path& checkpoint : entries(path)) {
      const std::string file = checkpoint;
      if (!file.ends_with(".ckpt") && !file.ends_with(".nemo")) continue;
      signs.is_run = true;
      take(checkpoint);
    }
  }
  return signs;
}

std::optional<LoggedEnd> logged_end(const std::string& folder) {
  std::optional<LoggedEnd> end;
  for (const char* log : kLogs) {
    for (const std::string& line : split(tail_of(folder + "/" + log), '\n')) {
      const auto after = [&](const char* mark) -> std::optional<std::string> {
        const size_t at = line.find(mark);
        if (at == std::string::npos) return std::nullopt;
        return std::string(trim(std::string_view(line).substr(at + std::string_view(mark).size())));
      };
      if (const auto reason = after("trainer] fit stopped: ")) {  // ours
        const bool limit = reason->starts_with("max_epochs=") || reason->starts_with("max_steps=");
        end = {limit && reason->ends_with("reached") ? "finished" : "stopped", *reason};
      } else if (const auto theirs = after("`Trainer.fit` stopped: ")) {  // Lightning's, of its limits only
        end = {"finished", *theirs};
      } else if (after("resume with the same command")) {
        end = {"interrupted", ""};
      } else if (after("run folder ") || after("Experiments will be logged at")) {  // a run begins here
        end.reset();
      }
    }
    if (end) return end;
  }
  return end;
}

}  // namespace fathom::runs
