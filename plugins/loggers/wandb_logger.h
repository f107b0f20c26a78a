// Logger `wandb`: an offline run of Weights & Biases, as its own package writes one, under Lightning's names of
// options: DIR/wandb/offline-run-<date>_<time>-<id>/run-<id>.wandb. `wandb sync` uploads it. A resumed run goes on in
// the same file, without what came after its checkpoint.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fathom/logger.h"
#include "fathom/options.h"
#include "plugins/loggers/log_file.h"
#include "plugins/loggers/wandb_file.h"

namespace fathom::loggers {

class WandbLogger final : public Logger, public Stateful {
 public:
  struct Options {
    std::optional<std::string> name, save_dir, version, dir, id, project, entity, group, job_type, notes;
    bool offline = true;
    std::optional<std::vector<std::string>> tags;
    Json log_model = false;
    std::string prefix;
    Json resume = nullptr;
    std::optional<bool> anonymous;
    static void describe(OptionSet<Options>& o);
  };
  WandbLogger(const Options& options, const Json& context);

  void log_metrics(std::span<const Metric> metrics, int64_t step) override;
  void log_hyperparams(const Json& hyperparams) override;
  void log_text(std::string_view name, std::string_view text, int64_t step) override;
  void save() override;
  void finalize(std::string_view status) override;
  // {"folder": name below wandb/, "id", "started", "bytes", "records", "rows"}
  Json save_state() const override;
  void load_state(const Json& state) override;

  std::string path() const { return root_ + "/" + folder_ + "/run-" + id_ + ".wandb"; }

 private:
  void start();
  int64_t next_record();
  void append(const std::string& record);
  void log_row(std::vector<WandbItem> items, int64_t step);
  void append_summary();
  std::vector<WandbItem> config_items() const;

  Options options_;
  std::string root_;         // the folder "wandb"
  std::string folder_, id_;  // of the run; the folder is empty until it is there
  LogFile file_;
  double started_ = 0;
  int64_t records_ = 0, rows_ = 0;
  std::optional<int64_t> end_;  // the file's bytes before its exit record: rows after it take its place
  Json hyperparams_ = nullptr;  // not written yet: a resumed file has them already
  std::map<std::string, std::string, std::less<>> summary_;  // values since the last summary
};

}  // namespace fathom::loggers
