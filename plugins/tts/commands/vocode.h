// `fathom tts vocode`: recordings through a spectrogram and back, to hear what a vocoder does to them.
#pragma once

#include "fathom/command.h"

namespace fathom::tts {

class Vocode final : public Command {
 public:
  struct Options {
    std::vector<std::string> files;
    std::string output_dir, vocoder;
    Json front_end = nullptr, vocoder_options = Json::object();
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"files"}; }
  explicit Vocode(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

}  // namespace fathom::tts
