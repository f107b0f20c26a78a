// Heads on a convolutional encoder: ConvASRDecoder (per frame, for CTC) and ConvASRDecoderClassification (per item).
#pragma once

#include <torch/nn/modules/linear.h>

#include "fathom/module.h"
#include "plugins/lib/nn/masked_conv.h"

namespace fathom::asr {

// encoder_output (B, D, T) -> logprobs (B, T, V), V = num_classes + 1 with the blank last. State:
// decoder_layers.0.{weight, bias}.
class ConvASRDecoder final : public NeuralModule {
 public:
  static constexpr const char* kState = "decoder_layers.0.weight, decoder_layers.0.bias";
  struct Options {
    std::optional<int64_t> feat_in;
    int64_t num_classes = -1;
    std::optional<std::string> init_mode = "xavier_uniform";
    std::optional<std::vector<std::string>> vocabulary;
    bool add_blank = true;
    static void describe(OptionSet<Options>& o);
  };
  explicit ConvASRDecoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  std::shared_ptr<nn::Conv1dLayer> layer_;
};

// encoder_output (B, D, T) -> logits (B, num_classes). State: decoder_layers.0.{weight, bias}.
class ConvASRDecoderClassification final : public NeuralModule {
 public:
  static constexpr const char* kState = "decoder_layers.0.weight, decoder_layers.0.bias";
  struct Options {
    int64_t feat_in = 0, num_classes = 0;
    std::optional<std::string> init_mode = "xavier_uniform";
    bool return_logits = true;
    std::string pooling_type = "avg";
    static void describe(OptionSet<Options>& o);
  };
  explicit ConvASRDecoderClassification(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  Options options_;
  torch::nn::Linear linear_{nullptr};
};

}  // namespace fathom::asr
