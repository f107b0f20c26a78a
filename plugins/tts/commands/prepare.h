// `fathom tts prepare`: what training computes of recordings, computed before it, and what of it a config must say.
#pragma once

#include "fathom/command.h"
#include "plugins/tts/data/tts_options.h"

namespace fathom::tts {

// Fills sup_data_path with TTSDataset's files for `types`, on all threads. Files that are there are read and kept, so
// that what was interrupted goes on. Then, as asked for:
//   pitch_stats_path   {"default": {pitch_mean, pitch_std, pitch_min, pitch_max}, "SPEAKER": …} over voiced frames,
//                      Hz; the deviation is a sample's (n - 1), as NeMo's extract_sup_data.py has it
//   numbered_manifest  the manifest with speakers' names as numbers, in the order of the names, and with absolute
//                      paths; which number is whose goes to stdout, "0<tab>NAME"
// All speakers' statistics go by the numbers where those are written.
class Prepare final : public Command {
 public:
  struct Options : SpeechFeatureOptions {
    std::vector<std::string> manifests;
    std::string sup_data_path, pitch_stats_path, numbered_manifest;
    std::vector<std::string> types = {"pitch"};
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"manifests"}; }
  explicit Prepare(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

}  // namespace fathom::tts
