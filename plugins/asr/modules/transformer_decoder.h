// TransformerDecoderNM: the decoder of encoder-decoder models, and get_nemo_transformer, the name that makes it.
#pragma once

#include "fathom/module.h"
#include "fathom/recurrent.h"
#include "plugins/lib/nn/transformer.h"

namespace fathom::asr {

// input_ids (B, T), decoder_mask (B, T) optional, encoder_embeddings (B, S, D), encoder_mask (B, S) ->
// last_hidden_states (B, T, D). Masks are not 0 where a token or frame counts.
//
// Step by step: the same inputs, of one token or several behind those before -> last_hidden_states of these, and the
// lists hidden_states (what went into the first layer, out of every layer and out of the final norm) and xatt_scores
// (B, H, T, S) of every layer. Its state is the keys and values of each layer; encoder_embeddings are read in the first
// step, and masks of tokens count only there.
//
// State: _embedding.{token_embedding, position_embedding, token_type_embedding, layer_norm},
// _decoder.{final_layer_norm, layers.N}.
class TransformerDecoderNM : public NeuralModule, public Recurrent, public HasProperties {
 public:
  struct Options {
    int64_t vocab_size = 0, hidden_size = 0, num_layers = 0, inner_size = 0, num_attention_heads = 0;
    int64_t max_sequence_length = 512, num_token_types = 2;
    double embedding_dropout = 0, ffn_dropout = 0, attn_score_dropout = 0, attn_layer_dropout = 0;
    bool learn_positional_encodings = false, pre_ln = false, pre_ln_final_layer_norm = true;
    std::string hidden_act = "relu";
    static void describe(OptionSet<Options>& o);
  };
  explicit TransformerDecoderNM(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  Json properties() const override;
  Values initial_state(int64_t batch) override;
  StepResult step(const Values& in, const Values& state) override;

 private:
  Options options_;
  std::shared_ptr<nn::TransformerEmbedding> embedding_;
  std::shared_ptr<nn::TransformerDecoderStack> decoder_;
};

// The same by the section that NeMo's get_nemo_transformer reads.
class NemoTransformer final : public TransformerDecoderNM {
 public:
  struct Options {
    std::optional<std::string> model_name;
    bool pretrained = false;
    std::optional<bool> encoder;
    bool pre_ln_final_layer_norm = true;
    TransformerDecoderNM::Options config_dict;
    static void describe(OptionSet<Options>& o);
  };
  explicit NemoTransformer(const Options& options);
};

}  // namespace fathom::asr
