#include "plugins/callbacks/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fathom::callbacks {

bool TopK::accepts(double score) const {
  if (k_ == -1 || static_cast<int64_t>(models_.size()) < k_) return true;
  const auto* last = worst();
  return last != nullptr && better(score, last->second);
}

std::string TopK::make_room() {
  if (k_ <= 0 || static_cast<int64_t>(models_.size()) < k_) return "";
  const std::string path = worst()->first;
  remove(path);
  return path;
}

void TopK::add(const std::string& path, double score) {
  if (std::isnan(score)) score = (larger_ ? -1 : 1) * std::numeric_limits<double>::infinity();
  for (auto& [known, value] : models_) {
    if (known == path) {
      value = score;
      return;
    }
  }
  models_.emplace_back(path, score);
}

void TopK::remove(const std::string& path) {
  std::erase_if(models_, [&](const auto& model) { return model.first == path; });
}

const std::pair<std::string, double>* TopK::best() const {
  const std::pair<std::string, double>* found = nullptr;
  for (const auto& model : models_) {
    if (found == nullptr || better(model.second, found->second)) found = &model;
  }
  return found;
}

const std::pair<std::string, double>* TopK::worst() const {
  const std::pair<std::string, double>* found = nullptr;
  for (const auto& model : models_) {
    if (found == nullptr || better(found->second, model.second)) found = &model;
  }
  return found;
}

}  // namespace fathom::callbacks
