// The options of ConformerEncoder and its ports.
#include "plugins/asr/modules/conformer_encoder.h"

namespace fathom::asr {
namespace {

Ports conformer_inputs() {
  return {
      {"audio_signal", {"B D T", SpectrogramType{}}},           {"length", {"B", LengthsType{}}},
      {"cache_last_channel", {"D B T D", ChannelType{}}, true}, {"cache_last_time", {"D B D T", ChannelType{}}, true},
      {"cache_last_channel_len", {"B", LengthsType{}}, true},   {"bypass_pre_encode", {"", BoolType{}}, true},
      {"drop_extra_pre_encoded", {"", IntType{}}, true}};
}
Ports conformer_outputs() {
  return {{"outputs", {"B D T", AcousticEncodedRepresentation{}}},
          {"encoded_lengths", {"B", LengthsType{}}},
          {"cache_last_channel_next", {"D B T D", ChannelType{}}, true},
          {"cache_last_time_next", {"D B D T", ChannelType{}}, true},
          {"cache_last_channel_next_len", {"B", LengthsType{}}, true}};
}

}  // namespace

Ports ConformerEncoder::inputs() const { return conformer_inputs(); }
Ports ConformerEncoder::outputs() const { return conformer_outputs(); }
void ConformerEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(conformer_inputs());
  schema["outputs"] = ports_json(conformer_outputs());
}

void ConformerEncoder::Options::describe(OptionSet<Options>& o) {
  o.required("feat_in", &Options::feat_in, "features per frame");
  o.required("n_layers", &Options::n_layers, "layers");
  o.required("d_model", &Options::d_model, "width of the layers");
  o("feat_out", &Options::feat_out, "channels of the output, by a last linear layer; not positive: d_model");
  o("causal_downsampling", &Options::causal_downsampling, "the subsampling sees one frame ahead instead of several");
  o("subsampling", &Options::subsampling, "striding, dw_striding, stacking, stacking_norm, or null: a linear layer");
  o("subsampling_factor", &Options::subsampling_factor, "frames in per frame out; a power of 2 for convolutions");
  o("subsampling_conv_chunking_factor", &Options::subsampling_conv_chunking_factor,
    "above 1: the subsampling runs on that many parts of the batch, one after the other; 1 and -1: all at once");
  o("subsampling_conv_channels", &Options::subsampling_conv_channels, "channels of the subsampling; -1: d_model");
  o("subsampling_conv_masking", &Options::subsampling_conv_masking,
    "clear what lies beyond an item's length before every convolution, as NeMo does from 2.5 on; older weights saw it");
  o("reduction", &Options::reduction, "a second subsampling: pooling, striding or null");
  o("reduction_position", &Options::reduction_position, "the layer after which it comes; -1: after the last");
  o("reduction_factor", &Options::reduction_factor, "frames in per frame out of it, a power of 2");
  o("ff_expansion_factor", &Options::ff_expansion_factor, "width of the feed-forward layers over d_model");
  o("self_attention_model", &Options::self_attention_model,
    "rel_pos, rel_pos_local_attn (within the window att_context_size) or abs_pos");
  o("n_heads", &Options::n_heads, "heads of the attention; they divide d_model");
  o("att_context_size", &Options::att_context_size,
    "[left, right] frames that attention sees, -1 for all, or a list of such pairs: training draws one a batch, else "
    "the first counts",
    "frames");
  o("att_context_probs", &Options::att_context_probs, "how often each of them is drawn; null: equally often");
  o("att_chunk_context_size", &Options::att_chunk_context_size,
    "sizes that unified training draws from, for chunked_limited_with_rc; such a model can be used, not trained");
  o("att_context_style", &Options::att_context_style,
    "regular: a band around each frame; chunked_limited: chunks of right + 1 frames, left frames of chunks before; "
    "chunked_limited_with_rc: everything, unless a context is set");
  o("xscaling", &Options::xscaling, "multiply the input of the layers by the square root of d_model");
  o("untie_biases", &Options::untie_biases, "every layer has biases u and v of its own");
  o("pos_emb_max_len", &Options::pos_emb_max_len, "positions prepared ahead; longer inputs extend them", "frames");
  o("conv_kernel_size", &Options::conv_kernel_size, "kernel of the layers' convolutions, odd", "frames");
  o("conv_norm_type", &Options::conv_norm_type,
    "batch_norm, layer_norm, instance_norm, group_normN (N groups) or fused_batch_norm (a scale and a shift)");
  o("conv_context_size", &Options::conv_context_size,
    "[left, right] frames that the convolutions see, causal, or null: as many on both sides", "frames");
  o("conv_context_style", &Options::conv_context_style,
    "regular; dcc, for unified training: such a model can be used, not trained");
  o("use_bias", &Options::use_bias, "biases in the layers' linear layers and convolutions");
  o("dropout", &Options::dropout, "dropout probability in and after each part of a layer");
  o("dropout_pre_encoder", &Options::dropout_pre_encoder, "of the first layer's input; with local attention `dropout`");
  o("dropout_emb", &Options::dropout_emb, "of the positions");
  o("dropout_att", &Options::dropout_att, "of the attention's weights");
  o("stochastic_depth_drop_prob", &Options::stochastic_depth_drop_prob,
    "how often the last layer is left out in training");
  o("stochastic_depth_mode", &Options::stochastic_depth_mode, "linear: earlier layers less often; uniform: all alike");
  o("stochastic_depth_start_layer", &Options::stochastic_depth_start_layer, "layers before this one always run");
  o("global_tokens", &Options::global_tokens, "local attention: frames that see and are seen by all");
  o("global_tokens_spacing", &Options::global_tokens_spacing, "how far these are apart", "frames");
  o("global_attn_separate", &Options::global_attn_separate, "they have projections of their own");
  o("use_pytorch_sdpa", &Options::use_pytorch_sdpa, "libtorch's fused attention; the same values");
  o("use_pytorch_sdpa_backends", &Options::use_pytorch_sdpa_backends,
    "NeMo's choice of kernels; here libtorch chooses: empty or null");
  o("sync_max_audio_length", &Options::sync_max_audio_length,
    "NeMo's key; positions are made by each process alone, so that there is nothing to synchronise");
}

}  // namespace fathom::asr
