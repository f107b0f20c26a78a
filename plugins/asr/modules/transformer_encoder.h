// TransformerEncoder: a Transformer on frames that are encoded already, between an encoder and a decoder.
#pragma once

#include "fathom/module.h"
#include "plugins/lib/nn/transformer.h"

namespace fathom::asr {

// encoder_states (B, T, D), encoder_mask (B, T): not 0 where a frame counts -> encoder_states (B, T, D).
// State: final_layer_norm, layers.N.{layer_norm_1, first_sub_layer, layer_norm_2, second_sub_layer}.
class TransformerEncoder final : public NeuralModule {
 public:
  struct Options {
    int64_t hidden_size = 0, num_layers = 0, inner_size = 0, num_attention_heads = 1;
    double ffn_dropout = 0, attn_score_dropout = 0, attn_layer_dropout = 0;
    bool mask_future = false, pre_ln = false, pre_ln_final_layer_norm = true;
    std::string hidden_act = "relu";
    static void describe(OptionSet<Options>& o);
  };
  explicit TransformerEncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

 private:
  int64_t width_;
  nn::TransformerEncoderStack stack_;
};

}  // namespace fathom::asr
