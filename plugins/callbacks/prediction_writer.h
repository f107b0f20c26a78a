// PredictionWriter: writes what `fathom predict` computes into a file, one JSON object an item (Lightning's
// BasePredictionWriter, with what it would write).
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class PredictionWriter final : public Callback {
 public:
  struct Options {
    std::string output_dir = "predictions";
    std::string filename = "predictions.jsonl";
    std::string write_interval = "batch";
    static void describe(OptionSet<Options>& o) {
      o("output_dir", &Options::output_dir, "folder of the file; it is made");
      o("filename", &Options::filename, "the file; one that is there is replaced");
      o("write_interval", &Options::write_interval,
        "batch: each batch is written when it is done; epoch: the file appears when all are");
    }
  };
  explicit PredictionWriter(const Options& options);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void start(Trainer& trainer);
  void write_batch(Trainer& trainer);
  void finish(Trainer& trainer);
  [[noreturn]] void fail(const char* what, Code code = Code::kIo) const;

  Options options_;
  std::string path_, written_;  // written_: the file while it is not whole, with write_interval=epoch
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace fathom::callbacks
