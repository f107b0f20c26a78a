#include "plugins/lib/text/trained_g2p/g2p_model.h"

#include <algorithm>
#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/unicode.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

Error unfit(const std::string& source, const std::string& seen) {
  return Error(Code::kBadData, "a G2P model does not fit together")
      .at(source)
      .seen(seen)
      .next("the file is damaged: take another copy, or train it again (fathom tts train-g2p)");
}

struct Hypothesis {
  uint32_t cost = 0, context = 0, last = 0;  // last: its place in the history
};
struct History {
  uint32_t before = 0, graphone = 0;
};

// Adds up probabilities given as logarithms.
double log_sum(double a, double b) {
  const double most = std::max(a, b);
  return most + std::log1p(std::exp(std::min(a, b) - most));
}

}  // namespace

G2pModel::G2pModel(Content content, const std::string& source) : content_(std::move(content)) {
  const auto units = static_cast<uint32_t>(content_.graphones.size());
  const std::vector<Node>& nodes = content_.nodes;
  if (content_.order < 1 || units == 0 || units > 65000 || nodes.size() < 2) throw unfit(source, "nothing in it");
  for (const Graphone& graphone : content_.graphones) {
    if (graphone.letters.empty()) throw unfit(source, "a graphone without letters");
    for (const uint8_t phoneme : graphone.phonemes)
      if (phoneme >= content_.phonemes.size()) throw unfit(source, "a graphone with a phoneme that is none");
  }
  // Where each node's children begin: one level after another.
  uint64_t next = 1;
  first_child_.reserve(nodes.size());
  depth_.assign(nodes.size(), 0);
  suffix_.assign(nodes.size(), 0);
  for (size_t i = 0; i < nodes.size(); ++i) {
    first_child_.push_back(static_cast<uint32_t>(next));
    next += nodes[i].child_count;
    if (next > nodes.size() || (nodes[i].child_count > 0 && first_child_[i] <= i))
      throw unfit(source, "a tree that is none");
    for (uint32_t c = first_child_[i]; c < next; ++c) {
      if (nodes[c].unit > units + 1) throw unfit(source, "a unit that is none");
      if (c > first_child_[i] && nodes[c].unit <= nodes[c - 1].unit) throw unfit(source, "units out of order");
      depth_[c] = static_cast<uint8_t>(depth_[i] + 1);
      if (depth_[c] > content_.order) throw unfit(source, "n-grams longer than its order");
      // Every n-gram without its first unit is there too, if only as a shorter one still.
      suffix_[c] = i == 0 ? 0 : child(suffix_[i], nodes[c].unit);
      for (uint32_t s = suffix_[i]; i != 0 && suffix_[c] == 0 && s != 0;) {
        s = suffix_[s];
        suffix_[c] = child(s, nodes[c].unit);
      }
    }
  }
  if (next != nodes.size()) throw unfit(source, "nodes that belong nowhere");
  for (uint32_t i = 0; i < units; ++i) by_letters_[content_.graphones[i].letters].push_back(i);
}

uint32_t G2pModel::child(uint32_t node, uint32_t unit) const {
  const auto begin = content_.nodes.begin() + first_child_[node], end = begin + content_.nodes[node].child_count;
  const auto found = std::lower_bound(begin, end, unit, [](const Node& a, uint32_t b) { return a.unit < b; });
  return found == end || found->unit != unit ? 0 : static_cast<uint32_t>(found - content_.nodes.begin());
}

G2pModel::Step G2pModel::step(uint32_t context, uint32_t unit) const {
  Step out;
  while (true) {
    const uint32_t found = child(context, unit);
    if (found != 0) {
      out.cost += content_.nodes[found].cost;
      out.possible = true;
      // A context that nothing goes on from says no more than a shorter one.
      uint32_t next = found;
      while (next != 0 && (content_.nodes[next].child_count == 0 || depth_[next] >= content_.order))
        next = suffix_[next];
      out.context = next;
      return out;
    }
    if (context == 0) return out;
    out.cost += content_.nodes[context].backoff;
    context = suffix_[context];
  }
}

std::vector<G2pModel::Pronunciation> G2pModel::pronounce(std::string_view word, size_t most, size_t beam) const {
  const std::vector<char32_t> letters = to_nfc(code_points(lower_case(word)));
  if (letters.empty() || letters.size() > kLongestWord) return {};
  const auto begin = static_cast<uint32_t>(content_.graphones.size()), end = begin + 1;
  std::vector<std::vector<Hypothesis>> reached(letters.size() + 1);
  std::vector<History> history(1);
  reached[0].push_back({0, child(0, begin), 0});
  size_t longest = 1;
  for (const auto& [written, graphones] : by_letters_) longest = std::max(longest, written.size());
  for (size_t at = 0; at < letters.size(); ++at) {
    auto& here = reached[at];
    if (here.size() > beam) {
      // Ties by what was reached first, so that nothing depends on the library.
      std::stable_sort(here.begin(), here.end(),
                       [](const Hypothesis& a, const Hypothesis& b) { return a.cost < b.cost; });
      here.resize(beam);
    }
    for (size_t length = 1; length <= longest && at + length <= letters.size(); ++length) {
      const auto found = by_letters_.find(std::vector<char32_t>(letters.begin() + static_cast<long>(at),
                                                                letters.begin() + static_cast<long>(at + length)));
      if (found == by_letters_.end()) continue;
      for (const Hypothesis& hypothesis : here) {
        for (const uint32_t graphone : found->second) {
          const Step next = step(hypothesis.context, graphone);
          if (!next.possible) continue;
          history.push_back({hypothesis.last, graphone});
          reached[at + length].push_back(
              {hypothesis.cost + next.cost, next.context, static_cast<uint32_t>(history.size() - 1)});
        }
      }
    }
  }
  std::map<std::vector<uint8_t>, double> said;
  for (const Hypothesis& hypothesis : reached.back()) {
    const Step last = step(hypothesis.context, end);
    if (!last.possible) continue;
    const double score = -static_cast<double>(hypothesis.cost + last.cost) / kCostsPerNat;
    std::vector<uint8_t> phonemes;
    for (uint32_t i = hypothesis.last; i != 0; i = history[i].before) {
      const auto& made = content_.graphones[history[i].graphone].phonemes;
      phonemes.insert(phonemes.end(), made.rbegin(), made.rend());
    }
    std::reverse(phonemes.begin(), phonemes.end());
    const auto [entry, is_new] = said.try_emplace(std::move(phonemes), score);
    if (!is_new) entry->second = log_sum(entry->second, score);
  }
  std::vector<Pronunciation> out;
  for (const auto& [phonemes, score] : said) {
    Pronunciation one;
    for (const uint8_t phoneme : phonemes) one.phonemes.push_back(content_.phonemes[phoneme]);
    one.log_probability = score;
    out.push_back(std::move(one));
  }
  std::stable_sort(out.begin(), out.end(), [](const Pronunciation& a, const Pronunciation& b) {
    return a.log_probability > b.log_probability;
  });
  if (out.size() > most) out.resize(most);
  return out;
}

}  // namespace fathom::text
