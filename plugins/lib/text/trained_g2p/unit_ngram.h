// An n-gram model with interpolated, modified Kneser-Ney smoothing (Chen and Goodman, 1999), as a tree. Uses no torch.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace fathom::text {

class UnitNgram {
 public:
  // Words as sequences of units below `units`; unit `units` begins each of them, `units` + 1 ends it.
  UnitNgram(const std::vector<std::vector<uint32_t>>& words, uint32_t units, int order);

  // Leaves out n-grams of three and more that tell little (g2p_training.h), and gives their weight to shorter ones.
  void prune(double threshold);

  // In the order of their levels, children by their unit: what a G2pModel keeps.
  struct Node {
    uint32_t unit = 0, child_count = 0;
    double probability = 1;  // of the unit after the n-gram's beginning
    double backoff = 1;      // weight of shorter contexts after this n-gram
  };
  std::vector<Node> level_order() const;

 private:
  uint32_t add(uint32_t node, uint32_t unit);
  uint32_t find(uint32_t node, uint32_t unit) const;  // 0: none
  void count(const std::vector<std::vector<uint32_t>>& words);
  std::vector<std::array<double, 4>> discounts() const;
  void smooth();
  std::vector<std::vector<uint32_t>> by_level() const;

  uint32_t units_;
  int order_;
  std::vector<uint32_t> suffix_, unit_, parent_;
  std::vector<uint8_t> depth_;
  std::vector<bool> gone_;
  std::vector<double> counts_, probability_, backoff_;
  std::vector<std::vector<uint32_t>> children_;
  std::unordered_map<uint64_t, uint32_t> places_;
};

}  // namespace fathom::text
