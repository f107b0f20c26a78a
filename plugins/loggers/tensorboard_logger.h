// Logger `tensorboard`: one event file per run in the run's folder, tags as logged: scalars, texts, histograms, audio,
// images, and the config as text "hparams".
// A resumed run cuts the file back to the checkpoint and goes on in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fathom/logger.h"
#include "plugins/loggers/event_file.h"
#include "plugins/loggers/log_file.h"
#include "plugins/loggers/logger_folder.h"

namespace fathom::loggers {

class TensorBoardLogger final : public Logger, public Stateful {
 public:
  struct Options : FolderOptions {
    std::string prefix, filename_suffix, comment;
    std::optional<std::string> sub_dir;
    bool log_graph = false, default_hp_metric = true;
    int64_t max_queue = 10, flush_secs = 10;
    std::optional<int64_t> purge_step;
    static void describe(OptionSet<Options>& o);
  };
  TensorBoardLogger(const Options& options, const Json& context);

  void log_metrics(std::span<const Metric> metrics, int64_t step) override;
  void log_hyperparams(const Json& hyperparams) override;
  void log_text(std::string_view name, std::string_view text, int64_t step) override;
  void log_histogram(std::string_view name, std::span<const float> values, int64_t step) override;
  void log_audio(std::string_view name, const Audio& audio, int64_t step) override;
  void log_image(std::string_view name, const Image& image, int64_t step) override;
  void save() override;
  void finalize(std::string_view status) override;
  // {"file": name in the folder, "bytes"}
  Json save_state() const override;
  void load_state(const Json& state) override;

  std::string path() const { return folder_ + "/" + name_; }

 private:
  void start();
  std::string tag(std::string_view name) const;

  Options options_;
  std::string folder_, name_, record_;
  LogFile file_;
  std::optional<std::string> hyperparams_;  // not written yet: a resumed file has them already
  std::vector<std::string> tags_;
  std::vector<Scalar> scalars_;
};

}  // namespace fathom::loggers
