#include "plugins/tts/modules/alignment_path.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <random>

namespace fathom::tts {
namespace {

using testing::ElementsAre;

std::vector<double> logs(std::vector<double> values) {
  for (double& value : values) value = std::log(value);
  return values;
}

// Every path, written out.
double best_of(const std::vector<double>& scores, int64_t frames, int64_t tokens, int64_t frame, int64_t token) {
  if (frame == frames) return token == tokens - 1 ? 0 : -std::numeric_limits<double>::infinity();
  double best = -std::numeric_limits<double>::infinity();
  for (const int64_t next : {token, token + 1}) {
    if (next < 0 || next >= tokens) continue;
    best = std::max(
        best, scores[static_cast<size_t>(frame * tokens + next)] + best_of(scores, frames, tokens, frame + 1, next));
  }
  return best;
}

TEST(BestPath, IsWhatNeMoFinds) {
  const auto p = logs({.6, .3, .1, .5, .4, .1, .2, .5, .3, .1, .6, .3, .1, .2, .7});
  EXPECT_THAT(best_path(p.data(), 5, 3, 3), ElementsAre(2, 2, 1));
}

TEST(BestPath, OneTokenHasAllFrames) {
  const std::vector<float> p(4, -1.0f);
  EXPECT_THAT(best_path(p.data(), 4, 1, 1), ElementsAre(4));
  EXPECT_THAT(best_path(p.data(), 1, 1, 1), ElementsAre(1));
}

TEST(BestPath, AsManyFramesAsTokensGoStraight) {
  const std::vector<float> p(9, -1.0f);
  EXPECT_THAT(best_path(p.data(), 3, 3, 3), ElementsAre(1, 1, 1));
}

TEST(BestPath, IsTheBestOfAllPaths) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  for (int round = 0; round < 200; ++round) {
    const int64_t tokens = 1 + static_cast<int64_t>(random() % 5);
    const int64_t frames = tokens + static_cast<int64_t>(random() % 6);
    std::vector<double> scores(static_cast<size_t>(frames * tokens));
    for (double& score : scores) score = normal(random);
    const auto durations = best_path(scores.data(), frames, tokens, tokens);
    double sum = 0;
    int64_t frame = 0;
    for (int64_t token = 0; token < tokens; ++token) {
      EXPECT_GE(durations[static_cast<size_t>(token)], 1);
      for (int64_t i = 0; i < durations[static_cast<size_t>(token)]; ++i)
        sum += scores[static_cast<size_t>(frame++ * tokens + token)];
    }
    ASSERT_EQ(frame, frames);
    EXPECT_NEAR(sum, best_of(scores, frames, tokens, 0, -1), 1e-12);
  }
}

}  // namespace
}  // namespace fathom::tts
