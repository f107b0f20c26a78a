// Logger `csv`: metrics.csv as Lightning's CSVLogger writes it. The header is the sorted union of all keys with epoch
// and step; a logging call is one row; what a row does not have is an empty cell. Numbers are Python's repr of a float,
// epoch and step are integers. A key never seen before gives the file a new header (written beside it and renamed into
// place); all other rows are appended. hparams.yaml beside it is the run's config.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fathom/logger.h"
#include "plugins/loggers/log_file.h"
#include "plugins/loggers/logger_folder.h"

namespace fathom::loggers {

class CsvLogger final : public Logger, public Stateful {
 public:
  struct Options : FolderOptions {
    std::string prefix;
    int64_t flush_logs_every_n_steps = 100;
    static void describe(OptionSet<Options>& o);
  };
  CsvLogger(const Options& options, const Json& context);

  void log_metrics(std::span<const Metric> metrics, int64_t step) override;
  void log_hyperparams(const Json& hyperparams) override;
  void save() override;
  void finalize(std::string_view status) override;
  // {"rows", "columns", "bytes"}
  Json save_state() const override;
  void load_state(const Json& state) override;

  std::string path() const { return folder_ + "/metrics.csv"; }

 private:
  void add_columns(const std::vector<std::string>& names);
  void start();
  void rewrite(int64_t rows);

  Options options_;
  std::string folder_, joined_, line_;
  LogFile file_;
  std::vector<std::string> columns_;                    // sorted
  std::map<std::string, size_t, std::less<>> by_name_;  // column of each
  std::vector<std::pair<size_t, double>> row_;          // of the row in hand: column and value
  std::vector<std::string> missing_;
  std::vector<const double*> cells_;
  int64_t rows_ = 0, unflushed_ = 0;
};

}  // namespace fathom::loggers
