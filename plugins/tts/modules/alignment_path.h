// The best monotonic path through an alignment (Kim et al. 2020, Glow-TTS, arXiv:2005.11129, 2.2): every frame has one
// token, tokens come in order, each at least once. Uses no torch; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::tts {

// Frames of each token. `scores`: log-probabilities, frame by frame, `stride` numbers apart; the first `tokens` of the
// first `frames` count. Where two ways are equal the diagonal one is taken, as by
// NeMo's FastPitch, or else (as by its VITS) the other. Both at least 1, and no more
// tokens than frames: then some token would get no frame.
template <typename Number>
std::vector<int64_t> best_path(const Number* scores, int64_t frames, int64_t tokens, int64_t stride,
                               bool diagonal_on_ties = true);

}  // namespace fathom::tts
