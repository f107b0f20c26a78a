#include "plugins/asr/losses/transducer_lattice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace fathom::asr {
namespace {

// The arcs of every cell, with weights that have no pattern a mistake could hide behind.
struct Item {
  TransducerArcs arcs;
  int64_t frames, labels;
  std::vector<double> blank, label;

  Item(TransducerArcs a, int64_t t, int64_t u) : arcs(std::move(a)), frames(t), labels(u) {
    const auto cells = static_cast<size_t>(t * (u + 1));
    for (size_t i = 0; i < cells * arcs.blank.size(); ++i) blank.push_back(-1 - std::sin(1.7 * static_cast<double>(i)));
    for (size_t i = 0; i < cells * arcs.label.size(); ++i) label.push_back(-1 - std::cos(0.9 * static_cast<double>(i)));
  }
  TransducerLattice lattice() { return {frames, labels, blank.data(), label.data()}; }
};

// Every path one by one: its probability goes to the total and to each of its arcs.
struct Enumerated {
  double total = 0;
  std::vector<double> blank, label;
};
Enumerated enumerate(const Item& item) {
  Enumerated out{0, std::vector<double>(item.blank.size()), std::vector<double>(item.label.size())};
  std::vector<std::pair<bool, size_t>> path;  // whether it is a blank, and which arc
  std::function<void(int64_t, int64_t, double)> walk = [&](int64_t t, int64_t u, double log_p) {
    const size_t cell = static_cast<size_t>(t * (item.labels + 1) + u);
    for (size_t k = 0; k < item.arcs.blank.size(); ++k) {
      const size_t arc = cell * item.arcs.blank.size() + k;
      const int64_t next = t + item.arcs.blank[k];
      path.emplace_back(true, arc);
      const double p = log_p + item.blank[arc];
      if (next < item.frames) walk(next, u, p);
      if (next == item.frames && u == item.labels) {
        out.total += std::exp(p);
        for (const auto& [is_blank, number] : path) (is_blank ? out.blank : out.label)[number] += std::exp(p);
      }
      path.pop_back();
    }
    for (size_t k = 0; u < item.labels && k < item.arcs.label.size(); ++k) {
      const size_t arc = cell * item.arcs.label.size() + k;
      const int64_t next = t + item.arcs.label[k];
      if (next >= item.frames) continue;
      path.emplace_back(false, arc);
      walk(next, u + 1, log_p + item.label[arc]);
      path.pop_back();
    }
  };
  walk(0, 0, 0);
  return out;
}

void expect_as_enumerated(const TransducerArcs& arcs, int64_t frames, int64_t labels) {
  Item item(arcs, frames, labels);
  const Enumerated expected = enumerate(item);
  std::vector<double> scratch;
  const double alone = transducer_log_likelihood(item.arcs, item.lattice(), scratch);
  const double total = transducer_posteriors(item.arcs, item.lattice(), scratch);
  EXPECT_EQ(alone, total);
  EXPECT_NEAR(total, std::log(expected.total), 1e-12);
  for (size_t i = 0; i < item.blank.size(); ++i) EXPECT_NEAR(item.blank[i], expected.blank[i] / expected.total, 1e-12);
  for (size_t i = 0; i < item.label.size(); ++i) EXPECT_NEAR(item.label[i], expected.label[i] / expected.total, 1e-12);
}

TEST(TransducerLattice, SumsAllPathsOfRnnt) {
  for (int64_t frames = 1; frames <= 5; ++frames) {
    for (int64_t labels = 0; labels <= 4; ++labels) expect_as_enumerated({{1}, {0}}, frames, labels);
  }
}

TEST(TransducerLattice, SumsAllPathsOfTdt) {
  for (int64_t frames = 1; frames <= 5; ++frames) {
    for (int64_t labels = 0; labels <= 3; ++labels) expect_as_enumerated({{1, 2, 4}, {0, 1, 2, 4}}, frames, labels);
  }
}

TEST(TransducerLattice, SumsAllPathsOfMultiblank) {
  for (int64_t frames = 1; frames <= 6; ++frames) expect_as_enumerated({{1, 2, 4}, {0}}, frames, 3);
}

TEST(TransducerLattice, WithoutAPathNothingHasAShare) {
  Item item({{2}, {0}}, 3, 1);  // blanks of two frames never end at 3
  std::vector<double> scratch;
  EXPECT_EQ(transducer_posteriors(item.arcs, item.lattice(), scratch), -INFINITY);
  for (const double share : item.blank) EXPECT_EQ(share, 0);
  for (const double share : item.label) EXPECT_EQ(share, 0);
}

TEST(TransducerLattice, ArcsThatAreImpossibleTakeNothing) {
  Item item({{1}, {0}}, 3, 2);
  item.label[0] = -INFINITY;
  item.blank[1] = -INFINITY;
  const Enumerated expected = enumerate(item);
  std::vector<double> scratch;
  EXPECT_NEAR(transducer_posteriors(item.arcs, item.lattice(), scratch), std::log(expected.total), 1e-12);
  EXPECT_EQ(item.label[0], 0);
  EXPECT_EQ(item.blank[1], 0);
}

}  // namespace
}  // namespace fathom::asr
