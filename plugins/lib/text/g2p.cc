#include "plugins/lib/text/g2p.h"

#include "fathom/error.h"

namespace fathom::text {

bool G2pMix::keeps_letters(uint64_t place) const {
  if (!probability) return false;
  uint64_t x = seed + (place + 1) * 0x9e3779b97f4a7c15ULL;  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1.0p-53 > *probability;
}

void G2p::replace_symbols(const std::set<std::string>&) {
  throw Error(Code::kFailed, "this G2P has no dictionary whose symbols could be replaced");
}

}  // namespace fathom::text
