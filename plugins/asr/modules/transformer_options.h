// What the options of Transformer modules have in common: bounds, and the words in which they are refused.
#pragma once

#include "fathom/options.h"
#include "plugins/asr/option_range.h"
#include "plugins/lib/nn/transformer.h"

namespace fathom::asr {

// Of `o`, which has NeMo's names for a stack's options.
template <typename Options>
nn::TransformerOptions stack_options(const Options& o, int64_t fewest_layers) {
  constexpr int64_t kWidest = 1 << 16, kMostLayers = 1 << 10;
  check_range("hidden_size", o.hidden_size, 1, kWidest);
  check_range("inner_size", o.inner_size, 1, kWidest);
  check_range("num_layers", o.num_layers, fewest_layers, kMostLayers);
  check_range("num_attention_heads", o.num_attention_heads, 1, o.hidden_size);
  if (o.hidden_size % o.num_attention_heads != 0) {
    throw Error(Code::kFailed, "the heads of an attention must divide its width")
        .at("num_attention_heads")
        .seen(std::to_string(o.num_attention_heads) + ", and hidden_size " + std::to_string(o.hidden_size));
  }
  for (const auto& [name, value] : {std::pair<const char*, double>{"ffn_dropout", o.ffn_dropout},
                                    {"attn_score_dropout", o.attn_score_dropout},
                                    {"attn_layer_dropout", o.attn_layer_dropout}}) {
    if (value >= 0 && value < 1) continue;
    throw Error(Code::kFailed, "a dropout lies between 0 and 1").at(name).seen(json_text(Json(value)));
  }
  if (o.hidden_act != "relu" && o.hidden_act != "gelu") {
    throw Error(Code::kFailed, "a Transformer has no such activation")
        .at("hidden_act")
        .seen(o.hidden_act)
        .expected("relu or gelu");
  }
  nn::TransformerOptions out;
  out.layers = o.num_layers;
  out.width = o.hidden_size;
  out.inner_width = o.inner_size;
  out.heads = o.num_attention_heads;
  out.attention_dropout = o.attn_score_dropout;
  out.layer_dropout = o.attn_layer_dropout;
  out.feed_forward_dropout = o.ffn_dropout;
  out.activation = o.hidden_act;
  out.pre_norm = o.pre_ln;
  out.final_norm = o.pre_ln_final_layer_norm;
  return out;
}

// Those of the options that every stack has.
template <typename Options>
void describe_stack(OptionSet<Options>& o) {
  o.required("hidden_size", &Options::hidden_size, "width").example(8);
  o.required("num_layers", &Options::num_layers, "layers").example(1);
  o.required("inner_size", &Options::inner_size, "width inside of the feed-forward parts").example(8);
  o("num_attention_heads", &Options::num_attention_heads, "attention heads, which divide hidden_size").example(1);
  o("ffn_dropout", &Options::ffn_dropout, "after each feed-forward part");
  o("attn_score_dropout", &Options::attn_score_dropout, "of the attentions' weights");
  o("attn_layer_dropout", &Options::attn_layer_dropout, "after each attention");
  o("hidden_act", &Options::hidden_act, "relu or gelu");
  o("pre_ln", &Options::pre_ln, "layer norms before each part, not after it");
  o("pre_ln_final_layer_norm", &Options::pre_ln_final_layer_norm, "with pre_ln: one more after the last layer");
}

}  // namespace fathom::asr
