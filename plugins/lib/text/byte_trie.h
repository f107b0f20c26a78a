// Words by their bytes, for finding all those that a text begins with. Uses no torch; thread-safe after construction.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::text {

class ByteTrie {
 public:
  ByteTrie() = default;
  // Words with their values, in any order, none of them empty or twice. Takes some 16 bytes for each byte of a word
  // that no other word begins with.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> words);

  bool empty() const { return nodes_.size() <= 1; }
  // Where a search begins, and where it goes with one more byte; kNone when no word goes on so.
  static constexpr uint32_t kRoot = 0, kNone = UINT32_MAX;
  uint32_t step(uint32_t node, char byte) const;
  // The value of the word that ends here, or -1.
  int32_t value(uint32_t node) const { return nodes_[node].value; }
  // Bytes of the longest word that `text` begins with; 0 when there is none.
  size_t longest_prefix(std::string_view text) const;

 private:
  struct Node {
    uint32_t first_child = 0;  // a node's children lie side by side, ordered by their bytes
    uint16_t children = 0;
    unsigned char byte = 0;  // that leads here
    int32_t value = -1;
  };
  std::vector<Node> nodes_;
};

}  // namespace fathom::text
