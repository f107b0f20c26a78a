#include "plugins/lib/text/byte_trie.h"

#include <algorithm>

namespace fathom::text {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> words) {
  // As bytes, not as chars: children are looked up in that order.
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  nodes_.emplace_back();
  // Level by level: a node and the words that go through it.
  struct Span {
    uint32_t node;
    size_t begin, end;
  };
  std::vector<Span> level = {{kRoot, 0, words.size()}}, next;
  for (size_t depth = 0; !level.empty(); ++depth, level.swap(next)) {
    next.clear();
    for (Span span : level) {
      if (span.begin < span.end && words[span.begin].first.size() == depth)
        nodes_[span.node].value = words[span.begin++].second;
      nodes_[span.node].first_child = static_cast<uint32_t>(nodes_.size());
      for (size_t begin = span.begin; begin < span.end;) {
        const char byte = words[begin].first[depth];
        size_t end = begin;
        while (end < span.end && words[end].first[depth] == byte) ++end;
        Node child;
        child.byte = static_cast<unsigned char>(byte);
        next.push_back({static_cast<uint32_t>(nodes_.size()), begin, end});
        nodes_.push_back(child);
        ++nodes_[span.node].children;
        begin = end;
      }
    }
  }
}

uint32_t ByteTrie::step(uint32_t node, char byte) const {
  if (nodes_.empty()) return kNone;
  const auto wanted = static_cast<unsigned char>(byte);
  const auto first = nodes_.begin() + nodes_[node].first_child, last = first + nodes_[node].children;
  const auto found =
      std::lower_bound(first, last, wanted, [](const Node& child, unsigned char b) { return child.byte < b; });
  return found == last || found->byte != wanted ? kNone : static_cast<uint32_t>(found - nodes_.begin());
}

size_t ByteTrie::longest_prefix(std::string_view text) const {
  size_t longest = 0;
  uint32_t node = kRoot;
  for (size_t i = 0; i < text.size() && (node = step(node, text[i])) != kNone; ++i) {
    if (value(node) >= 0) longest = i + 1;
  }
  return longest;
}

}  // namespace fathom::text
