#include "plugins/loggers/mlflow_store.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "fathom/support.h"
#include "plugins/loggers/hparams_yaml.h"
#include "plugins/loggers/log_file.h"
#include "plugins/loggers/wall_time.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultExperiment = "Default";
constexpr const char* kDefaultExperimentId = "0";
constexpr const char* kMeta = "/meta.yaml";

int64_t now_ms() { return static_cast<int64_t>(wall_time() * 1000); }

std::string path_of_uri(std::string_view uri) {
  std::string out;
  for (size_t i = 0; i < uri.size(); ++i) {
    const auto digit = [&](size_t at) { return at < uri.size() && std::isxdigit(static_cast<unsigned char>(uri[at])); };
    if (uri[i] == '%' && digit(i + 1) && digit(i + 2)) {
      out += static_cast<char>(std::stoi(std::string(uri.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += uri[i];
    }
  }
  return out;
}

std::string file_uri(const std::string& path) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string out = "file://";
  for (const char c : fs::absolute(path).lexically_normal().string()) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("/_.-~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

// A plain, 'single' or "double" quoted YAML scalar.
std::string yaml_text(const std::string& written) {
  if (written.size() < 2 || written.front() != written.back()) return written;
  if (written.front() == '"') {
    try {
      return parse_text(written).get<std::string>();
    } catch (const std::exception&) {
      return written;
    }
  }
  if (written.front() != '\'') return written;
  std::string out;
  for (size_t i = 1; i + 1 < written.size(); ++i) {
    if (written[i] == '\'' && written[i + 1] == '\'' && i + 2 < written.size()) ++i;
    out += written[i];
  }
  return out;
}

// A meta.yaml: scalars by key. PyYAML breaks long ones, and goes on indented.
std::map<std::string, std::string> read_meta(const std::string& path) {
  std::map<std::string, std::string> written;
  std::string* last = nullptr;
  const std::string text = read_whole_file(path);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.pop_back();
    const size_t first = line.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    if (first > 0 && last != nullptr) {
      *last += " " + line.substr(first);
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t value = line.find_first_not_of(' ', colon + 1);
    last = &written[line.substr(0, colon)];
    *last = value == std::string::npos ? "" : line.substr(value);
  }
  for (auto& [key, value] : written) value = yaml_text(value);
  return written;
}

std::string value_or(const std::map<std::string, std::string>& meta, const char* key, const std::string& otherwise) {
  const auto found = meta.find(key);
  return found == meta.end() ? otherwise : found->second;
}

MlflowExperiment write_experiment(const std::string& root, const std::string& id, const std::string& name,
                                  const std::string& location) {
  const std::string folder = root + "/" + id;
  const MlflowExperiment made = {id, location.empty() ? file_uri(folder) : location};
  make_folder(folder);
  const int64_t now = now_ms();
  replace_file(folder + kMeta, to_yaml({{"artifact_location", made.artifact_location},
                                        {"creation_time", now},
                                        {"experiment_id", id},
                                        {"last_update_time", now},
                                        {"lifecycle_stage", "active"},
                                        {"name", name}}));
  return made;
}

// Of the folders in `root` that hold a meta.yaml.
template <typename Visit>
void each_experiment(const std::string& root, const Visit& visit) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string folder = entry.path().string();
    if (entry.path().filename() != ".trash" && file_size(folder + kMeta) && visit(folder)) return;
  }
}

}  // namespace

std::string mlflow_folder(const std::string& uri, const std::string& where) {
  std::string_view path = uri;
  const bool is_file = path.starts_with("file:");
  if (is_file) path.remove_prefix(5);
  if (is_file && path.starts_with("//")) path.remove_prefix(2);
  const bool is_local = !path.empty() && path.find("://") == std::string_view::npos &&
                        (is_file || path.find(':') == std::string_view::npos) && uri != "databricks" && uri != "uc" &&
                        !(uri.starts_with("file://") && !path.starts_with('/'));  // file://HOST/PATH
  if (is_local) return is_file ? path_of_uri(path) : std::string(path);
  throw Error(Code::kUnavailable, "only a folder can be logged to: servers and databases are MLflow's own package's")
      .at(where)
      .seen(uri)
      .expected("file:FOLDER")
      .next("log to a folder, and show it with `mlflow ui --backend-store-uri FOLDER`");
}

std::optional<MlflowExperiment> find_mlflow_experiment(const std::string& root, const std::string& name) {
  std::optional<MlflowExperiment> found;
  each_experiment(root, [&](const std::string& folder) {
    const auto meta = read_meta(folder + kMeta);
    if (value_or(meta, "name", "") != name || value_or(meta, "lifecycle_stage", "active") != "active") return false;
    found = {fs::path(folder).filename(), value_or(meta, "artifact_location", file_uri(folder))};
    return true;
  });
  return found;
}

MlflowExperiment make_mlflow_experiment(const std::string& root, const std::string& name,
                                        const std::string& artifact_location) {
  if (!fs::exists(root)) {
    make_folder(root + "/.trash");
    const auto made = write_experiment(root, kDefaultExperimentId, kDefaultExperiment, "");
    if (name == kDefaultExperiment && artifact_location.empty()) return made;
  }
  std::random_device source;
  std::string id;
  do {  // eighteen digits, as MLflow's
    id = std::to_string(std::uniform_int_distribution<int64_t>(100000000000000000, 999999999999999999)(source));
  } while (fs::exists(root + "/" + id));
  return write_experiment(root, id, name, artifact_location);
}

std::optional<std::string> experiment_of_mlflow_run(const std::string& root, const std::string& run_id) {
  std::optional<std::string> found;
  each_experiment(root, [&](const std::string& folder) {
    if (!file_size(folder + "/" + run_id + kMeta)) return false;
    found = fs::path(folder).filename();
    return true;
  });
  return found;
}

void MlflowRun::write_meta(MlflowStatus status, int64_t end_ms) const {
  replace_file(folder + kMeta, to_yaml({{"artifact_uri", artifact_uri},
                                        {"end_time", end_ms == 0 ? Json(nullptr) : Json(end_ms)},
                                        {"entry_point_name", ""},
                                        {"experiment_id", experiment_id},
                                        {"lifecycle_stage", "active"},
                                        {"run_id", id},
                                        {"run_name", name},
                                        {"run_uuid", id},
                                        {"source_name", ""},
                                        {"source_type", 4},
                                        {"source_version", ""},
                                        {"start_time", start_ms},
                                        {"status", static_cast<int>(status)},
                                        {"tags", Json::array()},
                                        {"user_id", user}}));
}

MlflowRun read_mlflow_run(const std::string& folder) {
  const auto meta = read_meta(folder + kMeta);
  MlflowRun run;
  run.folder = folder;
  run.experiment_id = value_or(meta, "experiment_id", "");
  run.id = value_or(meta, "run_id", value_or(meta, "run_uuid", ""));
  run.name = value_or(meta, "run_name", "");
  run.artifact_uri = value_or(meta, "artifact_uri", "");
  run.user = value_or(meta, "user_id", "");
  run.start_ms = std::strtoll(value_or(meta, "start_time", "0").c_str(), nullptr, 10);
  if (run.id.empty() || run.start_ms == 0)
    throw Error(Code::kBadData, "is no run of MLflow").at(folder + kMeta).expected("run_id and start_time");
  return run;
}

std::string new_mlflow_run_id() {
  constexpr const char* kDigits = "0123456789abcdef";
  std::random_device source;
  std::string id;
  while (id.size() < 32) id += kDigits[source() & 15];
  return id;
}

const std::string& MlflowKeys::file_of(std::string_view key) {
  if (const auto found = files_.find(key); found != files_.end()) return found->second;
  constexpr size_t kLongest = 250;
  std::string file, part;
  const auto end_part = [&] {
    if (!part.empty() && part != "." && part != "..") file += (file.empty() ? "" : "/") + part.substr(0, kLongest);
    part.clear();
  };
  for (const char c : key) {
    if (c == '/')
      end_part();
    else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("_. -").find(c) != std::string::npos)
      part += c;
  }
  end_part();
  if (file.empty()) file = "_";
  const auto below_a_file = [&] {
    for (size_t slash = file.find('/'); slash != std::string::npos; slash = file.find('/', slash + 1)) {
      if (used_.contains(file.substr(0, slash))) return true;
    }
    return false;
  };
  if (below_a_file()) std::replace(file.begin(), file.end(), '/', '_');
  while (used_.contains(file) || folders_.contains(file)) file += '_';
  if (file != key)
    log(LogLevel::kWarning, "mlflow", "'" + std::string(key) + "' is logged as '" + file + "', a key that MLflow has");
  take(file);
  return files_.emplace(key, file).first->second;
}

void MlflowKeys::restore(const std::string& key, const std::string& file) {
  take(file);
  files_[key] = file;
}

void MlflowKeys::take(const std::string& file) {
  used_.insert(file);
  for (size_t slash = file.find('/'); slash != std::string::npos; slash = file.find('/', slash + 1))
    folders_.insert(file.substr(0, slash));
}

}  // namespace fathom::loggers
