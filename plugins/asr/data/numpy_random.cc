#include "plugins/asr/data/numpy_random.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace fathom::asr {

MersenneTwister::MersenneTwister(uint32_t seed) {
  state_[0] = seed;
  for (uint32_t i = 1; i < state_.size(); ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

MersenneTwister::MersenneTwister(const std::vector<uint32_t>& key) : MersenneTwister(19650218u) {
  const size_t size = state_.size();
  size_t i = 1;
  const auto mixed = [&](uint32_t factor) { return state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * factor); };
  const auto step = [&] {
    if (++i < size) return;
    state_[0] = state_[size - 1];
    i = 1;
  };
  for (size_t k = 0, j = 0; k < std::max(size, key.size()); ++k) {
    state_[i] = mixed(1664525u) + key[j] + static_cast<uint32_t>(j);
    step();
    j = (j + 1) % key.size();
  }
  for (size_t k = 1; k < size; ++k) {
    state_[i] = mixed(1566083941u) - static_cast<uint32_t>(i);
    step();
  }
  state_[0] = 0x80000000u;
}

void MersenneTwister::refill() {
  const size_t size = state_.size();
  for (size_t i = 0; i < size; ++i) {
    const uint32_t joined = (state_[i] & 0x80000000u) | (state_[(i + 1) % size] & 0x7fffffffu);
    state_[i] = state_[(i + 397) % size] ^ (joined >> 1) ^ ((joined & 1) != 0 ? 0x9908b0dfu : 0);
  }
  at_ = 0;
}

uint32_t MersenneTwister::next() {
  if (at_ == state_.size()) refill();
  uint32_t y = state_[at_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

double NumpyRandom::uniform() {
  const uint32_t high = bits_.next() >> 5, low = bits_.next() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

int64_t NumpyRandom::choice(const std::vector<double>& probabilities) {
  std::vector<double> sums(probabilities.size());
  std::partial_sum(probabilities.begin(), probabilities.end(), sums.begin());
  for (double& sum : sums) sum /= sums.back();
  return std::upper_bound(sums.begin(), sums.end(), uniform()) - sums.begin();
}

// Masked bits, drawn again where they are too large.
uint32_t NumpyRandom::at_most(uint32_t limit) {
  if (limit == 0) return 0;
  const uint32_t mask = ~uint32_t{0} >> std::countl_zero(limit);
  uint32_t value = 0;
  do {
    value = bits_.next() & mask;
  } while (value > limit);
  return value;
}

void NumpyRandom::shuffle(std::vector<int64_t>& items) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[at_most(static_cast<uint32_t>(i - 1))]);
}

std::vector<int64_t> NumpyRandom::permutation(int64_t count) {
  std::vector<int64_t> items(static_cast<size_t>(count));
  std::iota(items.begin(), items.end(), int64_t{0});
  shuffle(items);
  return items;
}

int64_t first_python_randint(uint64_t seed, uint32_t highest) {
  std::vector<uint32_t> key = {static_cast<uint32_t>(seed)};
  if (seed >> 32 != 0) key.push_back(static_cast<uint32_t>(seed >> 32));
  MersenneTwister bits(key);
  const int unused = std::countl_zero(highest + 1);
  uint32_t value = 0;
  do {
    value = bits.next() >> unused;
  } while (value > highest);
  return value;
}

}  // namespace fathom::asr
