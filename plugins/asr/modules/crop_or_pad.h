// CropOrPadSpectrogramAugmentation: every spectrogram to one length.
#pragma once

#include "fathom/module.h"

namespace fathom::asr {

// input_signal (B, D, T), length (B) -> processed_signal (B, D, audio_length), processed_length (B), all audio_length.
// A longer signal is cut, each item at its own place drawn from torch's default generator; a shorter one gets zeros at
// both ends, the odd one at the end. No gradients.
class CropOrPadSpectrogramAugmentation final : public NeuralModule {
 public:
  struct Options {
    int64_t audio_length = 0;
    static void describe(OptionSet<Options>& o);
  };
  explicit CropOrPadSpectrogramAugmentation(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
};

}  // namespace fathom::asr
