// The numbers that numpy.random.RandomState and Python's random draw, for orders that are those of NeMo to the item.
// Uses no torch. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom::asr {

// Matsumoto and Nishimura, "Mersenne Twister", 1998, with both of their ways to begin.
class MersenneTwister {
 public:
  explicit MersenneTwister(uint32_t seed);
  explicit MersenneTwister(const std::vector<uint32_t>& key);
  uint32_t next();

 private:
  void refill();
  std::array<uint32_t, 624> state_;
  size_t at_ = 624;
};

// numpy.random.RandomState(seed).
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : bits_(seed) {}
  double uniform();  // [0, 1), of 53 bits
  // choice(len(p), p=p).
  int64_t choice(const std::vector<double>& probabilities);
  void shuffle(std::vector<int64_t>& items);
  std::vector<int64_t> permutation(int64_t count);

 private:
  uint32_t at_most(uint32_t limit);
  MersenneTwister bits_;
};

// The first random.randint(0, highest) behind random.seed(seed).
int64_t first_python_randint(uint64_t seed, uint32_t highest);

}  // namespace fathom::asr
