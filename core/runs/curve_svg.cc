#include "core/runs/curve_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "fathom/utf8.h"

namespace fathom::runs {
namespace {

// Colours that also those tell apart who see fewer of them (Okabe and Ito); further curves are dashed.
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
constexpr std::array kDashes = {"", "6 3", "2 2", "8 3 2 3"};

constexpr double kPanelWidth = 560, kPanelHeight = 320;  // with the axes' labels
constexpr double kLeft = 70, kRight = 20, kTop = 32, kBottom = 44;
constexpr double kMargin = 10, kLegendLine = 18;
constexpr double kInnerWidth = kPanelWidth - kLeft - kRight, kInnerHeight = kPanelHeight - kTop - kBottom;

// An axis from values to pixels.
struct Scale {
  double low = 0, high = 1;  // of log10 where `log`
  bool log = false;
  double share(double value) const { return ((log ? std::log10(value) : value) - low) / (high - low); }
};

struct Span {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool is_drawn(double y, bool log) { return std::isfinite(y) && (!log || y > 0); }

// With some room at both ends; of one value, with room around it.
Scale y_scale(const Span& span, bool log) {
  Scale scale;
  scale.log = log;
  if (!(span.low <= span.high)) return scale;  // nothing to draw
  scale.low = log ? std::log10(span.low) : span.low;
  scale.high = log ? std::log10(span.high) : span.high;
  double room = (scale.high - scale.low) * 0.05;
  if (!std::isfinite(room)) {  // from one end of the numbers to the other
    scale.low = std::max(scale.low, -1e308) / 2;
    scale.high = std::min(scale.high, 1e308) / 2;
    room = 0;
  }
  const double least = log ? 0.1 : std::max(std::fabs(scale.high) * 1e-6, 1e-12);
  if (room < least * 0.05) room = log ? 0.1 : std::max(std::fabs(scale.high) * 0.05, 1e-12);
  scale.low -= room;
  scale.high += room;
  return scale;
}

Scale x_scale(const CurvePanel& panel) {
  Span span;
  for (const Curve& curve : panel.curves) {
    for (const double x : curve.x) span.add(x);
  }
  Scale scale;
  if (span.low > span.high) return scale;
  scale.low = span.low;
  scale.high = span.high > span.low ? span.high : span.low + 1;
  return scale;
}

std::string number_text(double value) {
  const double size = std::fabs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return fmt::format("{:.3g}", value);
  if (size >= 1e6) return fmt::format("{:.6g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.6g}k", value / 1e3);
  return fmt::format("{:.6g}", value);
}

std::string style_of(size_t colour) {
  const std::string dash = kDashes[colour / kColours.size() % kDashes.size()];
  return fmt::format("stroke=\"{}\"{}", kColours[colour % kColours.size()],
                     dash.empty() ? "" : " stroke-dasharray=\"" + dash + "\"");
}

// The path of a curve in pixels of its panel, thinned to what the columns of pixels show.
class PathWriter {
 public:
  PathWriter(const Scale& x, const Scale& y) : x_(x), y_(y) {}

  std::string path(const std::vector<double>& xs, const std::vector<double>& ys) {
    for (size_t i = 0; i < xs.size(); ++i) {
      if (!is_drawn(ys[i], y_.log)) {
        end_column();
        end_stroke();
        continue;
      }
      const double px = kLeft + x_.share(xs[i]) * kInnerWidth;
      const double py = kTop + (1 - y_.share(ys[i])) * kInnerHeight;
      const auto column = static_cast<int64_t>(px);
      if (!points_.empty() && column != column_) end_column();
      column_ = column;
      points_.push_back({px, py});
    }
    end_column();
    end_stroke();
    return std::move(out_);
  }

 private:
  struct Point {
    double x, y;
  };
  // First, least, greatest and last of the points in one column of pixels, in their order.
  void end_column() {
    if (points_.size() > 4) {
      const auto by_y = [](const Point& a, const Point& b) { return a.y < b.y; };
      const auto [top, bottom] = std::minmax_element(points_.begin(), points_.end(), by_y);
      std::array<std::ptrdiff_t, 4> kept = {0, top - points_.begin(), bottom - points_.begin(),
                                            static_cast<std::ptrdiff_t>(points_.size()) - 1};
      std::sort(kept.begin(), kept.end());
      for (size_t i = 0; i < kept.size(); ++i) {
        if (i == 0 || kept[i] != kept[i - 1]) write(points_[static_cast<size_t>(kept[i])]);
      }
    } else {
      for (const Point& point : points_) write(point);
    }
    points_.clear();
  }
  void write(const Point& point) {
    out_ += fmt::format("{}{:.1f} {:.1f}", in_stroke_ == 0 ? "M" : in_stroke_ == 1 ? "L" : " ", point.x, point.y);
    ++in_stroke_;
  }
  // A point alone has no line: one of no length has round ends, which are a dot.
  void end_stroke() {
    if (in_stroke_ == 1) out_ += "h0";
    in_stroke_ = 0;
  }

  const Scale& x_;
  const Scale& y_;
  std::vector<Point> points_;
  int64_t column_ = 0;
  int64_t in_stroke_ = 0;
  std::string out_;
};

void draw_axes(const CurveSet& set, const Scale& x, const Scale& y, std::string& out) {
  const double right = kLeft + kInnerWidth, bottom = kTop + kInnerHeight;
  const auto y_ticks = y.log ? log_ticks(std::pow(10, y.low), std::pow(10, y.high)) : nice_ticks(y.low, y.high, 5);
  for (const double tick : y_ticks) {
    const double at = kTop + (1 - y.share(tick)) * kInnerHeight;
    out += fmt::format(
        "<path d=\"M{} {:.1f}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft,
        at, right, kLeft - 6, at + 4, number_text(tick));
  }
  for (const double tick : nice_ticks(x.low, x.high, 6)) {
    if (set.x_label != "seconds" && tick != std::floor(tick)) continue;  // there is no half step
    const double at = kLeft + x.share(tick) * kInnerWidth;
    out += fmt::format(
        "<path d=\"M{:.1f} {}v4\" stroke=\"#888\"/><text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", at,
        bottom, at, bottom + 17, number_text(tick));
  }
  out += fmt::format("<path d=\"M{} {}V{}H{}\" fill=\"none\" stroke=\"#888\"/>\n", kLeft, kTop, bottom, right);
  out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", kLeft + kInnerWidth / 2,
                     bottom + 36, set.x_label);
}

void draw_panel(const CurveSet& set, const CurvePanel& panel, std::string& out) {
  Span span;
  for (const Curve& curve : panel.curves) {
    for (const double y : curve.y) {
      if (is_drawn(y, set.log)) span.add(y);
    }
  }
  const Scale x = x_scale(panel), y = y_scale(span, set.log);
  out += fmt::format("<text x=\"{}\" y=\"20\" font-weight=\"bold\">{}{}</text>\n", kLeft, xml_escaped(panel.metric),
                     set.log ? " (log)" : "");
  draw_axes(set, x, y, out);
  if (!(span.low <= span.high)) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"#888\">no value to draw</text>\n",
                       kLeft + kInnerWidth / 2, kTop + kInnerHeight / 2);
  }
  for (const Curve& curve : panel.curves) {
    const auto add = [&](const std::vector<double>& ys, const char* more) {
      const std::string path = PathWriter(x, y).path(curve.x, ys);
      if (path.empty()) return;
      out += fmt::format(
          "<path d=\"{}\" fill=\"none\" {}{} stroke-width=\"1.5\" stroke-linecap=\"round\" stroke-linejoin=\"round\">"
          "<title>{}</title></path>\n",
          path, style_of(curve.colour), more, xml_escaped(curve.run));
    };
    add(curve.y, curve.smooth.empty() ? "" : " opacity=\"0.25\"");
    if (!curve.smooth.empty()) add(curve.smooth, "");
  }
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  std::vector<double> ticks;
  const double rough = (high - low) / count;
  if (!(rough > 0) || !std::isfinite(rough)) return ticks;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  // The nearest of the four, by ratio.
  const double ratio = rough / power;
  const double step = power * (ratio >= std::sqrt(50)   ? 10
                               : ratio >= std::sqrt(10) ? 5
                               : ratio >= std::sqrt(2)  ? 2
                                                        : 1);
  // Multiples, so that 0 is 0 and no error adds up.
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double i = first; i <= last && ticks.size() < 100; ++i) ticks.push_back(i == 0 ? 0 : i * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  const double first = std::floor(std::log10(low)), last = std::ceil(std::log10(high));
  const bool few = std::log10(high) - std::log10(low) <= 3;
  const double apart = std::max(1.0, std::ceil((last - first) / 10));  // of thirty powers, every third
  std::vector<double> ticks;
  for (double power = first; power <= last; power += apart) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10, power);
      if ((factor == 1 || few) && tick >= low && tick <= high && std::isfinite(tick)) ticks.push_back(tick);
    }
  }
  // Within one step of those: the range is small, and nearly linear.
  return ticks.size() >= 2 ? ticks : nice_ticks(low, high, 5);
}

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    char32_t code = 0;
    const size_t length = utf8::decode(text, at, &code);
    const bool allowed = length > 0 && (code >= 0x20 || code == '\t' || code == '\n' || code == '\r') &&
                         code != 0xfffe && code != 0xffff && code != 0x7f;
    if (!allowed)
      out += "\xef\xbf\xbd";
    else if (code == '&')
      out += "&amp;";
    else if (code == '<')
      out += "&lt;";
    else if (code == '>')
      out += "&gt;";
    else if (code == '"')
      out += "&quot;";
    else
      out += text.substr(at, length);
    at += length == 0 ? 1 : length;
  }
  return out;
}

std::string curves_svg(const CurveSet& set) {
  const size_t across = set.panels.size() == 1 ? 1 : 2;
  const size_t down = (set.panels.size() + across - 1) / across;
  const double width = 2 * kMargin + static_cast<double>(across) * kPanelWidth;
  const double legend = static_cast<double>(set.runs.size()) * kLegendLine + kMargin;
  const double height = 2 * kMargin + static_cast<double>(down) * kPanelHeight + legend;
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      width, height);
  for (size_t i = 0; i < set.runs.size(); ++i) {
    const double y = kMargin + (static_cast<double>(i) + 0.5) * kLegendLine;
    out += fmt::format("<path d=\"M{} {}h28\" fill=\"none\" {} stroke-width=\"2\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
                       kLeft, y, style_of(i), kLeft + 36, y + 4, xml_escaped(set.runs[i]));
  }
  for (size_t i = 0; i < set.panels.size(); ++i) {
    out += fmt::format("<g transform=\"translate({} {})\">\n", kMargin + static_cast<double>(i % across) * kPanelWidth,
                       kMargin + legend + static_cast<double>(i / across) * kPanelHeight);
    draw_panel(set, set.panels[i], out);
    out += "</g>\n";
  }
  return out + "</svg>\n";
}

}  // namespace fathom::runs
