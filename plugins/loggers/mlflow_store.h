// MLflow's file store, as the folder that `mlflow ui --backend-store-uri` shows: ROOT/EXPERIMENT/meta.yaml and
// ROOT/EXPERIMENT/RUN/{meta.yaml, metrics/KEY, params/KEY, tags/KEY, artifacts/}. Errors name the path.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fathom::loggers {

// The folder that a tracking URI means: "file:./mlruns", "file:///data/mlruns" or a path. Throws Error(kUnavailable)
// for servers and databases, which only MLflow's own package can write to; `where` is the key that gave the URI.
std::string mlflow_folder(const std::string& tracking_uri, const std::string& where);

struct MlflowExperiment {
  std::string id, artifact_location;  // a URI
};
// The active experiment of that name in a store that may not be there yet.
std::optional<MlflowExperiment> find_mlflow_experiment(const std::string& root, const std::string& name);
// Makes it, and the store with MLflow's experiment 0 ("Default") where there is none. `artifact_location`: empty = the
// experiment's folder.
MlflowExperiment make_mlflow_experiment(const std::string& root, const std::string& name,
                                        const std::string& artifact_location);
// The experiment of a run by its id, or nothing.
std::optional<std::string> experiment_of_mlflow_run(const std::string& root, const std::string& run_id);

enum class MlflowStatus { kRunning = 1, kFinished = 3, kFailed = 4, kKilled = 5 };

struct MlflowRun {
  std::string folder;  // of the run
  std::string experiment_id, id, name, artifact_uri, user;
  int64_t start_ms = 0;

  // `end_ms`: 0 while it runs.
  void write_meta(MlflowStatus status, int64_t end_ms) const;
};
// The run in that folder. Throws Error(kBadData) where its meta.yaml is no run's.
MlflowRun read_mlflow_run(const std::string& folder);

std::string new_mlflow_run_id();  // 32 hexadecimal digits

// The files of keys below a folder. MLflow allows letters, digits and "_/. -" in a key and takes it for a path; what it
// would refuse, or keep twice in one place, gets the nearest name that is free.
class MlflowKeys {
 public:
  // The relative path of a key's file; the same for the same key.
  const std::string& file_of(std::string_view key);
  // As an earlier run decided.
  void restore(const std::string& key, const std::string& file);

 private:
  void take(const std::string& file);
  std::map<std::string, std::string, std::less<>> files_;  // by key
  std::set<std::string> used_, folders_;
};

}  // namespace fathom::loggers
