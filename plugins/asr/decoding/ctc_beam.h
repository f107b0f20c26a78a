// CTC beam search without a language model, as NeMo's strategy beam_batch. Uses no torch; no state, thread-safe.
//
// A hypothesis is a token sequence and the class of its last frame. In every frame each one is continued by every
// class; a token that is not the last class again earns `beam_beta`. The best `beam_size` continuations stay, those
// more than `beam_threshold` behind the best are dropped, and equal ones are joined, keeping the better score. Scores
// are summed in single precision and ties fall as in NeMo, so that hypotheses of one score are the same ones.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::asr {

struct CtcBeamOptions {
  int64_t beam_size = 4;
  double beam_beta = 1.0;
  double beam_threshold = 20.0;
};

struct CtcBeam {
  double score = 0;
  std::vector<int64_t> tokens;
  std::vector<int64_t> frames;  // where each token was first taken
};

// `log_probs` holds `frames` rows of `classes` numbers, the blank last. Best first, at most beam_size of them.
//
// Frames from `length` on give no tokens. With `padding_counts` their scores still count, as in NeMo, where an item's
// scores depend on the longest item of its batch; without it they are not looked at.
std::vector<CtcBeam> ctc_beam_search(const float* log_probs, int64_t frames, int64_t classes, int64_t length,
                                     const CtcBeamOptions& options, bool padding_counts = false);

}  // namespace fathom::asr
