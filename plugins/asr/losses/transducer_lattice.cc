#include "plugins/asr/losses/transducer_lattice.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fathom::asr {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// log(exp(a) + exp(b)).
double log_add(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  return low == kNever ? high : high + std::log1p(std::exp(low - high));
}

// Where an arc leads: the number of a cell, or one of these.
constexpr int64_t kEnd = -1, kNowhere = -2;

// Calls visit(arc's number in its array, where it leads) for every arc of a cell.
class Walker {
 public:
  Walker(const TransducerArcs& arcs, const TransducerLattice& lattice)
      : arcs_(arcs), frames_(lattice.frames), width_(lattice.labels + 1) {}
  int64_t cells() const { return frames_ * width_; }

  template <typename Visit>
  void blanks(int64_t t, int64_t u, Visit visit) const {
    int64_t arc = (t * width_ + u) * static_cast<int64_t>(arcs_.blank.size());
    for (const int64_t moved : arcs_.blank) {
      const int64_t next = t + moved;
      const bool ends = next == frames_ && u == width_ - 1;
      visit(arc++, ends ? kEnd : next < frames_ ? next * width_ + u : kNowhere);
    }
  }
  template <typename Visit>
  void labels(int64_t t, int64_t u, Visit visit) const {
    int64_t arc = (t * width_ + u) * static_cast<int64_t>(arcs_.label.size());
    for (const int64_t moved : arcs_.label) {
      const int64_t next = t + moved;
      visit(arc++, next < frames_ && u < width_ - 1 ? next * width_ + u + 1 : kNowhere);
    }
  }

 private:
  const TransducerArcs& arcs_;
  int64_t frames_, width_;
};

// alpha[cell]: of all ways from the start to the cell. Gives that of all ways to the end.
double run_forward(const Walker& walk, const TransducerLattice& lattice, double* alpha) {
  std::fill_n(alpha, walk.cells(), kNever);
  alpha[0] = 0;
  double end = kNever;
  int64_t cell = 0;
  for (int64_t t = 0; t < lattice.frames; ++t) {
    for (int64_t u = 0; u <= lattice.labels; ++u, ++cell) {
      const double here = alpha[cell];
      if (here == kNever) continue;
      walk.blanks(t, u, [&](int64_t arc, int64_t target) {
        if (target == kNowhere) return;
        double& to = target == kEnd ? end : alpha[target];
        to = log_add(to, here + lattice.blank[arc]);
      });
      walk.labels(t, u, [&](int64_t arc, int64_t target) {
        if (target != kNowhere) alpha[target] = log_add(alpha[target], here + lattice.label[arc]);
      });
    }
  }
  return end;
}

}  // namespace

double transducer_log_likelihood(const TransducerArcs& arcs, const TransducerLattice& lattice,
                                 std::vector<double>& scratch) {
  const Walker walk(arcs, lattice);
  scratch.resize(static_cast<size_t>(walk.cells()));
  return run_forward(walk, lattice, scratch.data());
}

double transducer_posteriors(const TransducerArcs& arcs, const TransducerLattice& lattice,
                             std::vector<double>& scratch) {
  const Walker walk(arcs, lattice);
  scratch.resize(static_cast<size_t>(2 * walk.cells()));
  double* alpha = scratch.data();
  double* beta = scratch.data() + walk.cells();  // of all ways from the cell to the end
  const double total = run_forward(walk, lattice, alpha);
  const auto rest = [&](int64_t target) { return target == kEnd ? 0.0 : target == kNowhere ? kNever : beta[target]; };
  int64_t cell = walk.cells() - 1;
  for (int64_t t = lattice.frames - 1; t >= 0; --t) {
    for (int64_t u = lattice.labels; u >= 0; --u, --cell) {
      // Every arc leads to a cell whose beta is known: weights can become posteriors on the way.
      double onward = kNever;
      const auto add = [&](double weight, int64_t target) {
        if (target != kNowhere) onward = log_add(onward, weight + rest(target));
      };
      walk.blanks(t, u, [&](int64_t arc, int64_t target) { add(lattice.blank[arc], target); });
      walk.labels(t, u, [&](int64_t arc, int64_t target) { add(lattice.label[arc], target); });
      beta[cell] = onward;
      const bool passed = alpha[cell] != kNever && onward != kNever;  // by a path; no infinities below then
      const auto share = [&](double& weight, int64_t target) {
        weight = passed && target != kNowhere ? std::exp(alpha[cell] - total + weight + rest(target)) : 0.0;
      };
      walk.blanks(t, u, [&](int64_t arc, int64_t target) { share(lattice.blank[arc], target); });
      walk.labels(t, u, [&](int64_t arc, int64_t target) { share(lattice.label[arc], target); });
    }
  }
  return total;
}

}  // namespace fathom::asr
