// A typed module: what it takes and gives is declared, and checked at every call.
#pragma once

#include <torch/nn/modules/linear.h>

#include "fathom/module.h"

class MeanPool final : public fathom::NeuralModule {
 public:
  struct Options {
    int64_t features = 64;
    int64_t classes = 8;
    static void describe(fathom::OptionSet<Options>& o) {
      o("features", &Options::features, "rows of the spectrogram");
      o("classes", &Options::classes, "length of the embedding");
    }
  };
  explicit MeanPool(const Options& options);

  fathom::Ports inputs() const override;
  fathom::Ports outputs() const override;
  fathom::Values forward(const fathom::Values& in) override;

 private:
  torch::nn::Linear linear_;
};
