// Curves (curves.h) as an SVG image that needs nothing beside it: one panel a metric, axes, a legend. No torch.
// Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/runs/curves.h"

namespace fathom::runs {

// Of long curves what a pixel cannot show is left out: a panel's curve has at most 4 points a column of pixels, among
// them its least and its greatest value there. A value that is not finite, or not above 0 on a logarithmic axis, is a
// gap.
std::string curves_svg(const CurveSet& set);

// 1, 2 or 5 times a power of ten apart, between `low` and `high` (low < high), about `count` of them.
std::vector<double> nice_ticks(double low, double high, int count);
// Powers of ten, and their double and fivefold where these are few; low > 0.
std::vector<double> log_ticks(double low, double high);

// For the text and the attributes of XML: what XML cannot hold becomes U+FFFD.
std::string xml_escaped(std::string_view text);

}  // namespace fathom::runs
