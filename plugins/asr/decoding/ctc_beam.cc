#include "plugins/asr/decoding/ctc_beam.h"

#include <algorithm>
#include <memory>

namespace fathom::asr {
namespace {

// Sequences are shared prefixes: extending one costs one node, comparing two starts with their hashes.
struct Node {
  std::shared_ptr<const Node> previous;
  int64_t token = 0, frame = 0, length = 0;
  uint64_t hash = 0;
};
using Sequence = std::shared_ptr<const Node>;

Sequence extend(const Sequence& sequence, int64_t token, int64_t frame) {
  auto node = std::make_shared<Node>();
  node->token = token;
  node->frame = frame;
  node->length = (sequence ? sequence->length : 0) + 1;
  node->hash = ((sequence ? sequence->hash : 0x9e3779b97f4a7c15u) ^ static_cast<uint64_t>(token + 1)) * 0x100000001b3u;
  node->previous = sequence;
  return node;
}

bool equal(Sequence a, Sequence b) {
  if (a == b) return true;
  if (!a || !b || a->length != b->length || a->hash != b->hash) return false;
  for (; a != b; a = a->previous, b = b->previous) {
    if (a->token != b->token) return false;
  }
  return true;
}

struct State {
  double score = 0;
  Sequence sequence;
  int64_t last = -1;  // class of the last frame
};
struct Candidate {
  double score;
  int64_t state, label;
};

}  // namespace

std::vector<CtcBeam> ctc_beam_search(const float* log_probs, int64_t frames, int64_t classes, int64_t length,
                                     const CtcBeamOptions& options, bool padding_counts) {
  const int64_t blank = classes - 1, end = padding_counts ? frames : std::min(frames, length);
  std::vector<State> states = {State{}};
  std::vector<Candidate> candidates;
  for (int64_t t = 0; t < end; ++t) {
    const float* row = log_probs + t * classes;
    candidates.clear();
    for (size_t s = 0; s < states.size(); ++s) {
      for (int64_t label = 0; label < classes; ++label) {
        const double bonus = label == blank || label == states[s].last ? 0 : options.beam_beta;
        candidates.push_back({states[s].score + row[label] + bonus, static_cast<int64_t>(s), label});
      }
    }
    const auto kept = std::min<size_t>(candidates.size(), static_cast<size_t>(options.beam_size));
    std::partial_sort(
        candidates.begin(), candidates.begin() + kept, candidates.end(), [](const Candidate& a, const Candidate& b) {
          return a.score != b.score ? a.score > b.score : a.state != b.state ? a.state < b.state : a.label < b.label;
        });
    std::vector<State> next;
    for (size_t k = 0; k < kept; ++k) {
      const Candidate& candidate = candidates[k];
      if (k > 0 && candidate.score <= candidates[0].score - options.beam_threshold) break;
      const State& from = states[candidate.state];
      State to{candidate.score, from.sequence, from.last};
      if (t < length) {
        if (candidate.label != blank && candidate.label != from.last)
          to.sequence = extend(from.sequence, candidate.label, t);
        to.last = candidate.label;
      }
      const auto same = std::find_if(next.begin(), next.end(), [&](const State& s) {
        return s.last == to.last && equal(s.sequence, to.sequence);
      });
      if (same == next.end()) next.push_back(std::move(to));  // the first one of equals has the best score
    }
    states = std::move(next);
  }
  std::stable_sort(states.begin(), states.end(), [](const State& a, const State& b) { return a.score > b.score; });
  std::vector<CtcBeam> out;
  for (const State& state : states) {
    CtcBeam beam;
    beam.score = state.score;
    for (Sequence node = state.sequence; node; node = node->previous) {
      beam.tokens.push_back(node->token);
      beam.frames.push_back(node->frame);
    }
    std::reverse(beam.tokens.begin(), beam.tokens.end());
    std::reverse(beam.frames.begin(), beam.frames.end());
    out.push_back(std::move(beam));
  }
  return out;
}

}  // namespace fathom::asr
