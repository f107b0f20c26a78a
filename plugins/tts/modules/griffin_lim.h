// Griffin-Lim: audio whose spectrogram is a given one, by guessing the phases and correcting them (Griffin & Lim 1984;
// with momentum, the fast variant: Perraudin, Balazs & Sondergaard 2013). A vocoder that needs no training, and always
// works.
#pragma once

#include "fathom/module.h"
#include "fathom/synthesis.h"

namespace fathom::tts {

// spect (B, D, T) log-mel, as `front_end` made it -> audio (B, T · hop). The mel filters are inverted by non-negative
// least squares. Deterministic: the first phases are drawn from the seed.
class GriffinLimModel final : public NeuralModule, public Vocoder {
 public:
  struct Options {
    int64_t n_iters = 60;
    std::optional<int64_t> n_fft, l_hop;  // NeMo's keys; the front-end's where they are not given
    double momentum = 0.99;
    int64_t seed = 0;
    Json front_end = Json::object();
    static void describe(OptionSet<Options>& o);
  };
  explicit GriffinLimModel(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

  Json vocoder_info() const override;
  Values vocode(const Values& input, const Json& options) override;

 private:
  at::Tensor magnitudes_of(const at::Tensor& spect) const;  // (B, n_fft / 2 + 1, T)
  at::Tensor stft(const at::Tensor& audio) const;           // (B, samples) -> (B, bins, T) complex
  at::Tensor istft(const at::Tensor& spectrum) const;       // and back, of the same length
  at::Tensor audio_of(const at::Tensor& magnitudes, int64_t iterations, int64_t seed) const;

  Options options_;
  Json front_end_;
  int64_t n_fft_, hop_, bands_;
  at::Tensor filters_, inverse_;  // (bands, bins), (bins, bands)
  at::Tensor window_;             // (n_fft)
};

}  // namespace fathom::tts
