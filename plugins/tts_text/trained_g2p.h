// A trained G2P's model, and the commands `fathom tts train-g2p` and `fathom tts g2p`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fathom/command.h"
#include "plugins/lib/text/trained_g2p/g2p_model.h"

namespace fathom::tts {

// The model of a file, or the one for English that lies beside this plugin. One that is open is shared. Throws what
// G2pModel::open throws.
std::shared_ptr<const text::G2pModel> open_trained_g2p(const std::optional<std::string>& path);

class TrainG2p final : public Command {
 public:
  struct Options {
    std::string dictionary, model, symbols = "words", note;
    std::optional<std::string> validation;
    int64_t order = 7;
    double prune = 1;
    bool all_pronunciations = false;
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"dictionary", "model"}; }
  explicit TrainG2p(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

class SayWords final : public Command {
 public:
  struct Options {
    std::vector<std::string> words;
    std::optional<std::string> model, evaluate;
    std::string symbols = "words";
    int64_t most = 1;
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"words"}; }
  explicit SayWords(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

}  // namespace fathom::tts
