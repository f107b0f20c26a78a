// The lattice of a transducer: frames against labels, walked by arcs that emit a blank (and move on in time) or the
// next label. RNN-T (Graves 2012), multi-blank (Xu et al. 2022, arXiv 2211.03541) and TDT (Xu et al. 2023, arXiv
// 2304.06795) differ only in how many frames their arcs move. No torch; no state; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::asr {

// How many frames the arcs of a cell (t, u) move: a blank leads to (t + d, u), a label to (t + d, u + 1). Every path
// ends with a blank that leaves (t, U) for t + d = T exactly.
struct TransducerArcs {
  std::vector<int64_t> blank = {1};  // above 0: {1} of RNN-T, {1, 2, 4} of multi-blank, the durations above 0 of TDT
  std::vector<int64_t> label = {0};  // 0 or more: {0}, or the durations of TDT
};

// The arcs of one item, arcs.blank.size() and arcs.label.size() a cell; cell (t, u) is number t * (labels + 1) + u.
struct TransducerLattice {
  int64_t frames = 0;  // T, 1 or more
  int64_t labels = 0;  // U, 0 or more
  double* blank = nullptr;
  double* label = nullptr;  // what stands at u = U is not read, and becomes 0
};

// From the arcs' log-probabilities to the posterior probability of each, in place: the share of all paths, by weight,
// that take it. Gives the log-probability of all paths together; minus infinity, and zeros, where there is none.
// `scratch` is room that calls may share.
double transducer_posteriors(const TransducerArcs& arcs, const TransducerLattice& lattice,
                             std::vector<double>& scratch);

// The log-probability alone.
double transducer_log_likelihood(const TransducerArcs& arcs, const TransducerLattice& lattice,
                                 std::vector<double>& scratch);

}  // namespace fathom::asr
