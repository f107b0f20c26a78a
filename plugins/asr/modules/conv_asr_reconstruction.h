// ConvASRDecoderReconstruction: spectrograms from an encoder's output, for self-supervised training.
#pragma once

#include "fathom/module.h"
#include "plugins/lib/nn/activation.h"
#include "plugins/lib/nn/masked_conv.h"

namespace fathom::asr {

// encoder_output (B, feat_in, T) -> out (B, T', feat_out): T' is T doubled by every stride layer, or halved without
// stride_transpose. State: decoder_layers.N.…, activations counted.
class ConvASRDecoderReconstruction final : public NeuralModule {
 public:
  static constexpr const char* kState = "decoder_layers.N.{weight, bias, running_mean, running_var}";
  struct Options {
    int64_t feat_in = 0, feat_out = 0, feat_hidden = 0, stride_layers = 0, non_stride_layers = 0, kernel_size = 11;
    std::optional<std::string> init_mode = "xavier_uniform";
    std::string activation = "relu";
    bool stride_transpose = true, apply_softmax = false;
    static void describe(OptionSet<Options>& o);
  };
  explicit ConvASRDecoderReconstruction(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  using Step = std::function<at::Tensor(const at::Tensor&)>;
  Options options_;
  std::vector<Step> steps_;
};

}  // namespace fathom::asr
