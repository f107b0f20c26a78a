#include "plugins/lib/nn/attention_mask.h"

#include <ATen/ATen.h>

#include "fathom/error.h"

namespace fathom::nn {

bool AttentionContext::is_full() const {
  return left < 0 && right < 0 && (style != Style::kChunkedWithRight || chunk < 0);
}

at::Tensor visible_keys(const AttentionContext& c, int64_t length, const at::TensorOptions& options) {
  if (c.is_full()) return {};
  const at::Tensor position = at::arange(length, options.dtype(at::kLong));
  const at::Tensor query = position.unsqueeze(1), key = position.unsqueeze(0);
  using Style = AttentionContext::Style;
  if (c.style == Style::kChunkedWithRight) {
    if (c.chunk < 1 || c.left < 0 || c.right < 0) {
      throw Error(Code::kFailed, "a context of chunks with look-ahead needs three sizes")
          .seen(std::to_string(c.left) + ", " + std::to_string(c.chunk) + ", " + std::to_string(c.right))
          .expected("[left >= 0, chunk >= 1, right >= 0], or [-1, -1, -1] for everything");
    }
    const at::Tensor start = at::div(query, c.chunk, "floor") * c.chunk;
    return (key >= start - c.left).logical_and(key < start + c.chunk + c.right);
  }
  if (c.style == Style::kChunked && c.right >= 0) {
    const int64_t chunk = c.right + 1;
    const at::Tensor back = at::div(query, chunk, "floor") - at::div(key, chunk, "floor");
    const at::Tensor seen = back >= 0;
    return c.left < 0 ? seen : seen.logical_and(back <= c.left / chunk);
  }
  at::Tensor seen;
  if (c.left >= 0) seen = key >= query - c.left;
  if (c.style == Style::kRegular && c.right >= 0) {
    const at::Tensor near = key <= query + c.right;
    seen = seen.defined() ? seen.logical_and(near) : near;
  }
  return seen;
}

AttentionMask make_attention_mask(const at::Tensor& visible, const at::Tensor& valid, const at::TensorOptions& options,
                                  int64_t first_query) {
  AttentionMask mask;
  at::Tensor seen;
  if (visible.defined()) seen = visible.slice(0, first_query).unsqueeze(0);
  if (valid.defined()) {
    const at::Tensor keys = valid.unsqueeze(1);
    seen = seen.defined() ? seen.logical_and(keys) : keys;
    mask.blind = valid.slice(1, first_query).logical_not();
  }
  if (seen.defined()) mask.scores = at::zeros(seen.sizes(), options).masked_fill_(seen.logical_not(), kHiddenScore);
  return mask;
}

}  // namespace fathom::nn
