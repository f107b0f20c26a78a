// Logger `mlflow`: a run in MLflow's file store, under Lightning's names of options. Metrics are files that grow, the
// config is the run's parameters. A resumed run goes on in the same run; what came after its checkpoint is dropped.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fathom/logger.h"
#include "fathom/options.h"
#include "plugins/loggers/log_file.h"
#include "plugins/loggers/mlflow_store.h"

namespace fathom::loggers {

class MlflowLogger final : public Logger, public Stateful {
 public:
  struct Options {
    std::optional<std::string> experiment_name = "lightning_logs", run_name, tracking_uri, artifact_location, run_id;
    std::optional<std::map<std::string, Json>> tags;
    std::optional<std::string> save_dir = "./mlruns";
    std::string prefix;
    Json log_model = false;
    std::optional<bool> synchronous;
    static void describe(OptionSet<Options>& o);
  };
  // Reads the store where a run_id is given; writes nothing.
  MlflowLogger(const Options& options, const Json& context);

  void log_metrics(std::span<const Metric> metrics, int64_t step) override;
  void log_hyperparams(const Json& hyperparams) override;
  void save() override;
  void finalize(std::string_view status) override;
  // {"experiment_id", "run_id", "metrics": [[name, file, bytes]…], "earlier": [file…]}
  Json save_state() const override;
  void load_state(const Json& state) override;

  const std::string& folder() const { return run_.folder; }  // of the run, once it is there

 private:
  struct Series {  // of one metric
    std::string file, waiting;
    int64_t bytes = 0;  // of the file, without what waits
  };
  void start();
  void make_run();
  void write_params();
  void keep_one_value(MlflowKeys& keys, const char* folder, const std::string& key, const std::string& value);
  Series& series(std::string_view name);
  void flush();
  std::vector<std::string> metric_files() const;  // those of the run, below its folder metrics

  Options options_;
  std::string root_, experiment_name_, run_name_, text_;
  MlflowRun run_;  // its folder is empty until it is there
  MlflowKeys metric_keys_, param_keys_, tag_keys_;
  std::map<std::string, Series, std::less<>> metrics_;
  std::vector<std::string> earlier_;  // metric_files() of a run that was gone on with by its id
  std::optional<Json> hyperparams_;   // not written yet: a resumed run has them already
  size_t waiting_bytes_ = 0;
  LogFile::Clock::time_point oldest_;  // when the first of what waits came
};

}  // namespace fathom::loggers
