#include "plugins/tts/metrics/frame_alignment.h"

#include <gmock/gmock.h>

#include <cmath>

namespace fathom::tts {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::vector<std::pair<int64_t, int64_t>> align(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> cost;
  for (const float x : a) {
    for (const float y : b) cost.push_back(std::abs(x - y));
  }
  return align_frames(cost.data(), static_cast<int64_t>(a.size()), static_cast<int64_t>(b.size()));
}

TEST(FrameAlignment, GoesStraightThroughTheSame) {
  EXPECT_THAT(align({1, 2, 3}, {1, 2, 3}), ElementsAre(Pair(0, 0), Pair(1, 1), Pair(2, 2)));
}

TEST(FrameAlignment, WaitsWhereOneIsSlower) {
  EXPECT_THAT(align({1, 5, 9}, {1, 5, 5, 5, 9}),
              ElementsAre(Pair(0, 0), Pair(1, 1), Pair(1, 2), Pair(1, 3), Pair(2, 4)));
}

TEST(FrameAlignment, OneFrameBelongsToAll) {
  EXPECT_THAT(align({2}, {1, 2, 3}), ElementsAre(Pair(0, 0), Pair(0, 1), Pair(0, 2)));
  EXPECT_THAT(align({1, 2}, {1}), ElementsAre(Pair(0, 0), Pair(1, 0)));
}

}  // namespace
}  // namespace fathom::tts
