// Seeds of the orders that are not NeMo's.
#pragma once

#include <cstdint>

namespace fathom::asr {

// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
class SetRandom {
 public:
  explicit SetRandom(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // The bias of a product of 64 bits is below 2^-32 for any number of items.
  uint64_t below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  uint64_t state_;
};

inline uint64_t mixed_seed(uint64_t seed, uint64_t number) {
  SetRandom first(seed);
  return SetRandom(first.next() ^ number).next();
}

}  // namespace fathom::asr
