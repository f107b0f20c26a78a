// `fathom tts evaluate`: how good a synthesis is, by what a recogniser hears, by how alike the voices are and by how
// far it is from recordings.
#pragma once

#include "fathom/command.h"

namespace fathom::tts {

class Evaluate final : public Command {
 public:
  struct Options {
    std::string manifest, synthesis_dir, model, vocoder, asr, speaker_model, output_dir;
    Json synthesis_options = Json::object();
    int64_t limit = 0;
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"manifest"}; }
  explicit Evaluate(const Options& options);
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

}  // namespace fathom::tts
