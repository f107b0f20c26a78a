#include "plugins/asr/decoding/ctc_beam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

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

// A place in the beam; one without a hypothesis has the score -infinity.
struct Slot {
  float score = -std::numeric_limits<float>::infinity();
  Sequence sequence;
  int64_t last = -1;  // class of the last frame
  bool is_active() const { return score != -std::numeric_limits<float>::infinity(); }
};

using Candidate = std::pair<float, int64_t>;  // score; place of the slot * classes + label
bool is_better(const Candidate& a, const Candidate& b) {
  return (std::isnan(a.first) && !std::isnan(b.first)) || a.first > b.first;
}

// The best `count`, in order. Which of equal ones stay, and how they stand, is what torch.topk gives on a CPU.
void keep_best(std::vector<Candidate>& candidates, int64_t count) {
  const auto begin = candidates.begin();
  if (count * 64 <= static_cast<int64_t>(candidates.size())) {
    std::partial_sort(begin, begin + count, candidates.end(), is_better);
  } else {
    std::nth_element(begin, begin + count - 1, candidates.end(), is_better);
    std::sort(begin, begin + count - 1, is_better);
  }
  candidates.resize(static_cast<size_t>(count));
}

}  // namespace

std::vector<CtcBeam> ctc_beam_search(const float* log_probs, int64_t frames, int64_t classes, int64_t length,
                                     const CtcBeamOptions& options, bool padding_counts) {
  const int64_t blank = classes - 1, end = padding_counts ? frames : std::min(frames, length);
  const auto beta = static_cast<float>(options.beam_beta), threshold = static_cast<float>(options.beam_threshold);
  std::vector<Slot> slots(static_cast<size_t>(options.beam_size));
  slots[0].score = 0;
  std::vector<Candidate> candidates;
  for (int64_t t = 0; t < end; ++t) {
    const float* row = log_probs + t * classes;
    candidates.clear();
    for (const Slot& slot : slots) {
      for (int64_t label = 0; label < classes; ++label) {
        const float score = row[label] + slot.score;
        const bool earns = label != blank && label != slot.last;
        candidates.emplace_back(earns ? score + beta : score, static_cast<int64_t>(candidates.size()));
      }
    }
    keep_best(candidates, options.beam_size);
    const float least = candidates[0].first - threshold;
    std::vector<Slot> next;
    for (const auto& [score, place] : candidates) {
      const Slot& from = slots[static_cast<size_t>(place / classes)];
      const int64_t label = place % classes;
      Slot to{score <= least ? Slot{}.score : score, from.sequence, from.last};
      if (to.is_active() && t < length) {
        if (label != blank && label != from.last) to.sequence = extend(from.sequence, label, t);
        to.last = label;
      }
      // Of equal ones the first has the best score.
      const auto is_same = [&](const Slot& s) {
        return s.is_active() && s.last == to.last && equal(s.sequence, to.sequence);
      };
      if (std::any_of(next.begin(), next.end(), is_same)) to.score = Slot{}.score;
      next.push_back(std::move(to));
    }
    slots = std::move(next);
  }
  std::stable_sort(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) { return a.score > b.score; });
  std::vector<CtcBeam> out;
  for (const Slot& slot : slots) {
    if (!slot.is_active()) break;
    CtcBeam beam;
    beam.score = slot.score;
    for (Sequence node = slot.sequence; node; node = node->previous) {
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
