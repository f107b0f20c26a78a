#include "core/planning/schedule_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fathom/scheduler.h"
#include "fathom/utf8.h"

namespace fathom::training {
namespace {

constexpr int64_t kMostSteps = 10'000'000;

// Takes a number of options that are not the scheduler's own.
std::optional<double> take_number(Json& options, const char* key) {
  if (!options.contains(key)) return std::nullopt;
  const Json value = options[key];
  options.erase(key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number()) throw Error(Code::kFailed, "is no number").at(key).seen(json_text(value));
  return value.get<double>();
}

struct Range {
  double low, high;
};
Range range_of(const ScheduleCurve& curve) {
  const auto [low, high] = std::minmax_element(curve.rates.begin(), curve.rates.end());
  Range range{std::min(0.0, *low), *high};
  if (!(range.high > range.low)) range.high = range.low + 1;
  return range;
}

double at(const ScheduleCurve& curve, double share) {
  const auto last = static_cast<double>(curve.rates.size() - 1);
  return curve.rates[static_cast<size_t>(std::lround(share * last))];
}

std::string number(double value) { return fmt::format("{:.4g}", value); }

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return out;
}

}  // namespace

ScheduleCurve schedule_curve(const std::string& name, const Json& given) {
  Json options = given;
  const double lr = take_number(options, "lr").value_or(1);
  const auto max_steps = take_number(options, "max_steps");
  const double steps = take_number(options, "steps").value_or(max_steps.value_or(1000) + 1);
  if (!(steps >= 2 && steps <= static_cast<double>(kMostSteps))) {
    throw Error(Code::kFailed, "that many steps cannot be drawn")
        .at("steps")
        .seen(number(steps))
        .expected("2 to " + std::to_string(kMostSteps));
  }
  Json section = options;
  section["name"] = name;
  const Json context = {{"max_steps", max_steps ? Json(*max_steps) : Json(nullptr)},
                        {"base_lrs", {lr}},
                        {"optimizer", {{"lr", lr}, {"momentum", 0.9}, {"betas", {0.9, 0.999}}, {"weight_decay", 0.0}}}};
  SchedulerHandle scheduler(create_object(1u << FATHOM_KIND_SCHEDULER, section, "", context));

  ScheduleCurve curve;
  curve.title = scheduler.name() + ":";
  for (const auto& [key, value] : given.items()) curve.title += " " + key + "=" + json_text(value);
  if (!given.contains("lr")) curve.title += " lr=1";
  curve.by_epoch = scheduler.interval() == "epoch";
  ScheduleStep step;
  step.base_lrs = step.lrs = {lr};
  if (scheduler.needs_monitor()) step.monitor = 1.0;
  for (step.step = 0; step.step < static_cast<int64_t>(steps); ++step.step) {
    step.lrs = scheduler.rates(step);
    if (!std::isfinite(step.lrs[0])) {
      throw Error(Code::kFailed, "the schedule gives no finite rate")
          .at(scheduler.name())
          .seen(number(step.lrs[0]) + " at step " + std::to_string(step.step));
    }
    curve.rates.push_back(step.lrs[0]);
  }
  return curve;
}

std::string plot_text(const ScheduleCurve& curve, int width, int height) {
  const Range range = range_of(curve);
  const int columns = width * 2, rows = height * 4;
  std::vector<unsigned> cells(static_cast<size_t>(width) * static_cast<size_t>(height), 0);
  constexpr unsigned kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  const auto row_of = [&](double rate) {
    return static_cast<int>(std::lround((range.high - rate) / (range.high - range.low) * (rows - 1)));
  };
  int earlier = row_of(curve.rates.front());
  for (int x = 0; x < columns; ++x) {
    const int row = row_of(at(curve, static_cast<double>(x) / (columns - 1)));
    // A steep part is drawn as a line, not as dots far apart.
    const int from = earlier < row ? earlier + 1 : row, to = earlier > row ? earlier - 1 : row;
    for (int y = std::min(from, to); y <= std::max(from, to); ++y)
      cells[static_cast<size_t>(y / 4 * width + x / 2)] |= kDots[y % 4][x % 2];
    earlier = row;
  }
  std::string out = curve.title + "\n";
  for (int y = 0; y < height; ++y) {
    std::string label;
    if (y == 0) label = number(range.high);
    if (y == height / 2) label = number(range.high - (range.high - range.low) * y / (height - 1));
    if (y == height - 1) label = number(range.low);
    out += fmt::format("{:>10} |", label);
    for (int x = 0; x < width; ++x)
      utf8::append(out, static_cast<char32_t>(0x2800 + cells[static_cast<size_t>(y * width + x)]));
    out += "\n";
  }
  const std::string last = std::to_string(curve.rates.size() - 1);
  const std::string unit = curve.by_epoch ? "epoch" : "step";
  out += std::string(11, ' ') + "+" + std::string(static_cast<size_t>(width), '-') + "\n";
  out += std::string(12, ' ') + "0" +
         std::string(std::max<size_t>(1, static_cast<size_t>(width) - 2 - last.size() - unit.size()), ' ') + unit +
         " " + last + "\n";
  out += fmt::format("first {}, highest {}, lowest {}, last {}\n", number(curve.rates.front()),
                     number(*std::max_element(curve.rates.begin(), curve.rates.end())),
                     number(*std::min_element(curve.rates.begin(), curve.rates.end())), number(curve.rates.back()));
  return out;
}

std::string plot_svg(const ScheduleCurve& curve) {
  constexpr double kWidth = 800, kHeight = 400, kLeft = 80, kTop = 40, kRight = 20, kBottom = 50;
  const Range range = range_of(curve);
  const auto x_of = [&](double share) { return kLeft + share * (kWidth - kLeft - kRight); };
  const auto y_of = [&](double rate) {
    return kTop + (range.high - rate) / (range.high - range.low) * (kHeight - kTop - kBottom);
  };
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n<text x=\"{2}\" y=\"20\">{3}</text>\n",
      kWidth, kHeight, kLeft, escaped(curve.title));
  for (int i = 0; i <= 4; ++i) {
    const double rate = range.low + (range.high - range.low) * i / 4, y = y_of(rate), share = i / 4.0;
    out += fmt::format(
        "<path d=\"M{} {:.1f}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft,
        y, kWidth - kRight, kLeft - 6, y + 4, number(rate));
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x_of(share),
                       kHeight - kBottom + 18, std::lround(share * static_cast<double>(curve.rates.size() - 1)));
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x_of(0.5), kHeight - 10,
                     curve.by_epoch ? "epoch" : "step");
  out += "<polyline fill=\"none\" stroke=\"#76b900\" stroke-width=\"2\" points=\"";
  const size_t points = std::min<size_t>(curve.rates.size(), 1000);
  for (size_t i = 0; i < points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points - 1);
    out += fmt::format("{:.1f},{:.2f} ", x_of(share), y_of(at(curve, share)));
  }
  out.back() = '"';
  return out + "/>\n</svg>\n";
}

}  // namespace fathom::training
