// Logger `jsonl`: metrics.jsonl, a JSON object on each line: {"step": 3, "train_loss": 0.5, "epoch": 0}. Keys stand in
// the order in which they were logged; a text is a string. JSON has no number for them, so nan and infinities are the
// strings "NaN", "Infinity" and "-Infinity". No times: a resumed run's file equals an uninterrupted one's to the byte.
#pragma once

#include <map>
#include <string>

#include "fathom/logger.h"
#include "plugins/loggers/log_file.h"
#include "plugins/loggers/logger_folder.h"

namespace fathom::loggers {

class JsonlLogger final : public Logger, public Stateful {
 public:
  struct Options : FolderOptions {
    std::string prefix;
    int64_t flush_logs_every_n_steps = 100;
    static void describe(OptionSet<Options>& o);
  };
  JsonlLogger(const Options& options, const Json& context);

  void log_metrics(std::span<const Metric> metrics, int64_t step) override;
  void log_hyperparams(const Json& hyperparams) override;
  void log_text(std::string_view name, std::string_view text, int64_t step) override;
  void save() override;
  void finalize(std::string_view status) override;
  // {"bytes"}
  Json save_state() const override;
  void load_state(const Json& state) override;

  std::string path() const { return folder_ + "/metrics.jsonl"; }

 private:
  const std::string& key(std::string_view name);
  void begin_line(int64_t step);
  void end_line();

  Options options_;
  std::string folder_, line_;
  LogFile file_;
  std::map<std::string, std::string, std::less<>> keys_;  // by metric: its key as it stands in the file
  int64_t unflushed_ = 0;
};

}  // namespace fathom::loggers
