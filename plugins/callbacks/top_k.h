// Which of the saved checkpoints are the best: Lightning's best_k_models and what it derives from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fathom::callbacks {

class TopK {
 public:
  // k: how many are kept, -1 = all. `larger_is_better`: mode "max".
  TopK(int64_t k, bool larger_is_better) : k_(k), larger_(larger_is_better) {}

  // There is room, or `score` is strictly better than the worst that is kept. A NaN beats nothing.
  bool accepts(double score) const;
  // The path that has to go when another one comes, or "". It is taken off the list.
  std::string make_room();
  void add(const std::string& path, double score);  // a NaN counts as the worst there is
  void remove(const std::string& path);
  void set(std::vector<std::pair<std::string, double>> models) { models_ = std::move(models); }

  bool better(double a, double b) const { return larger_ ? a > b : a < b; }
  // First among equals, in the order they came.
  const std::pair<std::string, double>* best() const;
  const std::pair<std::string, double>* worst() const;
  bool is_full() const { return k_ == -1 || static_cast<int64_t>(models_.size()) == k_; }
  int64_t excess() const { return k_ < 0 ? 0 : static_cast<int64_t>(models_.size()) - k_; }
  // In the order they came.
  const std::vector<std::pair<std::string, double>>& models() const { return models_; }

 private:
  int64_t k_;
  bool larger_;
  std::vector<std::pair<std::string, double>> models_;
};

}  // namespace fathom::callbacks
