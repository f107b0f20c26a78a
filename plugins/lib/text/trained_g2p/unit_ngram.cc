#include "plugins/lib/text/trained_g2p/unit_ngram.h"

#include <algorithm>
#include <cmath>

namespace fathom::text {

UnitNgram::UnitNgram(const std::vector<std::vector<uint32_t>>& words, uint32_t units, int order)
    : units_(units), order_(order), suffix_(1), unit_(1), parent_(1), depth_(1), counts_(1), children_(1) {
  count(words);
  smooth();
  gone_.assign(suffix_.size(), false);
}

uint32_t UnitNgram::find(uint32_t node, uint32_t unit) const {
  const auto found = places_.find(static_cast<uint64_t>(node) << 32 | unit);
  return found == places_.end() ? 0 : found->second;
}

uint32_t UnitNgram::add(uint32_t node, uint32_t unit) {
  if (const uint32_t found = find(node, unit); found != 0) return found;
  const auto place = static_cast<uint32_t>(suffix_.size());
  places_[static_cast<uint64_t>(node) << 32 | unit] = place;
  suffix_.push_back(0);
  unit_.push_back(unit);
  parent_.push_back(node);
  depth_.push_back(static_cast<uint8_t>(depth_[node] + 1));
  counts_.push_back(0);
  children_.emplace_back();
  children_[node].push_back(place);
  const uint32_t shorter = node == 0 ? 0 : add(suffix_[node], unit);
  suffix_[place] = shorter;
  return place;
}

// The longest n-grams, and those at a word's begin, count how often they occur; all others in how many contexts.
void UnitNgram::count(const std::vector<std::vector<uint32_t>>& words) {
  const uint32_t begin = units_, end = units_ + 1;
  std::vector<bool> at_begin;
  for (const auto& word : words) {
    if (word.empty()) continue;
    std::vector<uint32_t> padded = {begin};
    padded.insert(padded.end(), word.begin(), word.end());
    padded.push_back(end);
    for (size_t last = 1; last < padded.size(); ++last) {
      const size_t longest = std::min<size_t>(static_cast<size_t>(order_), last + 1);
      for (size_t length = 1; length <= longest; ++length) {
        uint32_t node = 0;
        for (size_t i = last + 1 - length; i <= last; ++i) node = add(node, padded[i]);
        if (length == static_cast<size_t>(order_) || length == last + 1) counts_[node] += 1;
      }
    }
  }
  add(0, begin);
  std::vector<double> contexts(suffix_.size());
  for (size_t i = 1; i < suffix_.size(); ++i) {
    if (depth_[i] > 1) contexts[suffix_[i]] += 1;
  }
  // Parents were added before their children, so their beginnings are known.
  std::vector<bool> begins(suffix_.size());
  for (size_t i = 1; i < suffix_.size(); ++i) {
    begins[i] = depth_[i] == 1 ? unit_[i] == begin : begins[parent_[i]];
    if (depth_[i] < order_ && !begins[i]) counts_[i] = contexts[i];
  }
  counts_[find(0, begin)] = 0;  // nothing is ever followed by a begin
}

std::vector<std::array<double, 4>> UnitNgram::discounts() const {
  std::vector<std::array<double, 4>> out(static_cast<size_t>(order_) + 1);
  for (size_t level = 1; level < out.size(); ++level) {
    std::array<double, 5> seen{};  // how many n-grams were counted once, twice, …
    for (size_t i = 1; i < counts_.size(); ++i) {
      if (depth_[i] == level && counts_[i] >= 1 && counts_[i] <= 4) seen[static_cast<size_t>(counts_[i])] += 1;
    }
    const double y = seen[1] > 0 ? seen[1] / (seen[1] + 2 * seen[2]) : 0.5;
    const auto of = [&](size_t k) {  // k - (k + 1) y n(k + 1) / n(k), kept within reason where counts are few
      const double ratio = seen[k] > 0 ? seen[k + 1] / seen[k] : 0;
      return std::clamp(static_cast<double>(k) - static_cast<double>(k + 1) * y * ratio, 0.05, static_cast<double>(k));
    };
    out[level] = {0, of(1) >= 1 ? 0.9 : of(1), of(2), of(3)};
  }
  return out;
}

std::vector<std::vector<uint32_t>> UnitNgram::by_level() const {
  std::vector<std::vector<uint32_t>> out(static_cast<size_t>(order_) + 1);
  for (size_t i = 0; i < depth_.size(); ++i) out[depth_[i]].push_back(static_cast<uint32_t>(i));
  return out;
}

void UnitNgram::smooth() {
  const auto discount = discounts();
  const auto discount_of = [&](uint32_t node) {
    return discount[depth_[node]][static_cast<size_t>(std::min(3.0, counts_[node]))];
  };
  probability_.assign(suffix_.size(), 0);
  backoff_.assign(suffix_.size(), 1);
  for (const auto& level : by_level()) {  // shorter contexts first
    for (const uint32_t node : level) {
      double sum = 0, taken = 0;
      for (const uint32_t child : children_[node]) {
        sum += counts_[child];
        taken += discount_of(child);
      }
      if (!(sum > 0)) continue;
      backoff_[node] = taken / sum;
      for (const uint32_t child : children_[node]) {
        const double shorter =
            node == 0 ? 1.0 / (static_cast<double>(units_) + 1) : probability_[find(suffix_[node], unit_[child])];
        probability_[child] = std::max(0.0, counts_[child] - discount_of(child)) / sum + backoff_[node] * shorter;
      }
    }
  }
}

void UnitNgram::prune(double threshold) {
  if (!(threshold > 0)) return;
  const auto levels = by_level();
  for (size_t level = levels.size(); level-- > 3;) {  // longest first: a beginning stays while something follows it
    for (const uint32_t node : levels[level]) {
      const bool followed =
          std::any_of(children_[node].begin(), children_[node].end(), [&](uint32_t child) { return !gone_[child]; });
      if (followed) continue;
      const uint32_t context = parent_[node];
      const double shorter = backoff_[context] * probability_[suffix_[node]];
      gone_[node] = shorter > 0 && counts_[node] * std::abs(std::log(probability_[node] / shorter)) < threshold;
    }
  }
  // A context's weight for shorter ones: what its n-grams leave, over what they leave there.
  for (size_t i = 1; i < suffix_.size(); ++i) {
    if (gone_[i] || children_[i].empty()) continue;
    double left = 1, left_there = 1;
    for (const uint32_t child : children_[i]) {
      if (gone_[child]) continue;
      left -= probability_[child];
      left_there -= probability_[suffix_[child]];
    }
    backoff_[i] = left_there > 1e-9 ? std::clamp(left / left_there, 1e-9, 1.0) : 1;
  }
}

std::vector<UnitNgram::Node> UnitNgram::level_order() const {
  std::vector<Node> out;
  std::vector<uint32_t> queue = {0};
  for (size_t at = 0; at < queue.size(); ++at) {
    const uint32_t node = queue[at];
    std::vector<uint32_t> children;
    for (const uint32_t child : children_[node]) {
      if (!gone_[child]) children.push_back(child);
    }
    std::sort(children.begin(), children.end(), [&](uint32_t a, uint32_t b) { return unit_[a] < unit_[b]; });
    queue.insert(queue.end(), children.begin(), children.end());
    out.push_back({unit_[node], static_cast<uint32_t>(children.size()), probability_[node], backoff_[node]});
  }
  return out;
}

}  // namespace fathom::text
