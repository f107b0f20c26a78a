// Curves of several runs from their metrics.csv: what to draw (curve_svg.h draws it). No torch. Thread-safe: no state.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fathom/error.h"

namespace fathom::runs {

enum class CurveAxis { kStep, kEpoch, kTime };

struct CurveOptions {
  std::vector<std::string> metrics;  // empty: those that all runs have
  CurveAxis axis = CurveAxis::kStep;
  double smooth = 0;  // weight of what came before in a running mean, 0 (off) to less than 1
  bool log = false;   // a logarithmic y axis: values of 0 and below are gaps
};

struct Curve {
  std::string run;
  size_t colour = 0;                 // the run's, the same in every panel
  std::vector<double> x, y, smooth;  // in order; y of NaN or inf is a gap; `smooth` is empty unless asked for
};

// One metric.
struct CurvePanel {
  std::string metric;
  std::vector<Curve> curves;
};

struct CurveSet {
  std::string x_label;
  bool log = false;
  std::vector<std::string> runs;  // by colour
  std::vector<CurvePanel> panels;
};

// `folders`: of runs, or of runs below them; or files of metrics. On the axis of epochs a point is the mean of the
// metric's finite values in that epoch; time is in seconds from the run's first step, as its TensorBoard events have
// it. Runs without metrics and metrics that some run lacks are told to `note`. Throws Error: kNoInput without any run,
// kFailed for a metric that no run has (with the nearest names), runs without a common one, no time; kBadData, kIo.
CurveSet make_curves(const std::vector<std::string>& folders, const CurveOptions& options,
                     const std::function<void(const std::string& note)>& note);

}  // namespace fathom::runs
