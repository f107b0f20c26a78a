#include "plugins/tts/modules/alignment_path.h"

#include <algorithm>
#include <limits>

namespace fathom::tts {

template <typename Number>
std::vector<int64_t> best_path(const Number* scores, int64_t frames, int64_t tokens, int64_t stride,
                               bool diagonal_on_ties) {
  constexpr Number kNever = -std::numeric_limits<Number>::infinity();
  // Sums of the best paths to each token at each frame; the way back reads them all.
  std::vector<Number> best(static_cast<size_t>(frames * tokens), kNever);
  const auto at = [&](int64_t frame, int64_t token) -> Number& {
    return best[static_cast<size_t>(frame * tokens + token)];
  };
  at(0, 0) = scores[0];
  for (int64_t frame = 1; frame < frames; ++frame) {
    const Number* row = scores + frame * stride;
    at(frame, 0) = row[0] + at(frame - 1, 0);
    for (int64_t token = 1; token < tokens; ++token)
      at(frame, token) = row[token] + std::max(at(frame - 1, token - 1), at(frame - 1, token));
  }
  std::vector<int64_t> durations(static_cast<size_t>(tokens), 0);
  int64_t token = tokens - 1;
  for (int64_t frame = frames - 1; frame > 0; --frame) {
    ++durations[static_cast<size_t>(token)];
    if (token == 0) continue;
    const Number diagonal = at(frame - 1, token - 1), straight = at(frame - 1, token);
    // The tokens left must fit into the frames left: infinite scores would tie too.
    if (token == frame || (diagonal_on_ties ? diagonal >= straight : diagonal > straight)) --token;
  }
  ++durations[static_cast<size_t>(token)];
  return durations;
}

template std::vector<int64_t> best_path<float>(const float*, int64_t, int64_t, int64_t, bool);
template std::vector<int64_t> best_path<double>(const double*, int64_t, int64_t, int64_t, bool);

}  // namespace fathom::tts
