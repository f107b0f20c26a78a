// SpectrogramAugmentation: SpecAugment (arXiv:1904.08779) and SpecCutout (arXiv:1708.04552).
#pragma once

#include "fathom/module.h"

namespace fathom::asr {

// input_spec (B, D, T), length (B) -> augmented_spec (B, D, T). Rectangles are cut out first, then bands of frequency
// and time are set to mask_value. The module masks whenever it is called; models call it in training only.
//
// Every draw comes from torch's default CPU generator, one block a call, so that a restored generator repeats the
// masks.
class SpectrogramAugmentation final : public NeuralModule {
 public:
  struct Options {
    int64_t freq_masks = 0, time_masks = 0, freq_width = 10;
    Json time_width = 10;  // frames (int), or a share of the item's length (float in [0, 1])
    int64_t rect_masks = 0, rect_time = 5, rect_freq = 20;
    double mask_value = 0;
    Json rng;
    bool use_vectorized_spec_augment = true, use_numba_spec_augment = false;
    static void describe(OptionSet<Options>& o);
  };
  explicit SpectrogramAugmentation(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  bool adaptive_ = false;
  double time_share_ = 0;
  int64_t time_width_ = 0;
};

}  // namespace fathom::asr
