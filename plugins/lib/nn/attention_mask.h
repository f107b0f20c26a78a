// Which keys each query of a self-attention may see, for a padded batch and limited contexts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "plugins/lib/nn/length_mask.h"

namespace fathom::nn {

// How far a frame sees. Sizes in frames; -1: without end.
struct AttentionContext {
  enum class Style {
    kRegular,  // `left` frames back and `right` frames ahead of each frame
    // Frames in chunks of right + 1: a frame sees its own chunk and left / (right + 1) chunks before it. right == -1:
    // only the left side is limited, frame by frame.
    kChunked,
    // Frames in chunks of `chunk`: a frame sees its own chunk, `left` frames before it and `right` frames after it.
    // All three -1: everything.
    kChunkedWithRight,
  };
  Style style = Style::kRegular;
  int64_t left = -1, right = -1, chunk = -1;

  // True when every frame sees every other.
  bool is_full() const;
};

// (length, length) bool, [query][key], true where the key is visible. Undefined for a full context.
at::Tensor visible_keys(const AttentionContext& context, int64_t length, const at::TensorOptions& options);

// What is added to a hidden key's score: its weight is exactly 0 in every dtype, and no sum becomes NaN.
constexpr double kHiddenScore = -10000.0;

// What an attention layer needs to know. Undefined tensors say that nothing is hidden.
struct AttentionMask {
  at::Tensor scores;  // (B or 1, Q or 1, K): 0, or kHiddenScore where the key does not count for the query
  at::Tensor blind;   // (B, Q) bool: queries of padding, whose output is 0 whatever the scores
};

// visible: as visible_keys gives, or undefined. `valid` (B, length) bool: what is no padding, or undefined: all is.
// Padding neither sees nor is seen. first_query: the queries are positions first_query to length - 1, the keys all
// positions (what lies before first_query is a cache). options: dtype and device of the scores.
AttentionMask make_attention_mask(const at::Tensor& visible, const at::Tensor& valid, const at::TensorOptions& options,
                                  int64_t first_query = 0);

}  // namespace fathom::nn
