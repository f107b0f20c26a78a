#include "core/runs/curve_svg.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <sstream>

namespace fathom::runs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

CurveSet one_curve(std::vector<double> y, bool log = false) {
  Curve curve;
  curve.run = "run";
  for (size_t i = 0; i < y.size(); ++i) curve.x.push_back(static_cast<double>(i));
  curve.y = std::move(y);
  return {"step", log, {"run"}, {{"loss", {curve}}}};
}

// The d="…" of the curve.
std::string path_of(const std::string& svg) {
  const size_t end = svg.find("<title>"), start = svg.rfind("<path d=\"", end) + 9;
  return end == std::string::npos ? "" : svg.substr(start, svg.find('"', start) - start);
}

TEST(CurveSvg, TicksAreRoundNumbers) {
  EXPECT_THAT(nice_ticks(0, 1, 5), ElementsAre(0, 0.2, 0.4, 3 * 0.2, 0.8, 1));
  EXPECT_THAT(nice_ticks(-3.1, 7.2, 5), ElementsAre(-2, 0, 2, 4, 6));
  EXPECT_THAT(nice_ticks(12345, 99999, 5), ElementsAre(20000, 40000, 60000, 80000));
  EXPECT_THAT(nice_ticks(2.31e-6, 2.39e-6, 4).size(), ::testing::Ge(3u));
  EXPECT_TRUE(nice_ticks(1, 1, 5).empty());
  EXPECT_THAT(log_ticks(0.9, 250), ElementsAre(1, 2, 5, 10, 20, 50, 100, 200));
  EXPECT_THAT(log_ticks(1e-5, 2e3).size(), 9u);
  EXPECT_THAT(log_ticks(3.1, 3.9).size(), ::testing::Ge(3u)) << "no power of ten within: as on a linear axis";
}

TEST(CurveSvg, NamesAreEscaped) {
  EXPECT_EQ(xml_escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
  EXPECT_EQ(xml_escaped("ä\x01\xff"), "ä\xef\xbf\xbd\xef\xbf\xbd");
  CurveSet set = one_curve({1, 2});
  set.panels[0].metric = "a<&";
  set.panels[0].curves[0].run = set.runs[0] = "</svg>";
  const std::string svg = curves_svg(set);
  EXPECT_THAT(svg, HasSubstr("a&lt;&amp;"));
  EXPECT_EQ(svg.find("</svg>"), svg.size() - 7);
}

TEST(CurveSvg, WhatIsNotFiniteIsAGap) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
  const std::string path = path_of(curves_svg(one_curve({1, 2, kNan, 3, kInf, 1, 2, -kInf})));
  EXPECT_EQ(std::count(path.begin(), path.end(), 'M'), 3) << path;
  EXPECT_THAT(path, HasSubstr("h0")) << "a value alone is a dot";
  for (const char* word : {"nan", "inf"}) EXPECT_THAT(curves_svg(one_curve({kNan, kInf})), Not(HasSubstr(word)));
  EXPECT_THAT(curves_svg(one_curve({kNan})), HasSubstr("no value to draw"));
  const std::string log = path_of(curves_svg(one_curve({1, 10, 0, 100, 1000, -1}, true)));
  EXPECT_EQ(std::count(log.begin(), log.end(), 'M'), 2) << log;
}

TEST(CurveSvg, ConstantAndHugeValuesHaveAnAxis) {
  for (const double value : {0.0, 5.0, -1e-300, 1e308}) {
    const std::string svg = curves_svg(one_curve({value, value}));
    EXPECT_THAT(svg, Not(HasSubstr("nan"))) << value;
    EXPECT_THAT(svg, Not(HasSubstr("inf"))) << value;
    EXPECT_FALSE(path_of(svg).empty());
  }
  EXPECT_THAT(curves_svg(one_curve({-1.7e308, 1.7e308})), Not(HasSubstr("nan")));
}

TEST(CurveSvg, LongCurvesStaySmallAndKeepTheirPeaks) {
  std::vector<double> y(500'000);
  for (size_t i = 0; i < y.size(); ++i) y[i] = std::sin(static_cast<double>(i));
  y[123'456] = 100;
  const std::string svg = curves_svg(one_curve(y));
  EXPECT_LT(svg.size(), 60'000u);
  // The peak is the highest point of the path: 5 % of the panel's height below its top edge.
  std::string numbers = path_of(svg);
  for (char& c : numbers) c = c == 'M' || c == 'L' ? ' ' : c;
  std::istringstream points(numbers);
  double highest = 1e9;
  for (double x = 0, y_of_point = 0; points >> x >> y_of_point;) highest = std::min(highest, y_of_point);
  EXPECT_LT(highest, 60);
}

}  // namespace
}  // namespace fathom::runs
