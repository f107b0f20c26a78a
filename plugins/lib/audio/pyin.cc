// pYIN: from the difference function over trough probabilities to the likeliest path through the pitches.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "fathom/error.h"
#include "plugins/lib/audio/pitch.h"
#include "plugins/lib/audio/pitch_frames.h"

namespace fathom::audio {
namespace {

// librosa's defaults, which NeMo keeps.
constexpr int kThresholds = 100;
constexpr double kBoltzmann = 2, kMaxTransitionRate = 35.92 /* octaves a second */, kSwitchProb = 0.01,
                 kNoTroughProb = 0.01;
constexpr int64_t kBinsPerOctave = 120;
constexpr double kTiny = std::numeric_limits<double>::min();

// The prior over thresholds: what Beta(2, 18) has between neighbours of `edges`. I_x(2, 18) = 1 - (1-x)^19 - 19 x
// (1-x)^18.
struct Thresholds {
  Thresholds() {
    double before = 0;
    for (int i = 0; i <= kThresholds; ++i) {
      const double x = static_cast<double>(i) * (1.0 / kThresholds), rest = 1 - x;
      const double power = std::pow(rest, 18), cdf = 1 - power * (rest + 19 * x);
      edges[i] = i == kThresholds ? 1.0 : x;
      if (i > 0) probs[i - 1] = cdf - before;
      before = cdf;
    }
    double sum = 0;
    for (int i = 0; i < kThresholds; ++i) below[i] = sum, sum += probs[i];
    below[kThresholds] = sum;
  }
  double edges[kThresholds + 1], probs[kThresholds];
  double below[kThresholds + 1];  // sum of the first so many of probs
};

// The cumulative mean normalized difference of a frame, between the two periods. float32 where librosa has float32.
class Difference {
 public:
  explicit Difference(const PitchFrames& frames)
      : frames_(frames), sums_(static_cast<size_t>(std::min(frames.max_period + 1, frames.length))) {}
  void operator()(int64_t t, std::vector<double>& out) {
    const float* x = frames_.frame(t);
    autocorrelate(x, frames_.length, sums_);
    out.resize(static_cast<size_t>(frames_.max_period - frames_.min_period + 1));
    const auto power = static_cast<float>(sums_[0]);
    float energy = 0, total = 0;  // of the samples before k; of the differences up to k
    for (int64_t k = 1; k <= frames_.max_period; ++k) {
      energy = energy + x[k - 1] * x[k - 1];
      const float difference =
          2 * (power - static_cast<float>(sums_[static_cast<size_t>(k)])) - (k == 1 ? 0.0F : energy);
      total += difference;
      const double mean = static_cast<double>(total) / static_cast<double>(k);
      if (k >= frames_.min_period) out[static_cast<size_t>(k - frames_.min_period)] = difference / (mean + kTiny);
    }
  }

 private:
  const PitchFrames& frames_;
  std::vector<double> sums_;
};

struct Candidate {
  int64_t bin = 0;
  double prob = 0;
};

// What a frame says of each pitch: the troughs of its difference function, each with the probability that a threshold
// drawn from the prior picks it.
class Observer {
 public:
  Observer(const PitchOptions& options, const PitchFrames& frames, int64_t bins)
      : rate_(options.sample_rate), fmin_(options.fmin), min_period_(frames.min_period), bins_(bins) {}

  // Ascending bins below bins_, each once; returns the probability that the frame is voiced.
  double operator()(const std::vector<double>& x, std::vector<Candidate>& out) {
    out.clear();
    find_troughs(x);
    if (troughs_.empty()) return 0;
    weigh(x);
    for (size_t j = 0; j < troughs_.size(); ++j) {
      if (probs_[j] == 0) continue;
      const size_t k = troughs_[j];
      const double period = static_cast<double>(min_period_ + static_cast<int64_t>(k)) + shift(x, k);
      const double bin = std::nearbyint(static_cast<double>(kBinsPerOctave) * std::log2(rate_ / period / fmin_));
      add({static_cast<int64_t>(std::clamp(bin, 0.0, static_cast<double>(bins_))), probs_[j]}, out);
    }
    std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.bin < b.bin; });
    double sum = 0;
    for (const Candidate& candidate : out) sum += candidate.prob;
    return std::clamp(sum, 0.0, 1.0);
  }

 private:
  void find_troughs(const std::vector<double>& x) {
    troughs_.clear();
    const size_t n = x.size();
    if (n < 2) return;
    if (x[0] < x[1]) troughs_.push_back(0);
    for (size_t i = 1; i + 1 < n; ++i) {
      if (x[i] < x[i - 1] && x[i] <= x[i + 1]) troughs_.push_back(i);
    }
    if (x[n - 1] < x[n - 2]) troughs_.push_back(n - 1);
  }

  void weigh(const std::vector<double>& x) {
    while (decay_.size() <= troughs_.size())
      decay_.push_back(std::exp(-kBoltzmann * static_cast<double>(decay_.size())));
    probs_.assign(troughs_.size(), 0.0);
    for (int i = 0; i < kThresholds; ++i) {
      const double threshold = prior_.edges[i + 1];
      size_t below = 0;
      for (const size_t k : troughs_) below += x[k] < threshold ? 1 : 0;
      if (below == 0) continue;
      const double share = prior_.probs[i] * (1 - decay_[1]) / (1 - decay_[below]);
      size_t position = 0;
      for (size_t j = 0; j < troughs_.size(); ++j) {
        if (x[troughs_[j]] < threshold) probs_[j] += share * decay_[position++];
      }
    }
    size_t lowest = 0;
    for (size_t j = 1; j < troughs_.size(); ++j) {
      if (x[troughs_[j]] < x[troughs_[lowest]]) lowest = j;
    }
    int above = 0;  // thresholds that no trough is below
    while (above < kThresholds && !(x[troughs_[lowest]] < prior_.edges[above + 1])) ++above;
    probs_[lowest] += kNoTroughProb * prior_.below[above];
  }

  static double shift(const std::vector<double>& x, size_t k) {
    if (k == 0 || k + 1 >= x.size()) return 0;
    const double a = x[k + 1] + x[k - 1] - 2 * x[k], b = (x[k + 1] - x[k - 1]) / 2;
    return std::abs(b) >= std::abs(a) ? 0 : -b / a;
  }

  // Of two troughs in one bin the longer period's counts, and what lies above the last bin is lost: as librosa has it.
  void add(const Candidate& candidate, std::vector<Candidate>& out) const {
    if (candidate.bin >= bins_) return;
    for (Candidate& other : out) {
      if (other.bin == candidate.bin) {
        other.prob = candidate.prob;
        return;
      }
    }
    out.push_back(candidate);
  }

  double rate_, fmin_;
  int64_t min_period_, bins_;
  Thresholds prior_;
  std::vector<size_t> troughs_;
  std::vector<double> probs_, decay_;
};

// The likeliest path through voiced and unvoiced pitches. A step moves by at most `reach` bins (librosa's matrix has 0
// elsewhere, whose logarithm it takes as that of the smallest number: such a step is thought of too).
class Path {
 public:
  Path(int64_t bins, int64_t reach) : bins_(bins), reach_(reach), width_(2 * reach + 1) {
    std::vector<double> total(static_cast<size_t>(bins), 0.0);
    const auto weight = [&](int64_t d) {
      return static_cast<double>(reach + 1 - std::abs(d)) / static_cast<double>(reach + 1);
    };
    for (int64_t from = 0; from < bins; ++from) {
      for (int64_t to = std::max<int64_t>(0, from - reach); to <= std::min(bins - 1, from + reach); ++to)
        total[from] += weight(to - from);
    }
    stay_.assign(static_cast<size_t>(bins * width_), std::log(kTiny));
    change_ = stay_;
    for (int64_t to = 0; to < bins; ++to) {
      for (int64_t from = std::max<int64_t>(0, to - reach); from <= std::min(bins - 1, to + reach); ++from) {
        const double p = weight(to - from) / total[from];
        stay_[to * width_ + from - to + reach] = std::log((1 - kSwitchProb) * p + kTiny);
        change_[to * width_ + from - to + reach] = std::log((1 - (1 - kSwitchProb)) * p + kTiny);
      }
    }
    value_.resize(static_cast<size_t>(2 * bins));
    next_ = value_;
  }

  void step(const std::vector<Candidate>& voiced, double voiced_prob) {
    const double none = std::log(kTiny);
    const double unvoiced = std::log((1 - voiced_prob) / static_cast<double>(bins_) + kTiny);
    if (steps_ == 0) {
      const double start = std::log(1.0 / static_cast<double>(2 * bins_) + kTiny);
      std::fill_n(next_.begin(), bins_, none + start);
      std::fill_n(next_.begin() + bins_, bins_, unvoiced + start);
      for (const Candidate& c : voiced) next_[c.bin] = std::log(c.prob + kTiny) + start;
    } else {
      const size_t best = static_cast<size_t>(std::max_element(value_.begin(), value_.end()) - value_.begin());
      const size_t row = came_from_.size();
      came_from_.resize(row + static_cast<size_t>(2 * bins_));
      observed_.assign(static_cast<size_t>(bins_), none);
      for (const Candidate& c : voiced) observed_[c.bin] = std::log(c.prob + kTiny);
      for (int64_t to = 0; to < bins_; ++to) {
        const Best a = best_step(to, stay_, change_, best), b = best_step(to, change_, stay_, best);
        next_[to] = observed_[to] + a.value;
        next_[bins_ + to] = unvoiced + b.value;
        came_from_[row + to] = static_cast<uint16_t>(a.from);
        came_from_[row + bins_ + to] = static_cast<uint16_t>(b.from);
      }
    }
    value_.swap(next_);
    ++steps_;
  }

  // The state of each step: a bin, or bins_ and more where unvoiced.
  std::vector<int64_t> states() const {
    std::vector<int64_t> out(static_cast<size_t>(steps_));
    if (steps_ == 0) return out;
    auto state = static_cast<int64_t>(std::max_element(value_.begin(), value_.end()) - value_.begin());
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      out[t] = state;
      if (t > 0) state = came_from_[static_cast<size_t>((t - 1) * 2 * bins_ + state)];
    }
    return out;
  }

 private:
  struct Best {
    double value;
    size_t from;
  };
  // Among the neighbours of bin `to`, voiced ones by the first weights and unvoiced ones by the second; of equals the
  // first. `best` is the likeliest state of all, which alone is worth a step farther than the reach.
  Best best_step(int64_t to, const std::vector<double>& by_voiced, const std::vector<double>& by_unvoiced,
                 size_t best) const {
    const int64_t first = std::max<int64_t>(0, to - reach_), last = std::min(bins_ - 1, to + reach_);
    const double *voiced = by_voiced.data() + to * width_ + reach_ - to,
                 *unvoiced = by_unvoiced.data() + to * width_ + reach_ - to;
    Best out{-std::numeric_limits<double>::infinity(), 0};
    for (int64_t from = first; from <= last; ++from) {
      const double value = value_[from] + voiced[from];
      if (value > out.value) out = {value, static_cast<size_t>(from)};
    }
    for (int64_t from = first; from <= last; ++from) {
      const double value = value_[bins_ + from] + unvoiced[from];
      if (value > out.value) out = {value, static_cast<size_t>(bins_ + from)};
    }
    const double leap = value_[best] + std::log(kTiny);
    if (leap > out.value || (leap == out.value && best < out.from)) out = {leap, best};
    return out;
  }

  int64_t bins_, reach_, width_, steps_ = 0;
  std::vector<double> stay_, change_;  // (to, from - to + reach)
  std::vector<double> value_, next_, observed_;
  std::vector<uint16_t> came_from_;
};

}  // namespace

PitchTrack pyin(std::span<const float> audio, const PitchOptions& options) {
  const PitchFrames frames(audio, options);
  const auto bins =
      static_cast<int64_t>(std::floor(static_cast<double>(kBinsPerOctave) * std::log2(options.fmax / options.fmin))) +
      1;
  const auto semitones = static_cast<int64_t>(
      std::nearbyint(kMaxTransitionRate * 12 * static_cast<double>(frames.hop) / options.sample_rate));
  const int64_t reach = semitones * (kBinsPerOctave / 12) / 2;
  if (bins < 2 || 2 * reach + 1 > bins || 2 * bins > std::numeric_limits<uint16_t>::max()) {
    throw Error(Code::kFailed, "pitch_fmin and pitch_fmax are too close for a step of this hop length")
        .seen(std::to_string(options.fmin) + " to " + std::to_string(options.fmax) + " Hz")
        .expected("at least " + std::to_string(2 * reach / 10 + 1) + " semitones");
  }
  Difference difference(frames);
  Observer observe(options, frames, bins);
  Path path(bins, reach);
  PitchTrack out;
  std::vector<double> curve;
  std::vector<Candidate> candidates;
  for (int64_t t = 0; t < frames.count(); ++t) {
    difference(t, curve);
    const double voiced = observe(curve, candidates);
    path.step(candidates, voiced);
    out.p_voiced.push_back(static_cast<float>(voiced));
  }
  for (const int64_t state : path.states()) {
    const bool voiced = state < bins;
    out.voiced.push_back(voiced ? 1.0F : 0.0F);
    out.f0.push_back(voiced ? static_cast<float>(options.fmin * std::exp2(static_cast<double>(state) /
                                                                          static_cast<double>(kBinsPerOctave)))
                            : 0.0F);
  }
  return out;
}

}  // namespace fathom::audio
