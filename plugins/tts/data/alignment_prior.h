// How a text's tokens are likely to be spread over the frames of its audio: beta-binomial distributions along the
// diagonal (Shih et al., "RAD-TTS", 2021; Badlani et al., "One TTS alignment to rule them all", 2022). Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <list>
#include <map>
#include <mutex>

namespace fathom::tts {

// (frames, tokens) float32; row t is the distribution of the token of frame t. In float32 throughout, as NeMo has it.
at::Tensor beta_binomial_prior(int64_t tokens, int64_t frames);

// The same from a bank of sizes (frames rounded to 50, tokens to 10), stretched linearly: NeMo's
// BetaBinomialInterpolator, by which a run computes few of them. As there, the stored matrix is the transposed one of
// swapped sizes: its columns are the distributions. (There the last row or column may be 0, where scipy rounds its
// place to beyond the edge.) Keeps the 500 sizes that were used last.
class PriorBank {
 public:
  at::Tensor operator()(int64_t tokens, int64_t frames) const;

 private:
  at::Tensor stored(int64_t tokens, int64_t frames) const;
  using Size = std::pair<int64_t, int64_t>;
  mutable std::mutex mutex_;
  mutable std::list<std::pair<Size, at::Tensor>> recent_;
  mutable std::map<Size, decltype(recent_)::iterator> places_;
};

}  // namespace fathom::tts
