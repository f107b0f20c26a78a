// How far a Conformer's frames see, as NeMo's options say it, and how a stream is cut for that.
#pragma once

#include <string>
#include <vector>

#include "fathom/json.h"
#include "plugins/asr/modules/conv_subsampling.h"
#include "plugins/lib/nn/attention_mask.h"

namespace fathom::asr {

// att_context_size: null, [left, right] or a list of such pairs, of which training draws one per batch by
// att_context_probs (equal ones where null). att_context_style: regular, chunked_limited or chunked_limited_with_rc,
// whose sizes are [left, chunk, right] and all -1 unless one is set later. Errors name the option.
struct AttentionContexts {
  std::vector<nn::AttentionContext> all;  // at least one; the first counts outside training
  std::vector<double> probabilities;
};
AttentionContexts parse_attention_contexts(const Json& sizes, const Json& probabilities, const std::string& style);

// conv_context_size: null (the same on both sides), "causal" or [left, right], together kernel - 1.
std::pair<int64_t, int64_t> parse_conv_context(const Json& size, int64_t kernel);

// Cache-aware streaming (Noroozi et al. 2023, arXiv:2312.17279), with NeMo's names. Sizes of chunks in input frames,
// for the first chunk and later ones; caches and what is dropped in encoded frames.
struct StreamingConfig {
  int64_t chunk_size[2] = {0, 0}, shift_size[2] = {0, 0};
  int64_t pre_encode_cache_size[2] = {0, 0};  // input frames that are repeated before a chunk
  int64_t drop_extra_pre_encoded = 0;         // encoded frames that come of them
  int64_t cache_drop_size = 0;                // frames at the end that the next chunk encodes again
  int64_t last_channel_cache_size = 0;        // frames that the attention remembers
  int64_t valid_out_len = 0;                  // frames of the output that later chunks do not change
};
struct StreamingRequest {
  int64_t chunk_size = 0, shift_size = 0;  // encoded frames; 0: what the context gives
  int64_t left_chunks = -1;                // chunks to remember; -1: what the context gives
};
// Throws Error for a context without end to the right.
StreamingConfig make_streaming_config(const nn::AttentionContext& context, int64_t layers, int64_t conv_right,
                                      int64_t factor, const Subsampling::Streaming& frames,
                                      const StreamingRequest& request = {});
Json json_of(const StreamingConfig& config);

}  // namespace fathom::asr
