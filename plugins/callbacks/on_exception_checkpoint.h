// OnExceptionCheckpoint: Lightning's. When training ends by an error or by a signal it saves where it stood, and
// removes that file when a run has ended well. Training that has not begun is not saved over what an earlier run left.
//
// A batch in which the error occurred is done again by the run that goes on from the file.
#pragma once

#include <string>

#include "fathom/callback.h"

namespace fathom::callbacks {

class OnExceptionCheckpoint final : public Callback {
 public:
  struct Options {
    std::optional<std::string> dirpath;
    std::string filename = "on_exception";
    static void describe(OptionSet<Options>& o) {
      o("dirpath", &Options::dirpath, "folder of the checkpoint; default checkpoints/ in the run's folder");
      o("filename", &Options::filename, "its name, without .ckpt");
    }
  };
  OnExceptionCheckpoint(const Options& options, const Json& context);
  Order order() const override { return Order::kCheckpoint; }

 private:
  void start(Trainer&) { training_ = true; }
  void save(Trainer& trainer);
  void end(Trainer&);

  std::string path_;
  bool training_ = false;
};

}  // namespace fathom::callbacks
