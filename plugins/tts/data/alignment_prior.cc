#include "plugins/tts/data/alignment_prior.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace fathom::tts {
namespace {

constexpr size_t kMostStored = 500;

at::Tensor log_beta(const at::Tensor& x, const at::Tensor& y) { return x.lgamma() + y.lgamma() - (x + y).lgamma(); }

int64_t rounded(int64_t value, int64_t to) {
  const double steps = std::nearbyint(static_cast<double>(value + 1) / static_cast<double>(to));
  return std::max<int64_t>(1, static_cast<int64_t>(steps)) * to;
}

// For each of `count` places between the first and the last of `given`: the place before and the share of the next.
std::pair<at::Tensor, at::Tensor> between(int64_t count, int64_t given) {
  at::Tensor before = at::empty({count}, at::kLong), share = at::empty({count}, at::kDouble);
  const double step = count > 1 ? static_cast<double>(given - 1) / static_cast<double>(count - 1) : 1;
  for (int64_t i = 0; i < count; ++i) {
    const double at = std::min(static_cast<double>(i) * step, static_cast<double>(given - 1));
    const int64_t floor = std::min(static_cast<int64_t>(at), std::max<int64_t>(given - 2, 0));
    before.data_ptr<int64_t>()[i] = floor;
    share.data_ptr<double>()[i] = at - static_cast<double>(floor);
  }
  return {before, share};
}

at::Tensor stretched(const at::Tensor& x, int64_t count, int64_t dim) {
  const auto [before, share] = between(count, x.size(dim));
  const at::Tensor after = (before + 1).clamp_max(x.size(dim) - 1);
  const at::Tensor weight = dim == 0 ? share.unsqueeze(1) : share;
  return x.index_select(dim, before) * (1 - weight) + x.index_select(dim, after) * weight;
}

}  // namespace

at::Tensor beta_binomial_prior(int64_t tokens, int64_t frames) {
  const at::Tensor x = at::arange(tokens).to(at::kFloat).unsqueeze(0);
  const at::Tensor a = at::arange(1, frames + 1).to(at::kFloat).unsqueeze(1), b = static_cast<float>(frames + 1) - a;
  const at::Tensor n = at::full({1}, static_cast<float>(tokens - 1));
  const at::Tensor ways = (n + 1).lgamma() - (x + 1).lgamma() - (n - x + 1).lgamma();
  return (ways + log_beta(x + a, n - x + b) - log_beta(a, b)).exp();
}

at::Tensor PriorBank::stored(int64_t tokens, int64_t frames) const {
  const Size size{tokens, frames};
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = places_.find(size); found != places_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->second;
    }
  }
  const at::Tensor made = beta_binomial_prior(frames, tokens).t().contiguous();
  const std::lock_guard lock(mutex_);
  if (places_.find(size) != places_.end()) return made;
  recent_.emplace_front(size, made);
  places_[size] = recent_.begin();
  if (recent_.size() > kMostStored) {
    places_.erase(recent_.back().first);
    recent_.pop_back();
  }
  return made;
}

at::Tensor PriorBank::operator()(int64_t tokens, int64_t frames) const {
  const at::Tensor bank = stored(rounded(tokens, 10), rounded(frames, 50)).to(at::kDouble);
  return stretched(stretched(bank, frames, 0), tokens, 1).to(at::kFloat);
}

}  // namespace fathom::tts
