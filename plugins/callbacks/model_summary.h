// ModelSummary: the table of modules and parameter counts that Lightning prints before training; goes to the log.
#pragma once

#include "fathom/callback.h"

namespace fathom::callbacks {

class ModelSummary final : public Callback {
 public:
  struct Options {
    int64_t max_depth = 1;
    static void describe(OptionSet<Options>& o) {
      o("max_depth", &Options::max_depth, "levels of modules that are shown; 0: nothing, -1: all");
    }
  };
  explicit ModelSummary(const Options& options);

  // `summary` as the trainer gives it. Numbers are shortened as Lightning shortens them; the size is that of the
  // parameters in their own types, of an older program's summary that of 32 bits each.
  static std::string table(const Json& summary);

 private:
  void show(Trainer& trainer);
  Options options_;
};

}  // namespace fathom::callbacks
