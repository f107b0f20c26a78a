// `fathom text inverse-normalize TEXT…`: spoken texts, as speech recognition gives them, as people write them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fathom/command.h"

namespace fathom::tts {

// Without texts, or with `-`, the lines of stdin; one line out for each line in, in order. Bytes that are no UTF-8
// stay.
class InverseNormalize final : public Command {
 public:
  struct Options {
    std::vector<std::string> text;
    std::optional<std::string> file, whitelist;
    std::string lang = "en", input_case = "lower_cased";
    static void describe(OptionSet<Options>& o);
  };
  static std::vector<std::string> positionals() { return {"text"}; }
  explicit InverseNormalize(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override;

 private:
  Options options_;
};

}  // namespace fathom::tts
